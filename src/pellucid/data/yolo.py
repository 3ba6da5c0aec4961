"""YOLO's way of keeping labels: a text file for every image, a line an object; a YAML file names splits and classes."""

import itertools
import os
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data.intake import Intake
from pellucid.data.walk import is_image
from pellucid.data.yaml_file import intake_around, yaml_contents
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic

__all__ = [
    "Listing",
    "first_lines",
    "folders_here",
    "label_lines",
    "labelled",
    "listing_at",
    "listings",
    "offered",
    "refuse_orphans",
    "says_task",
    "write_listing",
]

SPLITS = ("train", "val", "test")
FILES = 100  # of labels that are looked into before a dataset is taken for one of other labels
TASK = "task"
TASKS = ("segment", "detect")
SKIP = "skip_if_label_file_missing"
NAMES = "classes.txt"  # labelling tools leave it among the labels


@dataclass(frozen=True, slots=True)
class Listing:
    """What the YAML file says. `base` is the folder that it names, which may be another computer's."""

    path: Path
    content: dict[Any, Any]
    base: Path

    @property
    def home(self) -> Path:
        """The folder below which images are looked for."""
        return self.base if self.base.is_dir() else self.path.parent

    @property
    def splits(self) -> dict[str, list[Path]]:
        """Folders of images, here or not, by split; exports of Roboflow say `../train/images` for `train/images`."""
        named = {split: self.content[split] for split in SPLITS if self.content.get(split)}
        texts = {split: value if isinstance(value, list) else [value] for split, value in named.items()}
        return {split: [self._folder(text) for text in listed] for split, listed in texts.items()}

    def _folder(self, text: Any) -> Path:
        if not isinstance(text, str):
            raise DataError(f"{self.path} must name a folder of images where it says {reprlib.repr(text)}.")
        folder = Path(os.path.normpath(self.home / text))
        if folder.is_file():
            raise DataError(f"{self.path} must name a folder of images where it names the file {folder}.")
        return folder if folder.is_dir() else Path(os.path.normpath(self.home / text.removeprefix("../")))

    def label_files(self) -> Iterator[Path]:
        """The label files of all splits that are here, as they come."""
        places = [place for folders in self.splits.values() for folder in folders for place in places_of(folder)]
        return (file for place in places for file in sorted(place.rglob("*.txt")) if file.is_file())


def listings(path: Path) -> list[Listing]:
    """The YAML files at a path that name classes and folders of images."""
    found = []
    for file, content in yaml_contents(path.resolve()):
        if "names" in content and any(isinstance(content.get(split), str | list) for split in SPLITS):
            base = content.get("path")
            home = Path(os.path.normpath(file.parent / (base if isinstance(base, str) else "")))
            found.append(Listing(file, content, home))
    return found


def listing_at(path: Path) -> Listing:
    """The only one of them."""
    found = listings(path)
    if len(found) != 1:
        names = ", ".join(listing.path.name for listing in found) or "none"
        raise UsageError(f"{path} must hold one YAML file with `names` and `train`; it holds {names}. Give its path.")
    return found[0]


def offered(listing: Listing) -> Intake:
    """All files in the home of the YAML file and where it leads; what it names and is not there is noted."""
    named = [(split, place) for split, folders in listing.splits.items() for place in folders]
    places = [place for _, folder in named for place in places_of(folder)]
    if not any(folder.is_dir() for _, folder in named):
        gone = ", ".join(str(folder) for _, folder in named)
        raise DataError(f"{listing.path} names folders that are not here: {gone}. Mend its `path`, or put them there.")
    intake = intake_around(listing.path, listing.home, places)
    own = listing.path.relative_to(intake.root)
    if listing.home != listing.base:
        intake.note(own, f"its path {listing.base} is not here; folders are looked for beside it")
    for split, folder in named:
        if not folder.is_dir():
            intake.note(own, f"its split {split!r} is not here: there is no folder {folder}")
    return intake


def places_of(path: Path) -> tuple[Path, Path]:
    """Where the labels for a path of images lie: `labels/train` for `images/train`, or beside them."""
    parts = list(path.parts)
    at = max((at for at, part in enumerate(parts) if part == "images"), default=None)
    return (path, path) if at is None else (Path(*parts[:at], "labels", *parts[at + 1 :]), path)


def says_task(listing: Listing) -> str | None:
    """The task that a YAML file names, where it is one of those that have labels of this kind."""
    task = listing.content.get(TASK)
    return next((name for name in TASKS if name == task), None)


def first_lines(listing: Listing) -> Iterator[list[str]]:
    """The words of the first line of label files, of which not too many are looked into."""
    for file in itertools.islice(listing.label_files(), FILES):
        yield from (line.split() for line in file.read_text("utf-8", "replace").strip().splitlines()[:1])


def folders_here(intake: Intake, folders: Sequence[Path]) -> list[Path]:
    """Those of the named folders that are here, relative to the root."""
    return [folder.relative_to(intake.root) for folder in folders if any(map(Path.is_dir, places_of(folder)))]


def labelled(intake: Intake, folder: Path, listing: Listing) -> dict[Path, Path | None]:
    """The images of a folder with their label files; where the listing wants one, an image without it is refused."""
    found: dict[Path, Path | None] = {}
    for image in filter(is_image, intake.below(folder)):
        label = next((place for at in places_of(image) if (place := at.with_suffix(".txt")) in intake.waiting), None)
        if label is None and listing.content.get(SKIP):
            intake.refuse(
                image, f"it has no label file, and {listing.path.name} says {SKIP}", "Add one, even an empty one."
            )
        else:
            found[image] = label
    return found


def refuse_orphans(intake: Intake, folder: Path) -> None:
    """Refuse the label files that are left waiting, since no image has their name."""
    labels = [path for place in places_of(folder) for path in intake.below(place) if path.suffix == ".txt"]
    for label in dict.fromkeys(labels):
        if label.name != NAMES:
            intake.waiting.pop(label)
            said = f"there is no image of its name in {folder}"
            intake.refuse_label(label.as_posix(), said, "Put its image there, or remove it.", line=1)


def label_lines(intake: Intake, path: Path) -> dict[int, str]:
    """The lines of a label file that are not blank, by their numbers."""
    lines = (intake.root / path).read_text("utf-8-sig", "replace").splitlines()
    return {number: line for number, line in enumerate(lines, 1) if line.strip()}


def write_listing(folder: Path, task: str, splits: Sequence[str], names: Sequence[str]) -> None:
    """The YAML file of a dataset that was written: its task, a folder of images a split, and names by number."""
    import yaml

    places = {split: f"images/{split}" for split in splits}
    content = {TASK: task, "path": ".", **places, "names": dict(enumerate(names))}
    write_atomic(folder / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
