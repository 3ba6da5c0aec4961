"""A network with all that turns photos into predictions, whatever runs it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction
from pellucid.preprocess import Preprocess
from pellucid.types import Frame

__all__ = ["AbstractPredictor"]


class AbstractPredictor(ABC):
    """Call it with photos, uint8 arrays H W C: one prediction each, in the photo's own pixels."""

    @property
    @abstractmethod
    def preprocess(self) -> Preprocess:
        """The way from a photo to network pixels."""

    @property
    @abstractmethod
    def postprocess(self) -> AbstractPostprocess:
        """The way from decoded outputs to a prediction."""

    @property
    def together(self) -> int:
        """The most photos that go through the network at once."""
        return 16

    @property
    def lanes(self) -> int:
        """Threads that may call it at once, each with its share of the cores; 1 where one call takes all of them."""
        return 1

    @abstractmethod
    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs for network pixels."""

    def __call__(self, photos: Sequence[UInt8[ndarray, "_ _ _"]]) -> list[AbstractPrediction]:
        """One prediction a photo."""
        return [self.postprocess.prediction(decoded, frame) for decoded, frame in self.outputs(photos)]

    def outputs(self, photos: Sequence[UInt8[ndarray, "_ _ _"]]) -> Iterator[tuple[dict[str, ndarray], Frame]]:
        """Of each photo the decoded outputs, without a batch axis, and where they lie; neighbours of one size in the
        network go through it together."""
        preprocess = self.preprocess
        for chunk in _chunks(photos, preprocess, self.together):
            decoded = self.decoded(np.stack([preprocess.pixels(photo) for photo in chunk]))
            for place, photo in enumerate(chunk):
                yield {name: value[place] for name, value in decoded.items()}, preprocess.frame(*photo.shape[:2])


def _chunks(photos: Sequence[ndarray], preprocess: Preprocess, most: int) -> Iterator[list[ndarray]]:
    """Neighbours of one size in the network, at most so many."""
    for _, group in groupby(photos, lambda photo: preprocess.frame(*photo.shape[:2]).network):
        alike = list(group)
        for start in range(0, len(alike), most):
            yield alike[start : start + most]
