"""What is wrong with a dataset before anything is trained on it: every image is decoded, every finding is a value."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pellucid.cores import usable_cores
from pellucid.data.boxes import Boxes
from pellucid.data.check_boxes import BoxedPhoto, box_findings
from pellucid.data.class_table import BACKGROUND
from pellucid.data.dataset import Dataset
from pellucid.data.duplicates import Thumbnail, equal_groups, likeness_pairs, thumbnail
from pellucid.data.finding import Finding, few, many
from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.data.masks import AbstractMask
from pellucid.errors import ImageError
from pellucid.types import Record

__all__ = ["Finding", "Report", "check"]

CHUNK = 64
SHOWN_FILES = 5
RARE = 10.0  # times that the largest class outnumbers the smallest before it is a warning
LONG = 4.0  # long side over short side
SMALL = 8  # pixels


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    `images` holds the number of images of every split, `counts` how much of each class there is: images, pixels where
    the labels are masks, or boxes (`unit`).
    """

    root: str
    format: str
    classes: tuple[str, ...]
    images: dict[str, int]
    unit: str
    counts: dict[str, tuple[int, ...]]
    made: tuple[str, ...]
    findings: tuple[Finding, ...]
    ledger: Ledger

    @property
    def ok(self) -> bool:
        """Whether nothing was found that must be mended first."""
        return not any(finding.level == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values; refused files and notes are in full."""
        return {
            "ok": self.ok,
            "root": self.root,
            "format": self.format,
            "classes": list(self.classes),
            "images": self.images,
            "unit": self.unit,
            "counts": {split: list(counts) for split, counts in self.counts.items()},
            "made": list(self.made),
            "findings": [asdict(finding) for finding in self.findings],
            "refused": [asdict(refusal) for refusal in self.ledger.refused],
            "notes": [asdict(note) for note in self.ledger.notes],
        }

    def text(self) -> str:
        """The report in lines for a terminal: what there is, then the findings, the gravest first."""
        lines = [f"{self.root}: {self.format}, {len(self.classes)} classes"]
        for split, counts in self.counts.items():
            cut = " (cut from train)" if split in self.made else ""
            unit = "" if self.unit == "images" else f"{self.unit} "
            span = f"{min(counts):,} to {max(counts):,} {unit}a class"
            lines.append(f"  {split}{cut}: {self.images[split]} images, {span}")
        for finding in self.findings:
            lines.append(f"{finding.level}: {finding.text}{' ' if finding.cure else ''}{finding.cure}")
            lines += [f"    {file}" for file in finding.files[:SHOWN_FILES]]
            if len(finding.files) > SHOWN_FILES:
                lines.append(f"    and {len(finding.files) - SHOWN_FILES} more")
        lines.append("ok" if self.ok else "not ok")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stays of one decoded image. `label` tells labels apart, `marks` counts the pixels of a mask by class."""

    split: str
    record: Record
    shape: tuple[int, ...]
    mode: str
    digest: bytes
    label: str
    marks: tuple[int, ...]
    thumb: Thumbnail
    notes: tuple[str, ...]


def check(dataset: Dataset) -> Report:
    """Decode every image and say what is wrong with them, with the classes and with the splits."""
    dataset.verify()
    seen, refusals = _decoded(dataset)
    notes = tuple(Note(image.record.name, text) for image in seen for text in image.notes)
    ledger = dataset.ledger.refuse(refusals, notes)
    boxed = [
        BoxedPhoto(image.split, image.record.name, (image.shape[0], image.shape[1]), image.record.label)
        for image in seen
        if isinstance(image.record.label, Boxes)
    ]
    unit = "boxes" if boxed else "pixels" if any(image.marks for image in seen) else "images"
    images = {split: sum(image.split == split for image in seen) for split in dataset.splits}
    counts = {split: _class_counts(dataset, split, seen) for split in dataset.splits}
    findings = [
        *_refused(ledger),
        *_same(dataset, seen),
        *_alike(dataset, seen),
        *_classes(dataset, counts, unit),
        *_masks(dataset, seen),
        *box_findings(dataset.classes, boxed),
        *_shapes(seen),
        *_noted(ledger),
    ]
    order = ["error", "warning", "info"]
    findings.sort(key=lambda finding: order.index(finding.level))
    return Report(
        root=str(dataset.root),
        format=dataset.format,
        classes=dataset.classes,
        images=images,
        unit=unit,
        counts=counts,
        made=dataset.made,
        findings=tuple(findings),
        ledger=ledger,
    )


def _decoded(dataset: Dataset) -> tuple[list[_Seen], tuple[Refusal, ...]]:
    """Every image that can be decoded, in the order of the splits, and the others."""
    offered = [(split, record) for split, records in dataset.splits.items() for record in records]
    chunks = [offered[start : start + CHUNK] for start in range(0, len(offered), CHUNK)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        looked = [image for chunk in pool.map(lambda chunk: _look(dataset, chunk), chunks) for image in chunk]
    seen = [image for image in looked if isinstance(image, _Seen)]
    return seen, tuple(image for image in looked if isinstance(image, Refusal))


def _look(dataset: Dataset, offered: Sequence[tuple[str, Record]]) -> list[_Seen | Refusal]:
    looked: list[_Seen | Refusal] = []
    for split, record in offered:
        try:
            image = dataset.image(record)
            label, marks = _label(dataset, record, image.pixels.shape[:2])
        except ImageError as error:
            looked.append(Refusal.of(record.name, error))
            continue
        shape = image.pixels.shape
        digest = hashlib.blake2b(image.pixels.data, digest_size=16, key=repr(shape).encode()).digest()
        thumb = thumbnail(image.pixels)
        looked.append(_Seen(split, record, shape, image.mode, digest, label, marks, thumb, image.notes))
    return looked


def _label(dataset: Dataset, record: Record, size: tuple[int, int]) -> tuple[str, tuple[int, ...]]:
    """What tells the label of an image from others, and the pixels of each class in it where it is a mask."""
    if not isinstance(record.label, AbstractMask):
        return repr(record.label), ()
    mask = record.label.read(dataset.root, size)
    marks = np.bincount(mask.ravel(), minlength=256)[: len(dataset.classes)]
    return hashlib.blake2b(mask.data, digest_size=16).hexdigest(), tuple(marks.tolist())


def _class_counts(dataset: Dataset, split: str, seen: Sequence[_Seen]) -> tuple[int, ...]:
    here = [image for image in seen if image.split == split]
    labels = Counter(image.record.label for image in here if isinstance(image.record.label, int))
    for label in [image.record.label for image in here if isinstance(image.record.label, Boxes)]:
        labels.update(box.label for box in label if not box.ignored)
    marks = np.sum([image.marks for image in here if image.marks] or [(0,) * len(dataset.classes)], axis=0)
    return tuple(labels[at] + int(marks[at]) for at in range(len(dataset.classes)))


def _refused(ledger: Ledger) -> Iterator[Finding]:
    """Refused images and labels are errors; files that nobody takes for images are not."""
    offered = [refusal for refusal in ledger.refused if not refusal.is_stray]
    if offered:
        text = f"{many(offered, 'image or label', 'images or labels')} cannot be used."
        yield Finding("error", "refused", text, "Each line says what helps.", tuple(map(str, offered)))
    stray = [refusal for refusal in ledger.refused if refusal.is_stray]
    if stray:
        text = f"{many(stray, 'other file')} left aside."
        yield Finding("info", "stray", text, files=tuple(map(str, stray)))


def _same(dataset: Dataset, seen: Sequence[_Seen]) -> Iterator[Finding]:
    """Images with exactly the same pixels: contradicting labels, leaks, and what is merely there twice."""
    groups = [[seen[at] for at in group] for group in equal_groups([image.digest for image in seen])]
    torn = [group for group in groups if len({image.label for image in group}) > 1]
    if torn:
        text = f"{many(torn, 'image')} there more than once, with different labels."
        yield Finding("error", "contradiction", text, "Keep the copy whose label is right.", _listed(dataset, torn))
    across = [group for group in groups if len({image.split for image in group}) > 1]
    given = [group for group in across if len({image.split for image in group} - set(dataset.made)) > 1]
    cut = [group for group in across if group not in given]
    if given:
        text = f"{many(given, 'image')} in more than one split: figures on them are too good."
        yield Finding("error", "leak", text, "Remove them from one of the splits.", _listed(dataset, given))
    if cut:
        text = f"{many(cut, 'image')} with copies on both sides of a split that was cut here."
        yield Finding("warning", "leak-cut", text, "Remove the copies.", _listed(dataset, cut))
    within = [group for group in groups if group not in across and group not in torn]
    if within:
        text = f"{many(within, 'image')} there more than once within a split."
        yield Finding("warning", "duplicate", text, "Remove the copies.", _listed(dataset, within))


def _alike(dataset: Dataset, seen: Sequence[_Seen]) -> Iterator[Finding]:
    """Images that look the same without being so, as pairs."""
    pairs = [(seen[left], seen[right]) for left, right in likeness_pairs([image.thumb for image in seen])]
    pairs = [(left, right) for left, right in pairs if left.digest != right.digest]
    across = [pair for pair in pairs if pair[0].split != pair[1].split]
    if across:
        text = f"{many(across, 'pair')} of images in different splits that look the same."
        cure = "Look at them; copies of one image belong into one split."
        yield Finding("warning", "near-leak", text, cure, _listed(dataset, across))
    torn = [pair for pair in pairs if pair[0].label != pair[1].label and isinstance(pair[0].record.label, int)]
    if torn:
        text = f"{many(torn, 'pair')} of images with different labels that look the same."
        yield Finding("warning", "near-contradiction", text, "Look at the labels.", _listed(dataset, torn))
    within = [pair for pair in pairs if pair not in across and pair not in torn]
    if within:
        text = f"{many(within, 'pair')} of images within a split that look the same."
        yield Finding("info", "near-duplicate", text, files=_listed(dataset, within))


def _listed(dataset: Dataset, groups: Sequence[Sequence[_Seen]]) -> tuple[str, ...]:
    """One line a group: `train/a.png [cat] = test/b.png [dog]`."""
    return tuple(" = ".join(_called(dataset, image) for image in group) for group in groups)


def _called(dataset: Dataset, image: _Seen) -> str:
    label = image.record.label
    name = dataset.classes[label] if isinstance(label, int) else ""
    return f"{image.record.name} ({image.split}{', ' if name else ''}{name})"


def _classes(dataset: Dataset, counts: dict[str, tuple[int, ...]], unit: str) -> Iterator[Finding]:
    """Classes without images, classes that a split lacks, and classes that are far from equally large."""
    one = {"boxes": "box"}.get(unit, unit.removesuffix("s"))
    totals = [sum(split[at] for split in counts.values()) for at in range(len(dataset.classes))]
    needless = {BACKGROUND} if unit == "pixels" else set()  # shapes may cover all of it
    empty = [
        name for name, total in zip(dataset.classes, totals, strict=True) if not total and name.lower() not in needless
    ]
    if empty:
        article = "an" if one == "image" else "a"
        text = f"{many(empty, 'class', 'classes')} without {article} {one} that can be used: {few(empty)}."
        yield Finding("error", "empty-class", text, "Add images or remove the class.")
    for split, numbers in counts.items():
        missing = [name for name, here, all_ in zip(dataset.classes, numbers, totals, strict=True) if all_ > here == 0]
        if missing:
            level: Literal["error", "warning"] = "error" if split == "train" else "warning"
            text = f"The {split} split has no {one} of {many(missing, 'class', 'classes')}: {few(missing)}."
            yield Finding(level, "missing-class", text, "Add images of them, or move some there.")
    present = [total for total in totals if total]
    if present and max(present) > min(present):
        ratio = max(present) / min(present)
        most, least = (dataset.classes[totals.index(pick(present))] for pick in (max, min))
        text = (
            f"The largest class ({most}, {max(present):,}) is {ratio:.1f} times the smallest "
            f"({least}, {min(present):,})."
        )
        cure = "Consider --class-weights balanced." if ratio >= RARE and unit != "boxes" else ""
        yield Finding("warning" if ratio >= RARE else "info", "imbalance", text, cure)


def _masks(dataset: Dataset, seen: Sequence[_Seen]) -> Iterator[Finding]:
    """How the pixels of each split are shared out, and masks that mark nothing."""
    for split in dataset.splits:
        here = [image for image in seen if image.split == split and image.marks]
        if here:
            marks, total = np.sum([image.marks for image in here], axis=0), sum(math.prod(i.shape[:2]) for i in here)
            found = [(name, pixels / total) for name, pixels in zip(dataset.classes, marks, strict=True) if pixels]
            shares = [f"{name} {share:.2%}" for name, share in found]
            shares += [f"ignored {1 - marks.sum() / total:.2%}"] if marks.sum() < total else []
            yield Finding("info", "frequencies", f"Pixels of {split}: {', '.join(shares)}.")
    first = 1 if dataset.classes[0].lower() == BACKGROUND else 0
    empty = [image.record.name for image in seen if image.marks and not any(image.marks[first:])]
    if empty:
        text = f"{many(empty, 'mask')} in which no pixel is of any class."
        yield Finding("info", "empty-mask", text, "They are used; look whether they are meant.", tuple(empty))


def _shapes(seen: Sequence[_Seen]) -> Iterator[Finding]:
    """Sizes, proportions and channels."""
    if not seen:
        return
    heights, widths = ([image.shape[axis] for image in seen] for axis in (0, 1))
    sizes = len({image.shape[:2] for image in seen})
    span = f"{min(widths)}x{min(heights)}" + ("" if sizes == 1 else f" to {max(widths)}x{max(heights)}")
    yield Finding("info", "sizes", f"Images of {sizes} size{'s' * (sizes > 1)}, {span} pixels (width x height).")
    tiny = [image.record.name for image in seen if min(image.shape[:2]) < SMALL]
    if tiny:
        text = f"{many(tiny, 'image')} with a side of less than {SMALL} pixels."
        yield Finding("warning", "tiny", text, "Replace or remove them.", tuple(tiny))
    long = [image.record.name for image in seen if max(image.shape[:2]) > LONG * min(image.shape[:2])]
    if long:
        text = f"{many(long, 'image')} more than {LONG:g} times as long as wide: a square shows little of that."
        yield Finding("warning", "proportions", text, "Cut them, or train with more pixels.", tuple(long))
    channels = Counter(image.shape[2] for image in seen)
    if len(channels) > 1:
        fewer = min(channels, key=lambda count: channels[count])
        names = tuple(image.record.name for image in seen if image.shape[2] == fewer)
        text = f"Grey: {channels[1]}, in colour: {channels[3]}. Grey images get three equal channels."
        yield Finding("info", "channels", text, files=names)


def _noted(ledger: Ledger) -> Iterator[Finding]:
    """What the reader changed, by kind."""
    kinds = Counter("".join(sign for sign in note.text if not sign.isdigit()) for note in ledger.notes)
    for kind, count in kinds.most_common():
        notes = [note for note in ledger.notes if "".join(s for s in note.text if not s.isdigit()) == kind]
        text = f"{count} files: {notes[0].text}." if count > 1 else f"{notes[0].file}: {notes[0].text}."
        yield Finding("info", "note", text, files=tuple(note.file for note in notes) if count > 1 else ())
