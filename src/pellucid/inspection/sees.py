"""What the network receives of a photo: the exact input as a picture, and its numbers beside those it was trained on.

After resizing, the input is made of bytes, and normalising them is one multiply-add a channel. So the picture *is* the
input: each of its pixels is one that the network is given. Swapped channels, a grey border, a photo lying on its side
are seen at once; a second division by 255 is seen in the numbers.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.checkpoint import read_facts
from pellucid.drawing import legend
from pellucid.errors import UsageError
from pellucid.image import read_image, write_image
from pellucid.preprocess import Preprocess

__all__ = ["Channel", "Seen", "what_the_network_sees", "write_seen"]

NAMES = {1: ("grey",), 3: ("red", "green", "blue")}
INKS = {"grey": (150, 150, 150), "red": (220, 60, 50), "green": (40, 160, 70), "blue": (50, 90, 220)}

WIDTH = 640
"""Pixels that the picture has at least across, so that the lines below it have room."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Mean and deviation of a channel: of the photo's values from 0 to 1, of those the model file subtracts and divides
    by (those of its training images, where pellucid trained it), and of the numbers that the network is given."""

    name: str
    mean: float
    std: float
    trained_mean: float
    trained_std: float
    given_mean: float
    given_std: float

    def text(self) -> str:
        """The three in a line."""
        return (
            f"{self.name} {self.mean:.3f} ± {self.std:.3f}, trained on {self.trained_mean:.3f} ± "
            f"{self.trained_std:.3f}, given {self.given_mean:+.2f} ± {self.given_std:.2f}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The input as bytes in network pixels, and its channels."""

    image: str
    pixels: UInt8[ndarray, "h w c"]
    rule: str
    channels: tuple[Channel, ...]

    def text(self) -> str:
        """Size and rule, then a line a channel."""
        height, width = self.pixels.shape[:2]
        return "\n".join([f"{self.image} as {width}x{height} ({self.rule})", *(one.text() for one in self.channels)])

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the pixels."""
        return {
            "image": self.image,
            "size": list(self.pixels.shape[:2]),
            "rule": self.rule,
            "channels": [asdict(channel) for channel in self.channels],
        }


def what_the_network_sees(model: str | Path, image: str | Path) -> Seen:
    """The input that the network of a model file is given for a photo."""
    facts = read_facts(model)
    if "preprocess" not in facts:
        raise UsageError(f"{model} is a {facts.get('kind')}, not a model. Its run folder has a model.safetensors.")
    preprocess = Preprocess.from_json(facts["preprocess"])
    pixels = preprocess.pixels(read_image(image).pixels)
    given = preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].double().flatten(1)
    values = pixels.reshape(-1, preprocess.channels) / 255
    channels = tuple(
        Channel(
            name,
            *(float(values[:, at].mean()), float(values[:, at].std())),
            *(preprocess.mean[at], preprocess.std[at]),
            *(float(given[at].mean()), float(given[at].std(correction=0))),
        )
        for at, name in enumerate(NAMES[preprocess.channels])
    )
    return Seen(str(image), pixels, preprocess.rule, channels)


def write_seen(path: str | Path, seen: Seen) -> None:
    """The input as a .png, enlarged by whole times where it is small, over a legend of its channels."""
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"--out {path}: the input is drawn as .png, pixel by pixel. Give a name that ends so.")
    picture = np.repeat(seen.pixels, 3, axis=2) if seen.pixels.shape[2] == 1 else seen.pixels
    factor = -(-WIDTH // picture.shape[1])
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    entries = [(channel.text(), np.array(INKS[channel.name], np.uint8)) for channel in seen.channels]
    write_image(Path(path), legend(picture, entries))
