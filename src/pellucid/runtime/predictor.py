"""An exported network with the way before and behind it: the same predictor as in training, without torch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.catalog import find
from pellucid.errors import UsageError
from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction
from pellucid.predictions.classify import ClassScores
from pellucid.predictions.detect import FoundBoxes
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.predictions.segment import ClassMask
from pellucid.preprocess import Preprocess
from pellucid.runtime.agreement import Results
from pellucid.runtime.engines import TOGETHER, AbstractEngine
from pellucid.runtime.manifest import ExportManifest

__all__ = ["ExportedPredictor", "PartPredictor", "as_arrays", "results_by"]


@dataclass(frozen=True, slots=True, eq=False)
class PartPredictor(AbstractPredictor):
    """A network in an engine, with the ways before and behind it. Call it with photos: uint8 arrays H W C."""

    before: Preprocess
    behind: AbstractPostprocess
    engine: AbstractEngine

    @property
    def preprocess(self) -> Preprocess:
        """The way before the network."""
        return self.before

    @property
    def postprocess(self) -> AbstractPostprocess:
        """The way behind it."""
        return self.behind

    @property
    def together(self) -> int:
        """More are hardly faster on a processor, and wait longer for each other."""
        return TOGETHER

    @property
    def lanes(self) -> int:
        """Those of the engine."""
        return self.engine.lanes

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs for network pixels."""
        return self.engine.decoded(pixels)


@dataclass(frozen=True, slots=True, eq=False)
class ExportedPredictor(PartPredictor):
    """That of an exported file."""

    manifest: ExportManifest

    @classmethod
    def of(cls, manifest: ExportManifest, engine: AbstractEngine) -> "ExportedPredictor":
        """What the manifest describes, in an engine."""
        postprocess = find("POSTPROCESSES", manifest.task)(manifest.classes, manifest.learnt)
        return cls(manifest.preprocess, postprocess, engine, manifest)


def results_by(
    predictor: AbstractPredictor, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None
) -> list[Results]:
    """What a predictor says of photos of one size, as a whole file gives it."""
    postprocess = predictor.postprocess
    if threshold is not None:
        postprocess = postprocess.adjusted(threshold=threshold)
    return [as_arrays(postprocess.prediction(*outputs)) for outputs in predictor.outputs(list(images))]


def as_arrays(prediction: AbstractPrediction) -> Results:
    """A prediction as a whole file gives it."""
    match prediction:
        case ClassScores():
            return {"probs": np.array(prediction.probs, np.float32)}
        case ClassMask():
            return {"labels": prediction.labels}
        case FoundBoxes():
            found = prediction.found
            xyxy, scores = found.xyxy.astype(np.float32), found.scores.astype(np.float32)
            return {"xyxy": xyxy, "scores": scores, "labels": found.labels}
    raise UsageError(f"A {type(prediction).__name__} cannot be compared with an exported file.")
