"""YOLO's boxes: a text file for every image, a line an object, and a YAML file that names splits and classes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pellucid.data.box_intake import (
    EXACT,
    ImageBoxes,
    exact_numbers,
    exact_text,
    nearest,
    photo_sizes,
    refuse_ignored,
)
from pellucid.data.boxes import Box, Xyxy
from pellucid.data.class_table import refuse_unwritable, table_of_names
from pellucid.data.copying import placed
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.yolo import (
    Listing,
    first_lines,
    folders_here,
    label_lines,
    labelled,
    listing_at,
    listings,
    offered,
    refuse_orphans,
    says_task,
    write_listing,
)
from pellucid.errors import DataError
from pellucid.files import write_atomic
from pellucid.image import read_header
from pellucid.types import Record

__all__ = ["FORMATS", "YoloBoxesFormat"]

WORDS = ("class", "centre x", "centre y", "width", "height")
SCORED = (*WORDS, "score")
CURE = "Write a class and four shares of width and height, `3 0.5 0.5 0.2 0.1`: the centre, then the size."
EXPORT_CURE = "Write it as a box, or read the polygons with --format yolo-masks."
DIGITS = (7, 12, 17, 24, 40)  # after the point, tried until the corners come out again


class YoloBoxesFormat(AbstractFormat):
    """`data.yaml` (path, train, val, test, names); boxes in `labels` for images in `images`, by the same paths.

    Shares are read and written as decimal fractions, with as many digits as it takes to find the same corners again, to
    the last bit (of those from a billionth of a pixel). Objects to ignore cannot be said; given areas are not kept. A
    sixth number is the score that a model gave; it is written where there is one, and not used when read.
    """

    name = "yolo-boxes"
    task = "detect"

    def sniff(self, path: Path) -> bool:
        """A YAML file with names and splits that says `task: detect`, or whose label files begin with a box."""
        try:
            return any(_holds_boxes(listing) for listing in listings(path))
        except DataError:  # yolo-masks takes such a file, and says what is wrong with it
            return False

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the names in the order of their ids."""
        listing = listing_at(path)
        table = table_of_names(listing.content["names"], listing.path)
        classes, by_id = table.all_classes()
        labels = {Decimal(key): label for key, label in by_id.items()}
        intake = offered(listing)
        intake.use(listing.path.relative_to(intake.root), len(table.names))
        splits: dict[str, list[Record]] = {}
        for split, folders in listing.splits.items():
            here = folders_here(intake, folders)
            splits[split] = [record for folder in here for record in _records(intake, folder, labels, listing)]
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, `labels/split` and `data.yaml`."""
        refuse_unwritable(dataset.classes)
        refuse_ignored(dataset.splits, self.name)
        claim_folder(folder)
        for split, record, path in placed(dataset, lambda split: folder / "images" / split):
            size = read_header(path)[:2]
            lines = [" ".join([str(box.label), *_shares(box.xyxy, size), *_score(box)]) + "\n" for box in record.label]
            write_atomic(folder / "labels" / split / f"{path.stem}.txt", "".join(lines))
        write_listing(folder, self.task, list(dataset.splits), dataset.classes)


def _holds_boxes(listing: Listing) -> bool:
    """Whether a YAML file is about boxes, by what it says or by the first line of some label file."""
    if task := says_task(listing):
        return task == YoloBoxesFormat.task
    return any(
        len(words) in (len(WORDS), len(SCORED))
        and not isinstance(exact_numbers(dict(zip(SCORED, words, strict=False))), str)
        for words in first_lines(listing)
    )


def _records(intake: Intake, folder: Path, labels: Mapping[Decimal, int], listing: Listing) -> list[Record]:
    pairs = labelled(intake, folder, listing)
    sizes = photo_sizes(intake, pairs)
    records = []
    for image, label in pairs.items():
        if image in sizes:
            records.append(_record(ImageBoxes(intake, image, sizes[image]), label, labels))
        elif label is not None:
            intake.waiting.pop(label)
            intake.refuse_label(label.as_posix(), f"its image {image} cannot be used", "Mend the image.", line=1)
    refuse_orphans(intake, folder)
    return [record for record in records if record]


def _record(taken: ImageBoxes, label: Path | None, labels: Mapping[Decimal, int]) -> Record | None:
    if label is None:
        return taken.record("no label file: all of it is background")
    scored = False
    for number, line in label_lines(taken.intake, label).items():
        words = line.split()
        scored |= len(words) == len(SCORED)
        found = _box(words, labels, taken.size)
        cure = EXPORT_CURE if len(words) > len(SCORED) else CURE
        taken.take(found, label.as_posix(), line=number, value=line[:60], cure=cure)
    if scored:
        taken.intake.note(label, "its scores, the sixth numbers, are not used: its boxes are a model's")
    taken.intake.use(label, len(taken.boxes))
    return taken.record()


def _box(words: Sequence[str], labels: Mapping[Decimal, int], size: tuple[int, int]) -> Box | str:
    """The box in a line, or what is wrong with it."""
    if len(words) not in (len(WORDS), len(SCORED)):
        return f"it has {len(words)} numbers, and a box has {len(WORDS)}"
    numbers = exact_numbers(dict(zip(SCORED, words, strict=False)))  # five words, or six
    if isinstance(numbers, str):
        return numbers
    key, x, y, width, height, *_ = numbers
    if key not in labels:
        return f"there is no class {words[0]:.20}"
    if width < 0 or height < 0:
        return f"its {'width' if width < 0 else 'height'} is negative"
    left, right = _ends(x, width, size[1])
    top, bottom = _ends(y, height, size[0])
    return Box(nearest(left, top, right, bottom), labels[key])


def _ends(middle: Decimal, length: Decimal, side: int) -> tuple[Decimal, Decimal]:
    half = EXACT.divide(length, Decimal(2))
    ends = EXACT.subtract(middle, half), EXACT.add(middle, half)
    return EXACT.multiply(ends[0], Decimal(side)), EXACT.multiply(ends[1], Decimal(side))


def _shares(xyxy: Xyxy, size: tuple[int, int]) -> tuple[str, str, str, str]:
    """Centre and size as shares, in the fewest digits from which the same corners are read."""
    (x, width), (y, height) = (
        _share(low, high, side) for low, high, side in zip(xyxy, xyxy[2:], size[::-1], strict=False)
    )
    return exact_text(x), exact_text(y), exact_text(width), exact_text(height)


def _score(box: Box) -> list[str]:
    return [] if box.score is None else [f"{box.score:.6g}"]


def _share(low: float, high: float, side: int) -> tuple[Decimal, Decimal]:
    """(middle, length) of an interval: its ends are rounded, so that 0 and the whole stay what they are."""
    found = Decimal(0), Decimal(0)
    for digits in DIGITS:
        step = Decimal(1).scaleb(-digits)
        start, end = (EXACT.quantize(EXACT.divide(Decimal(repr(at)), Decimal(side)), step) for at in (low, high))
        found = EXACT.divide(EXACT.add(start, end), Decimal(2)), EXACT.subtract(end, start)
        if tuple(map(float, _ends(*found, side))) == (low, high):
            break
    return found


FORMATS = {"yolo-boxes": YoloBoxesFormat()}
