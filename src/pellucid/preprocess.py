"""The one way from a photo to network pixels: the loader, the predictor, the exported file and the server share it.

Resizing is torch's antialiased bilinear on uint8, whose arithmetic is integer (16-bit weights) and therefore the
same on every processor; `ops.resizing` is its definition. Nothing else in pellucid resizes what a network sees.

An exported file is served without torch, so that this module does not import it.
"""

import dataclasses
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Real, UInt8

from pellucid.errors import ModelError, UsageError
from pellucid.ops import resizing
from pellucid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any

__all__ = ["LETTERBOX_GREY", "Preprocess", "Rule", "resize", "resize_nearest"]

LETTERBOX_GREY = 114

Rule = Literal["stretch", "crop", "letterbox", "scale"]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What happens to a photo before the network sees it; it travels in the model file.

    `size` is (height, width) in network pixels. `rule` is how a photo of another shape gets there: `stretch` changes
    its proportions; `crop` scales it until the size is `crop` of it and cuts out the centre; `letterbox` shows all of
    it and fills the rest with grey; `scale` shows all of it at `scale` of its own size, whatever size that gives, and
    `size` is that of the pieces a network is trained on. `channels` is 1 or 3; `mean` and `std` are per channel, of
    values from 0 to 1.
    """

    size: tuple[int, int]
    rule: Rule
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no photo could go through."""
        if self.channels not in (1, 3) or not len(self.mean) == len(self.std) == self.channels:
            raise ModelError(
                f"Preprocess with {self.channels} channels, {len(self.mean)} means and {len(self.std)} stds: "
                "channels is 1 or 3, with one mean and one std each."
            )
        if self.rule not in get_args(Rule):
            raise ModelError(f"Preprocess with rule {self.rule!r}: it is one of {', '.join(get_args(Rule))}.")
        if min(self.size) < 1 or not (0 < self.crop <= 1 and 0 < self.scale <= 1):
            raise ModelError(
                f"Preprocess of size {self.size}, crop {self.crop}, scale {self.scale}: sides are 1 or more, crop and "
                "scale above 0 and at most 1."
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ModelError(f"Preprocess with mean {self.mean}, std {self.std}: all are finite, and std is positive.")

    @property
    def one_size(self) -> bool:
        """Whether every photo becomes as many network pixels as any other."""
        return self.rule != "scale"

    def frame(self, height: int, width: int) -> Frame:
        """Where a photo of this size comes to lie in network pixels."""
        rows, columns = self.size if self.one_size else self._inner(height, width)
        inner_rows, inner_columns = self._inner(height, width)
        offset = (round((rows - inner_rows) / 2), round((columns - inner_columns) / 2))
        return Frame(
            photo=(height, width),
            network=(rows, columns),
            scale=(inner_rows / height, inner_columns / width),
            offset=(float(offset[0]), float(offset[1])),
        )

    def pixels(self, photo: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "rows columns channels"]:
        """The photo in network pixels, uint8; `normalise` is what remains to be done."""
        _check_photo(photo)
        photo = _match_channels(photo, self.channels)
        inner = resize(photo, self._inner(*photo.shape[:2]))
        if inner.shape[:2] == self.size or not self.one_size:
            return inner
        frame = self.frame(*photo.shape[:2])
        top, left = int(frame.offset[0]), int(frame.offset[1])
        if self.rule == "letterbox":
            canvas = np.full((*self.size, self.channels), LETTERBOX_GREY, np.uint8)
            canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
            return canvas
        return np.ascontiguousarray(inner[-top : -top + self.size[0], -left : -left + self.size[1]])

    def normalise(self, pixels: Real[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """`(pixels / 255 - mean) / std` in float32, for values from 0 to 255."""
        import torch

        gain = 1 / (255 * torch.tensor(self.std, device=pixels.device))
        shift = torch.tensor(self.mean, device=pixels.device) / torch.tensor(self.std, device=pixels.device)
        return (pixels.float() * gain.view(1, -1, 1, 1)).sub_(shift.view(1, -1, 1, 1))

    def resized(self, size: int) -> "Preprocess":
        """The same way to a square of another side; under the rule `scale` the photos stay what they are."""
        return dataclasses.replace(self, size=(size, size))

    def margin(self) -> "Preprocess":
        """All that `crop` would cut off at the short side as well: what training crops are taken from."""
        if self.rule != "crop" or self.crop == 1.0:
            return self
        rows, columns = (round(side / self.crop) for side in self.size)
        return dataclasses.replace(self, size=(rows, columns), crop=1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the model file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocess":
        """The value that `to_json` gave."""
        tuples = {name: tuple(values[name]) for name in ("size", "mean", "std")}
        return cls(**{**values, **tuples})

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        """Size of the whole photo in network pixels, before the square is cut out or filled up."""
        rows, columns = self.size
        match self.rule:
            case "stretch":
                return rows, columns
            case "crop":
                # The same rounding as the published ImageNet figures: short side rounded, long side floored.
                scale = max(round(rows / self.crop) / height, round(columns / self.crop) / width)
                return max(rows, int(height * scale + 1e-6)), max(columns, int(width * scale + 1e-6))
            case "letterbox":
                scale = min(rows / height, columns / width)
                return max(1, round(height * scale)), max(1, round(width * scale))
            case "scale":
                return max(1, round(height * self.scale)), max(1, round(width * self.scale))


def resize(photo: UInt8[np.ndarray, "h w c"], size: tuple[int, int]) -> UInt8[np.ndarray, "rows columns c"]:
    """torch's antialiased bilinear resize of a uint8 image to (rows, columns).

    Where torch is imported anyway, its own kernel is used: the same bits in a third of the time.
    """
    if photo.shape[:2] == size:
        return photo
    photo = np.ascontiguousarray(photo)
    if "torch" not in sys.modules or size == (1, 1):  # where torch 2.13 fails for several channels at once
        return resizing.resize(photo, size)
    from torch import from_numpy
    from torch.nn.functional import interpolate

    planes = from_numpy(photo if photo.flags.writeable else photo.copy()).permute(2, 0, 1)[None]
    small = interpolate(planes, size=size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def resize_nearest(mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "rows columns"]:
    """A mask at (rows, columns): each pixel is the one that its centre falls on, so that no class is made up."""
    if mask.shape == size:
        return mask
    places = [((2 * np.arange(new) + 1) * old) // (2 * new) for old, new in zip(mask.shape, size, strict=True)]
    return np.ascontiguousarray(mask[np.ix_(*places)])


def _check_photo(photo: np.ndarray) -> None:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] not in (1, 3) or photo.size == 0:
        raise UsageError(
            f"A photo is an array of {photo.dtype} of shape {photo.shape}; it must be uint8, H W C, "
            "with 1 channel (grey) or 3 (RGB)."
        )


def _match_channels(photo: UInt8[np.ndarray, "h w c"], channels: int) -> UInt8[np.ndarray, "h w channels"]:
    if photo.shape[2] == channels:
        return photo
    if channels == 3:
        return np.repeat(photo, 3, axis=2)
    # ITU-R 601 luma in 16-bit integers, the rule of every image library.
    luma = photo.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((luma + 32768) >> 16).astype(np.uint8)[:, :, None]
