"""A model and its images as the pages look at them: a pass of each is recorded once, and so is its account."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.aiming import aimed
from pellucid.inspection.candidates import Candidates, candidates_of
from pellucid.inspection.fields import Field, fields
from pellucid.inspection.layering import Layers, account_layers
from pellucid.inspection.picture import account_figure
from pellucid.inspection.recording import Trace, record
from pellucid.inspection.streams import Streams, streams_of
from pellucid.inspection.targets import Box, Class, Pixel, Target
from pellucid.network import Predictor, load_predictor
from pellucid.predictions.base import AbstractPrediction
from pellucid.studio.address import Address
from pellucid.studio.judging import Progress
from pellucid.studio.memo import PATIENCE, Memo
from pellucid.studio.photos import AbstractPhotos, photos_of
from pellucid.studio.subject import Subject
from pellucid.tiling import WHOLE
from pellucid.types import Frame

__all__ = ["LONG", "Look", "Session"]

LONG = 60.0
"""Seconds that a picture waits for a pass: the page around it is there already."""
KEPT = 4
"""Recorded passes that are kept: one of ResNet-18 is some 100 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One image in the network: what it sees, what it says, and every operation with the gradient of the target."""

    photo: UInt8[ndarray, "h w c"]
    pixels: UInt8[ndarray, "h2 w2 c2"]
    frame: Frame
    x: Float[Tensor, "1 c h2 w2"]
    decoded: dict[str, ndarray]
    prediction: AbstractPrediction
    target: Target
    trace: Trace
    fields: tuple[Field, ...]


class Session:
    """The model of a subject, loaded once. What it computes, it computes in one thread: a network is one at a time."""

    def __init__(self, subject: Subject) -> None:
        if subject.model is None:
            raise UsageError("There is no model yet.")
        self.subject = subject
        self.predictor: Predictor = load_predictor(subject.model, "cpu")
        self.photos: AbstractPhotos = photos_of(subject, self.predictor)
        self.memo = Memo(KEPT * 3)
        self.slow = Memo(KEPT)
        self.progress = Progress()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the model's classes."""
        return self.predictor.manifest.classes

    @property
    def task(self) -> str:
        """What the model is for."""
        return self.predictor.manifest.task

    def image(self, address: Address) -> int:
        """The number of the image that the address means."""
        at = address.number("image") or 0
        if at >= len(self.photos):
            raise UsageError(f"image={at} in the address: there are {len(self.photos)}, counted from 0.")
        return at

    def look(self, address: Address, patience: float = PATIENCE) -> Look:
        """The image of the address, and its target: by default what is predicted."""
        at, aim = self.image(address), address.aim()
        found: Look = self.memo.get(("look", at, aim), lambda: self._look(at, aim), patience)
        return found

    def account(self, address: Address) -> tuple[Layers, str]:
        """The account of the same number, layer by layer, and the drawing of what every pixel gives."""
        look = self.look(address)
        key = ("account", self.image(address), look.target)
        found: tuple[Layers, str] = self.memo.get(key, lambda: self._account(look))
        return found

    def candidates(self, address: Address) -> Candidates:
        """Of a detector: every box before suppression, and what its cell learns where the data says what is there."""
        look, at = self.look(address), self.image(address)
        targets = self.photos.objects(at, look.frame, self.predictor.task)
        return candidates_of(self.predictor, look.trace.result, look.frame, targets)

    def streams(self, address: Address, patience: float = PATIENCE) -> Streams | None:
        """What the levels of a network for masks add to the logit of the target's pixel; None where it has none."""
        look = self.look(address, patience)
        target = look.target
        if not isinstance(target, Pixel):
            return None
        key = ("streams", self.image(address), target)
        make = partial(streams_of, self.predictor.model, look.x, target, self.classes)
        found: Streams | None = self.memo.get(key, make, patience)
        return found

    def picture(self, address: Address) -> UInt8[ndarray, "h w c"]:
        """The photo with what is predicted drawn on it, small."""
        look = self.look(address, LONG)
        drawn: UInt8[ndarray, "h w c"] = self.predictor.postprocess.draw(look.photo, look.prediction)
        return drawn

    def said(self, target: Target) -> str:
        """The target in words."""
        return target.title(self.classes)

    def warm(self) -> None:
        """Begin with what the first page shows."""
        first = Address("/network", {})
        self.memo.begin(("look", 0, first.aim()), lambda: self._look(0, first.aim()))

    def stop(self) -> None:
        """Nobody will see what is not done by now."""
        self.progress.stopped = True
        self.memo.stop()
        self.slow.stop()

    def _look(self, at: int, aim: tuple[str | None, str | None]) -> Look:
        predictor, photo = self.predictor, self.photos.pixels(at)
        pixels = predictor.preprocess.pixels(photo)
        if not predictor.preprocess.one_size and pixels.shape[0] * pixels.shape[1] > WHOLE:
            raise UsageError(f"The photo is seen in tiles. Cut out a part of at most {WHOLE:,} network pixels.")
        frame = predictor.preprocess.frame(*photo.shape[:2])
        decoded = {name: value[0] for name, value in predictor.decoded(pixels[None]).items()}
        target = self._target(at, decoded, frame, aim)
        x = predictor.preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        trace = record(predictor.model, x, lambda outputs: self._number(target, outputs))
        prediction = predictor.postprocess.prediction(decoded, frame)
        return Look(photo, pixels, frame, x, decoded, prediction, target, trace, fields(trace))

    def _account(self, look: Look) -> tuple[Layers, str]:
        layers = account_layers(self.predictor.model, look.x, look.target, self.classes)
        return layers, account_figure(layers.account, look.pixels)

    def _target(self, at: int, decoded: dict[str, ndarray], frame: Frame, aim: tuple[str | None, str | None]) -> Target:
        """That of the address. Where nothing is asked for, a wrong class is compared with the right one; and if no box
        is found, it is the surest candidate."""
        given, versus = aim
        try:
            found = aimed(self.predictor, decoded, frame, (given, versus or None))
            label = self.photos.label(at)
            if aim == (None, None) and isinstance(found, Class) and label not in (None, found.name):
                return Class(found.name, self.classes[label])
            return found
        except UsageError:
            if self.task != "detect" or given is not None:
                raise
            number, label = divmod(int(decoded["scores"].argmax()), decoded["scores"].shape[1])
            return Box(number, label)

    def _number(self, target: Target, outputs: Any) -> Tensor:
        return target.number(self.predictor.model, outputs, self.classes)
