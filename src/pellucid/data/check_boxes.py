"""What is to be known of boxes before a detector learns them: how many, how small, how near to each other.

A detector looks at a photo in cells of a stride, and an anchor-free one answers for an object where its centre lies. So
sizes and centres are compared with the strides that detectors have, in the photo's own pixels; in a photo that is made
smaller on its way into the network, everything is that much smaller still.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pellucid.data.boxes import Box, Boxes
from pellucid.data.finding import Finding, many

__all__ = ["BoxedPhoto", "box_findings"]

STRIDES = (8, 16, 32)
SIDES = (320, 640)  # pixels, of the square that a photo is letterboxed into
FIELD = 892  # pixels that any cell of yolo_n, yolo_s and yolo_m sees along an axis, at least
GRID = 7  # cells on a side of YOLO v1
SAME = 0.95  # IoU from which two boxes of one class are taken for one object
TINY = 2.0  # pixels
BLOCK = 256  # boxes that are compared with all others at a time


@dataclass(frozen=True, slots=True)
class BoxedPhoto:
    """A photo of a split, its name, its (height, width), and its boxes."""

    split: str
    name: str
    size: tuple[int, int]
    boxes: Boxes

    @property
    def learnt(self) -> list[Box]:
        """The boxes that are not ignored."""
        return [box for box in self.boxes if not box.ignored]


def box_findings(classes: Sequence[str], photos: Sequence[BoxedPhoto]) -> Iterator[Finding]:
    """All that there is to say; nothing where there are no photos."""
    yield from _frequencies(classes, photos)
    yield from _empty(photos)
    yield from _doubled(classes, photos)
    yield from _tiny(classes, photos)
    if any(photo.learnt for photo in photos):
        rows = [(at, *photo.size, *box.xyxy) for at, photo in enumerate(photos) for box in photo.learnt]
        boxes = np.array(rows, float)
        yield _sizes(boxes[:, 3:])
        yield _seen(boxes)
        yield _strides(boxes)
        yield _grid(boxes)


def _frequencies(classes: Sequence[str], photos: Sequence[BoxedPhoto]) -> Iterator[Finding]:
    """How the boxes of each split are shared out between classes."""
    for split in dict.fromkeys(photo.split for photo in photos):
        here = [photo for photo in photos if photo.split == split]
        counts = Counter(box.label for photo in here for box in photo.learnt)
        total, ignored = counts.total(), sum(sum(photo.boxes.ignored) for photo in here)
        shares = [f"{name} {counts[at]:,} ({counts[at] / total:.1%})" for at, name in enumerate(classes) if counts[at]]
        shares += [f"ignored {ignored:,}"] if ignored else []
        yield Finding("info", "frequencies", f"Boxes of {split}: {', '.join(shares) or 'none'}.")


def _empty(photos: Sequence[BoxedPhoto]) -> Iterator[Finding]:
    names = tuple(photo.name for photo in photos if not len(photo.boxes))
    if names:
        text = f"{many(names, 'image')} without boxes: all of it is background."
        yield Finding("info", "no-boxes", text, "They are used; look whether they are meant.", names)


def _doubled(classes: Sequence[str], photos: Sequence[BoxedPhoto]) -> Iterator[Finding]:
    """Objects that are marked twice."""
    found = tuple(
        f"{photo.name}: {_called(classes, photo.learnt[one])} = {_called(classes, photo.learnt[other])}"
        for photo in photos
        for one, other in _same_objects(photo.learnt)
    )
    if found:
        text = f"{many(found, 'pair')} of boxes of one class with an IoU above {SAME}: one object marked twice."
        yield Finding("warning", "box-duplicate", text, "Remove one of the two.", found)


def _same_objects(boxes: Sequence[Box]) -> Iterator[tuple[int, int]]:
    """Pairs of boxes of one class that are nearly the same."""
    if len(boxes) < 2:
        return
    xyxy, labels = np.array([box.xyxy for box in boxes]), np.array([box.label for box in boxes])
    for start in range(0, len(boxes), BLOCK):
        block = slice(start, start + BLOCK)
        same = (_ious(xyxy[block], xyxy) > SAME) & (labels[block, None] == labels)
        for row, other in np.argwhere(same).tolist():
            if start + row < other:
                yield start + row, other


def _ious(some: Float[ndarray, "some 4"], others: Float[ndarray, "others 4"]) -> Float[ndarray, "some others"]:
    """Shared area over united area of every pair."""
    low = np.maximum(some[:, None, :2], others[:, :2])
    high = np.minimum(some[:, None, 2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (some, others)]
    ious: Float[ndarray, "some others"] = shared / (areas[0][:, None] + areas[1] - shared)
    return ious


def _tiny(classes: Sequence[str], photos: Sequence[BoxedPhoto]) -> Iterator[Finding]:
    found = tuple(
        f"{photo.name}: {_called(classes, box)}"
        for photo in photos
        for box in photo.learnt
        if min(box.xyxy[2] - box.xyxy[0], box.xyxy[3] - box.xyxy[1]) < TINY
    )
    if found:
        text = f"{many(found, 'box', 'boxes')} with a side of less than {TINY:g} pixels."
        yield Finding("warning", "tiny-box", text, "Look whether they are meant; a click leaves such boxes.", found)


def _sizes(xyxy: Float[ndarray, "boxes 4"]) -> Finding:
    """How many boxes are smaller than a cell of each stride, and how long they are in the middle."""
    longer = (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1)
    shares = ", ".join(f"{(longer < stride).mean():.1%} below {stride}" for stride in STRIDES)
    text = f"Longer side of boxes: {np.median(longer):.0f} pixels in the median, {shares}"
    return Finding("info", "box-sizes", f"{text} (less than one cell of that stride).")


def _seen(boxes: Float[ndarray, "boxes 7"]) -> Finding:
    """How long they are where the photo is letterboxed, beside a cell and beside what a cell sees."""
    longer = (boxes[:, 5:] - boxes[:, 3:5]).max(axis=1) / boxes[:, 1:3].max(axis=1)
    said = []
    for side in SIDES:
        small = (side * longer < STRIDES[0]).mean()
        said.append(f"{side * np.median(longer):.0f} in the median and {small:.1%} below {STRIDES[0]} in {side} pixels")
    sees = f"a cell of yolo_n, yolo_s or yolo_m sees {FIELD} or more, so each of them whole"
    return Finding("info", "box-field", f"Longer side of boxes of letterboxed photos: {', '.join(said)}; {sees}.")


def _strides(boxes: Float[ndarray, "boxes 7"]) -> Finding:
    """How many centres share a cell of each stride with another of the same photo."""
    centres = (boxes[:, 3:5] + boxes[:, 5:]) / 2
    said = []
    for stride in STRIDES:
        shared, _ = _sharing(boxes[:, 0], np.floor(centres / stride).astype(int))
        said.append(f"{shared:,} ({shared / len(boxes):.1%}) at stride {stride}")
    return Finding("info", "box-cells", f"Centres that share a cell: {', '.join(said)}.")


def _grid(boxes: Float[ndarray, "boxes 7"]) -> Finding:
    """The same for the grid of YOLO v1, which finds one object a cell."""
    centres = (boxes[:, 3:5] + boxes[:, 5:]) / 2
    cells = np.floor(centres * GRID / boxes[:, 2:0:-1]).astype(int)
    shared, lost = _sharing(boxes[:, 0], cells)
    text = (
        f"Centres that share a cell of YOLO v1's {GRID}x{GRID}: {shared:,} ({shared / len(boxes):.1%}); it finds one "
    )
    return Finding("info", "box-grid", f"{text}object a cell, so {lost:,} ({lost / len(boxes):.1%}) are beyond it.")


def _sharing(photos: Float[ndarray, " boxes"], cells: Int[ndarray, "boxes 2"]) -> tuple[int, int]:
    """How many centres are in a cell with others, and how many there are more than cells with centres."""
    _, counts = np.unique(np.column_stack([photos.astype(int), cells]), axis=0, return_counts=True)
    return int(counts[counts > 1].sum()), int((counts - 1).sum())


def _called(classes: Sequence[str], box: Box) -> str:
    return f"{classes[box.label]} ({', '.join(f'{side:g}' for side in box.xyxy)})"
