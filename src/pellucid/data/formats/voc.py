"""Pascal VOC: an XML file of boxes for every image, and lists of the images of each split."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

from pellucid.data.box_intake import EXACT, ImageBoxes, exact_numbers, exact_text, nearest, photo_sizes
from pellucid.data.boxes import Box
from pellucid.data.class_names import CLASSES, ClassNames
from pellucid.data.class_table import class_lines_text
from pellucid.data.copying import placed
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, class_lines, split_named
from pellucid.data.intake import Intake
from pellucid.data.walk import folders_in, is_image
from pellucid.data.xml_file import Element, XmlTrouble, read_xml
from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import GREY, read_header
from pellucid.types import Record

__all__ = ["FORMATS", "VocFormat"]

ANNOTATIONS = ("annotations",)
IMAGES = ("jpegimages", "images")
LISTS = Path("ImageSets", "Main")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
FILES = 100  # of XML that are looked into before a folder is taken for one of other things
HEAD = 1000  # bytes, in which the outermost element begins
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class _Page:
    """The XML file of an image that is here, and what it holds."""

    path: Path
    image: Path
    top: Element


@dataclass(frozen=True, slots=True)
class _Photos:
    """The images below a folder, by their paths without suffix; each belongs to one XML file."""

    annotations: Path
    folder: Path
    places: Mapping[Path, list[Path]]
    taken: set[Path]

    @classmethod
    def of(cls, intake: Intake, annotations: Path, folder: Path) -> "_Photos":
        places: dict[Path, list[Path]] = {}
        for path in filter(is_image, intake.below(folder)):
            places.setdefault(path.with_suffix(""), []).append(path)
        return cls(annotations, folder, places, set())

    def take(self, xml: Path, filename: str) -> Path | None:
        """The image of the XML file's name; of several, or where there is none, the one that it names itself."""
        beside = self.folder / xml.relative_to(self.annotations).with_suffix("")
        fitting = self.places.get(beside, [])
        named = beside.with_name(Path(filename).name or beside.name)
        if len(fitting) != 1:
            fitting = [path for path in fitting or self.places.get(named.with_suffix(""), []) if path == named]
        free = [path for path in fitting if path not in self.taken]
        self.taken.update(free)
        return next(iter(free), None)


class VocFormat(AbstractFormat):
    """`Annotations/a.xml` for `JPEGImages/a.jpg`; `ImageSets/Main/train.txt` and so on name what is in each split.

    Corners count from 1 and belong to the box: left is xmin - 1 and right is xmax, as decimal fractions, so that any
    corner is read as it was written, to the last bit. A box both of whose corners are the same pixel is a click, and no
    box. Difficult objects are ignored ones. Areas that another format gives are not kept. `classes.txt` beside the
    folders gives classes their order, and refuses others; without it they are the names that occur.
    """

    name = "voc"
    task = "detect"

    def sniff(self, path: Path) -> bool:
        """A folder of annotations with an XML file that begins like one."""
        folder = _folder(path, ANNOTATIONS)
        files = itertools.islice((path / folder).rglob("*.xml"), FILES) if folder else ()
        return any(_begins_well(file) for file in files)

    def read(self, path: Path) -> Dataset:
        """One record an image, in the order of the lists; without lists all are in train."""
        intake = Intake(path, [path])
        annotations, images = _folder(path, ANNOTATIONS), _folder(path, IMAGES)
        if annotations is None or images is None:
            raise UsageError(f"{path} must hold the folders Annotations and JPEGImages. Give the folder around them.")
        splits = _splits(intake, annotations)
        photos = _Photos.of(intake, annotations, images)
        pages = {xml: page for xml in _listed(splits) if (page := _page(intake, xml, photos))}
        names = ClassNames.of(intake, [_name(thing) for page in pages.values() for thing in page.top.all("object")])
        sizes = photo_sizes(intake, [page.image for page in pages.values()])
        records = {
            split: [_record(intake, pages[xml], names, sizes) for xml in listed if xml in pages]
            for split, listed in splits.items()
        }
        return intake.dataset(
            self, names.classes, {split: [record for record in here if record] for split, here in records.items()}
        )

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`JPEGImages`, `Annotations`, `ImageSets/Main` and `classes.txt`."""
        names = class_lines_text(dataset.classes)
        _refuse_pixels(dataset)
        stems = [record.path.stem for records in dataset.splits.values() for record in records]
        class_lines(stems)
        claim_folder(folder)
        listed: dict[str, list[str]] = {split: [] for split in dataset.splits}
        for split, record, path in placed(dataset, lambda _: folder / "JPEGImages"):
            text = _xml(path, record.label, dataset.classes)
            write_atomic(folder / "Annotations" / f"{path.stem}.xml", text)
            listed[split].append(f"{path.stem}\n")
        for split, lines in listed.items():
            write_atomic(folder / LISTS / f"{split}.txt", "".join(lines))
        write_atomic(folder / CLASSES, names)


def _folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The folder in a root that has one of these names, relative to it."""
    return next((Path(folder.name) for folder in folders_in(root) if folder.name.lower() in names), None)


