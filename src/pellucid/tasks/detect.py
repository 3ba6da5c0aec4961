"""Detection: a box around every object, and what it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pellucid.config import TrainConfig
from pellucid.data.boxes import Boxes
from pellucid.drawing import boxed
from pellucid.metrics.detection import Detections
from pellucid.predictions.detect import BoxPostprocess
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask, Candidate, arrays
from pellucid.tasks.box_metric import BoxMetric
from pellucid.types import Frame, Record, Tile

__all__ = ["TASKS", "BoxTargets", "Detect"]

JUDGED_SCORE = 0.001
"""Least score of a box that counts in a metric: average precision looks at all of them."""
VISIBLE = 0.2
"""Share of an object that must be in view for it to be learnt; of less, nothing is."""
NARROW = 2.0
"""Pixels: narrower objects are not learnt either."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxTargets:
    """The boxes of a batch: `tensors` as `AbstractDetector.loss` wants them, and of each image label and frame."""

    tensors: dict[str, Tensor]
    boxes: tuple[Boxes, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Detect(AbstractTask):
    """A box around every object, and what it is."""

    name: ClassVar[str] = "detect"
    idle: ClassVar[tuple[str, ...]] = ("dice", "scale", "smoothing", "cutmix")
    unit: ClassVar[str] = "boxes"
    pieces: ClassVar[bool] = False
    passes: ClassVar[float] = 1.0
    mirrors: ClassVar[bool] = False  # a mirrored object without a label would be learnt as background
    mistakes_title: ClassVar[str] = "Worst images"

    @property
    def postprocess(self) -> BoxPostprocess:
        """Candidate boxes and their scores to `FoundBoxes`."""
        return BoxPostprocess(self.classes, self.learnt)

    def usual(self, side: int) -> tuple[str, str]:
        """`yolo_n`, whatever the side."""
        return "yolo_n", "small and fast, for CPUs"

    def arguments(self, model: str, side: int, images: int) -> dict[str, Any]:
        """None: networks for any size need not know it."""
        return {}

    def ladder(self, side: int) -> list[Candidate]:
        """`yolo_n` at growing sides, then `yolo_s`."""
        sides = [most for most in (160, 224, 256, 320) if most <= max(160, side)]
        return [Candidate("yolo_n", {}, most) for most in sides] + [Candidate("yolo_s", {}, sides[-1])]

    def preprocess(self, settings: TrainConfig, channels: int, *, one_size: bool) -> Preprocess:
        """Photos go in whole, letterboxed into a square."""
        side = settings.size or 0
        mean, std = (0.5,) * channels, (0.25,) * channels
        return Preprocess((side, side), "letterbox", channels, mean, std)

    def defaults(self, settings: TrainConfig) -> Mapping[str, tuple[float, str]]:
        """Four images at once, in other sizes, places and lights."""
        return {
            "color": (0.4, "light changes more between photos than within few of them"),
            "shift": (0.1, "objects are anywhere"),
            "zoom": (0.6, "objects of 60 to 167 % of their size"),
            "mosaic": (0.5, "half of the batches show four images at once, but not the last of them"),
        }

    def collate(self, records: Sequence[Record], frames: Sequence[Frame], masks: Tensor | None) -> BoxTargets:
        """Boxes in network pixels, as many rows an image as the fullest has."""
        boxes = tuple(record.label for record in records)
        rows = [_network_xyxy(label, frame) for label, frame in zip(boxes, frames, strict=True)]
        tensors = {
            "xyxy": pad_sequence(rows, batch_first=True),
            "labels": _padded([label.labels for label in boxes], torch.int64, -1),
            "ignored": _padded([label.ignored for label in boxes], torch.bool, False),
            "size": torch.tensor([frame.network for frame in frames]),
        }
        return BoxTargets(tensors, boxes, tuple(frames))

    def totals(self, records: Sequence[Record], marks: Int[ndarray, "n _"]) -> tuple[int, ...]:
        """Boxes by class."""
        labels = [label for record in records for label in record.label.labels]
        return tuple(np.bincount(np.array(labels, int), minlength=len(self.classes)).tolist())

    def renumbered(self, label: Any, places: Sequence[int]) -> Any:
        """The boxes under the new indices."""
        return label.renumbered(places)

    def soften(self, targets: BoxTargets, settings: TrainConfig) -> dict[str, Tensor]:
        """The tensors, and what each box counts; how sure one may be is decided where it is assigned."""
        if settings.class_weights == "none":
            return targets.tensors
        labels = targets.tensors["labels"]
        return {**targets.tensors, "weights": self.balance().to(labels.device)[labels.clamp(min=0)]}

    def move(self, targets: BoxTargets, matrices: Float[Tensor, "n 2 3"], size: tuple[int, int]) -> BoxTargets:
        """The boxes around where the corners of each went, cut at the edge of the view.

        Of an object that is mostly out of view, or very narrow, nothing is learnt; one that is not in view is gone.
        """
        old = targets.tensors
        xyxy = _moved(old["xyxy"], old["size"], matrices, size)
        limits = torch.tensor([size[1], size[0]] * 2, dtype=xyxy.dtype)
        cut = xyxy.clamp(min=torch.zeros(4), max=limits)
        (width, height), (whole_width, whole_height) = _sides(cut), _sides(xyxy)
        seen = width * height / (whole_width * whole_height).clamp(min=1e-9)
        hidden = (seen < VISIBLE) | (torch.minimum(width, height) < NARROW)
        labels = torch.where(width * height > 0, old["labels"], -1)
        moved = _packed({"xyxy": cut, "labels": labels, "ignored": old["ignored"] | hidden})
        return replace(targets, tensors={**moved, "size": torch.tensor([size] * len(labels))})

    def mix(self, targets: dict[str, Tensor], order: Tensor, share: Tensor) -> dict[str, Tensor]:
        """The boxes of both; of the image that is hardly seen nothing is learnt."""
        own = targets["ignored"] | (share < VISIBLE)[:, None]
        others = targets["ignored"][order] | (1 - share < VISIBLE)[:, None]
        names = {"xyxy", "labels", "weights"} & targets.keys()
        joined = {name: torch.cat([targets[name], targets[name][order]], dim=1) for name in names}
        return {**joined, "ignored": torch.cat([own, others], dim=1), "size": targets["size"]}

    def tile(self, targets: BoxTargets, order: Int[Tensor, "n 4"]) -> BoxTargets:
        """The boxes of four images each: upper left, upper right, lower left, lower right."""
        old = targets.tensors
        height, width = old["size"][0].tolist()
        offsets = torch.tensor([(0, 0), (width, 0), (0, height), (width, height)]).repeat(1, 2)  # of x y x y
        xyxy = old["xyxy"][order] + offsets[None, :, None]  # N 4 M 4
        tensors = {
            "xyxy": xyxy.flatten(1, 2),
            "labels": old["labels"][order].flatten(1),
            "ignored": old["ignored"][order].flatten(1),
            "size": 2 * old["size"],
        }
        return replace(targets, tensors=tensors)

    def metric(self, *, brief: bool = False) -> BoxMetric:
        """An empty metric; a `brief` one knows its headline only."""
        return BoxMetric(self.classes, found=self._judged, brief=brief, threshold=self.learnt.get("threshold"))

    def _judged(self, decoded: dict[str, Tensor], targets: BoxTargets) -> tuple[list[Detections], list[Boxes]]:
        """What a metric counts: all boxes with any score, and the targets."""
        values, postprocess = arrays(decoded), self.postprocess
        found = []
        for place, frame in enumerate(targets.frames):
            one = {name: value[place] for name, value in values.items()}
            found.append(postprocess.found(one, frame, JUDGED_SCORE))
        return found, list(targets.boxes)

    def assemble(
        self, parts: Iterable[dict[str, Tensor]], tiles: Sequence[Tile], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """The candidates of all tiles, each of those whose centre lies in what the tile answers for."""
        xyxy, scores = [], []
        for part, tile in zip(parts, tiles, strict=True):
            placed = part["xyxy"] + part["xyxy"].new_tensor([tile.seen[1], tile.seen[0]] * 2)
            xyxy.append(placed)
            scores.append(part["scores"] * _owned(placed, tile.own)[..., None])
        return {"xyxy": torch.cat(xyxy, dim=1), "scores": torch.cat(scores, dim=1)}

    def views(self, pixels: Any, target: Any, prediction: Any) -> Sequence[tuple[str, Any]]:
        """Target and prediction, drawn on the photo."""
        postprocess, labels = self.postprocess, np.array(target.labels, int)
        names = [self.classes[at] for at in target.labels]
        wanted = boxed(pixels, np.reshape(target.xyxy, (-1, 4)), names, postprocess.colors()[labels])
        return [("target", wanted), ("prediction", postprocess.draw(pixels, prediction))]


def _network_xyxy(label: Boxes, frame: Frame) -> Float[Tensor, "m 4"]:
    """`network = photo · scale + offset`; frames count (y, x)."""
    (down, across), (top, left) = frame.scale, frame.offset
    xyxy = torch.tensor(label.xyxy, dtype=torch.float64).view(-1, 4)
    scale, offset = xyxy.new_tensor([across, down] * 2), xyxy.new_tensor([left, top] * 2)
    return (xyxy * scale + offset).float()


def _padded(rows: Sequence[Sequence[Any]], dtype: torch.dtype, value: float) -> Tensor:
    return pad_sequence([torch.tensor(row, dtype=dtype) for row in rows], batch_first=True, padding_value=value)


def _moved(
    xyxy: Float[Tensor, "n m 4"], old: Int[Tensor, "n 2"], matrices: Float[Tensor, "n 2 3"], size: tuple[int, int]
) -> Float[Tensor, "n m 4"]:
    """Bounds of the four corners of each box after `input = A·output + b` was turned round, in pixels of the output."""
    sides = old.flip(1).to(xyxy.dtype)[:, None, None]  # N 1 1 2: width, height
    corners = xyxy[..., [0, 1, 2, 1, 0, 3, 2, 3]].unflatten(2, (4, 2)) * 2 / sides - 1
    linear, shift = matrices[:, :, :2], matrices[:, :, 2]
    turned = (corners - shift[:, None, None]) @ torch.linalg.inv(linear).mT[:, None]
    placed = (turned + 1) / 2 * turned.new_tensor([size[1], size[0]])
    return torch.cat([placed.amin(dim=2), placed.amax(dim=2)], dim=2)


def _sides(xyxy: Float[Tensor, "n m 4"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    width, height = (xyxy[..., 2:] - xyxy[..., :2]).unbind(-1)
    return width, height


def _packed(rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rows of objects alone, as many an image as the fullest has: most of a mosaic's are out of view."""
    absent = rows["labels"] < 0
    most = int((~absent).sum(dim=1).max())
    places = absent.int().argsort(dim=1, stable=True)[:, :most]
    return {name: value[torch.arange(len(places))[:, None], places] for name, value in rows.items()}


def _owned(xyxy: Float[Tensor, "n k 4"], own: tuple[int, int, int, int]) -> Bool[Tensor, "n k"]:
    """Whether the centre of a box lies in a part (top, left, bottom, right)."""
    x, y = ((xyxy[..., :2] + xyxy[..., 2:]) / 2).unbind(-1)
    top, left, bottom, right = own
    return (y >= top) & (y < bottom) & (x >= left) & (x < right)


TASKS = {"detect": Detect}