def _begins_well(file: Path) -> bool:
    try:
        with file.open("rb") as handle:
            return file.is_file() and b"<annotation" in handle.read(HEAD)
    except OSError:
        return False


def _splits(intake: Intake, annotations: Path) -> dict[str, list[Path]]:
    """The XML files of each split as the lists have them; those that no list names are refused."""
    xmls = [path for path in intake.below(annotations) if path.suffix.lower() == ".xml"]
    lists = [path for path in intake.below(LISTS) if path.parent == LISTS and path.suffix == ".txt"]
    named = {path: split for path in lists if (split := split_named(path.stem))}
    both = LISTS / "trainval.txt"
    if both in lists:
        if "train" in named.values():
            intake.use(both, 0)
            intake.note(both, "not read: there is a list of train")
        else:
            named[both] = "train"
    if not named:
        return {"train": xmls}
    splits = _read_lists(intake, named, annotations, set(xmls))
    for xml in set(xmls).difference(*splits.values()):
        intake.waiting.pop(xml)
        said = f"no list of train, val or test in {LISTS.as_posix()} names it"
        intake.refuse_label(xml.as_posix(), said, "Add its name to one of them, or remove it.", line=1)
    return splits


def _read_lists(intake: Intake, named: Mapping[Path, str], annotations: Path, xmls: set[Path]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {split: [] for split in ("train", "val", "test") if split in named.values()}
    seen: dict[Path, str] = {}
    for path, split in named.items():
        lines = (intake.root / path).read_text("utf-8-sig", "replace").splitlines()
        for number, stem in [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]:
            xml = annotations / f"{stem}.xml"
            if xml in xmls and xml not in seen:
                seen[xml] = f"{path.name}:{number}"
                splits[split].append(xml)
                continue
            said = f"it stands in {seen[xml]} already" if xml in seen else f"there is no file {xml.as_posix():.80}"
            cure = "Keep one of the two lines." if xml in seen else "Put it there, even without objects."
            intake.refuse_label(path.as_posix(), said, cure, line=number, value=stem)
        intake.use(path, sum(place.startswith(f"{path.name}:") for place in seen.values()))
    return splits


def _listed(splits: Mapping[str, list[Path]]) -> Iterator[Path]:
    return (xml for listed in splits.values() for xml in listed)


def _page(intake: Intake, xml: Path, photos: _Photos) -> _Page | None:
    """The XML file with its image, which has its name; it is refused where there is none, or where it is damaged."""
    intake.waiting.pop(xml)
    try:
        top = read_xml(intake.root / xml)
    except XmlTrouble as trouble:
        intake.refuse_label(xml.as_posix(), trouble.reason, "Replace it with an intact copy.", line=trouble.line)
        return None
    if top.name != "annotation":
        said, cure = "its outermost element is no annotation", "Write <annotation> around it."
        intake.refuse_label(xml.as_posix(), said, cure, line=top.line, value=top.name)
        return None
    image = photos.take(xml, top.said("filename"))
    if image is None:
        said = f"there is no image of its name in {photos.folder.as_posix()}"
        intake.refuse_label(xml.as_posix(), said, "Put its image there, or remove it.", line=1)
        return None
    return _Page(xml, image, top)


def _name(thing: Element) -> str:
    return thing.said("name")


def _record(intake: Intake, page: _Page, names: ClassNames, sizes: Mapping[Path, tuple[int, int]]) -> Record | None:
    size, own = sizes.get(page.image), page.path.as_posix()
    if size is None:
        intake.refuse_label(own, f"its image {page.image} cannot be used", "Mend the image.", line=1)
        return None
    if trouble := _size_trouble(page.top, size):
        intake.refuse(page.image, f"{trouble} in {own}", "Look which is right, and mend the other.")
        intake.refuse_label(own, trouble, "Look which is right, and mend the other.", line=1)
        return None
    if not _says_size(page.top):
        intake.note(page.path, "it does not say the size of its image")
    taken = ImageBoxes(intake, page.image, size)
    for thing in page.top.all("object"):
        corners = thing.find("bndbox") or Element("", thing.line)
        value = f"{_name(thing)} ({', '.join(corners.said(corner) or 'nothing' for corner in CORNERS)})"
        taken.take(_box(thing, corners, names), own, line=thing.line, value=value)
    intake.use(page.path, len(taken.boxes))
    return taken.record()


def _says_size(top: Element) -> bool:
    size = top.find("size")
    return size is not None and (size.said("width"), size.said("height")) not in (("", ""), ("0", "0"))


def _size_trouble(top: Element, size: tuple[int, int]) -> str | None:
    found = top.find("size")
    if found is None or not _says_size(top):
        return None
    said = (found.said("width"), found.said("height"))
    numbers = exact_numbers({"width": said[0], "height": said[1]})
    if not isinstance(numbers, str) and numbers == [size[1], size[0]]:
        return None
    return f"the size {said[0]:.20}x{said[1]:.20} is not that of the image, {size[1]}x{size[0]},"


def _box(thing: Element, corners: Element, names: ClassNames) -> Box | str:
    """The box of an object, or what is wrong with it."""
    label, difficult = names.label(_name(thing)), thing.said("difficult")
    if isinstance(label, str):
        return label
    if difficult not in ("", "0", "1"):
        return f"its difficult is {difficult!r:.20}, and may be 0 or 1"
    numbers = exact_numbers({corner: corners.said(corner) for corner in CORNERS})
    if isinstance(numbers, str):
        return numbers
    left, top, right, bottom = numbers
    if (left, top) == (right, bottom):
        return "it has no area: both corners are the same pixel"
    return Box(nearest(EXACT.subtract(left, ONE), EXACT.subtract(top, ONE), right, bottom), label, difficult == "1")


def _refuse_pixels(dataset: Dataset) -> None:
    """Raise UsageError where both corners of a box would be the same pixel."""
    for records in dataset.splits.values():
        for record in records:
            for left, top, right, bottom in (box.xyxy for box in record.label):
                if (right - left, bottom - top) == (1, 1):
                    raise UsageError(
                        f"{record.name} has a box of a single pixel at {left:g}, {top:g}, which in voc is a click and "
                        "no box. Remove it first, or choose coco-boxes, yolo-boxes or csv-boxes."
                    )


def _xml(image: Path, boxes: Iterable[Box], classes: tuple[str, ...]) -> str:
    height, width, mode = read_header(image)
    size = f"<width>{width}</width><height>{height}</height><depth>{1 if mode in GREY else 3}</depth>"
    lines = [f"<filename>{escape(image.name)}</filename>", f"<size>{size}</size>"]
    for box in boxes:
        left, top, right, bottom = map(Decimal, map(repr, box.xyxy))
        corners = (EXACT.add(left, ONE), EXACT.add(top, ONE), right, bottom)
        texts = [f"<{tag}>{exact_text(at)}</{tag}>" for tag, at in zip(CORNERS, corners, strict=True)]
        lines += [
            "<object>",
            f"\t<name>{escape(classes[box.label])}</name><difficult>{int(box.ignored)}</difficult>",
            f"\t<bndbox>{''.join(texts)}</bndbox>",
            "</object>",
        ]
    return "\n".join(["<annotation>", *(f"\t{line}" for line in lines), "</annotation>", ""])


FORMATS = {"voc": VocFormat()}
