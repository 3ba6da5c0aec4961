"""YAML files that describe a dataset: read as plain values, no code, and the folders that they name.

What such a file says is shown through reprlib: written out in full, a few lines of YAML can be endless.
"""

import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data.dataset import split_named
from pellucid.data.intake import Intake
from pellucid.errors import DataError

__all__ = ["FolderFile", "folder_file", "intake_around", "read_yaml", "yaml_contents"]

SUFFIXES = (".yaml", ".yml")
KINDS = {"images", "masks", "annotations"}
MOST_BYTES = 100_000  # 255 classes fill a tenth of that; more would take minutes to read


def yaml_contents(path: Path) -> list[tuple[Path, dict[Any, Any]]]:
    """The YAML files in a folder, or the path itself where it is one, with what they hold.

    A file that cannot be read is left out where others can be.
    """
    entries = sorted(path.iterdir()) if path.is_dir() else [path]
    found, troubles = [], []
    for file in [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]:
        try:
            found.append((file, read_yaml(file)))
        except DataError as error:
            troubles.append(error)
    if troubles and not found:
        raise troubles[0]
    return found


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file. Aliases are refused: a few lines of them are more than any memory holds."""
    import yaml  # only those who have such a file pay for it

    try:
        raw = path.read_bytes()
        if len(raw) > MOST_BYTES:
            raise DataError(f"{path} has {len(raw):,} bytes; what describes a dataset has {MOST_BYTES:,} at most.")
        if b"*" in raw and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(raw, yaml.SafeLoader)):
            raise DataError(f"{path} has aliases (`*name`), which are not read. Write their values out.")
        content = yaml.safe_load(raw)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as YAML: {' '.join(str(error).split())[:200]}. Mend it.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold keys and values, such as `names:`; it holds {reprlib.repr(content)}.")
    return content


def intake_around(file: Path, home: Path, places: Iterable[Path]) -> Intake:
    """All files in the folders that a YAML file names, and in their home where they lie in it.

    A link on the way to a folder that is named leads where its author meant it to.
    """
    here = [place for place in places if place.is_dir()]
    walked = [home, *here] if any(place.is_relative_to(home) for place in here) else here
    around = [file.parent, *walked]
    return Intake(Path(os.path.commonpath([*around, *(folder.resolve() for folder in around)])), walked)


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A YAML file that names the folders of each split, as `train: {images: ../images/train, masks: masks/train}`."""

    path: Path
    content: Mapping[Any, Any]
    splits: Mapping[str, Mapping[str, Path]]
    missing: tuple[str, ...]

    def intake(self) -> tuple[Intake, dict[str, dict[str, Path]]]:
        """All files in its own folder and in those that it names, and these in each split, relative to the root."""
        if not self.splits:
            raise DataError(f"{self.path}: {'; '.join(self.missing)}. Put them there, or mend the file.")
        named = [place for places in self.splits.values() for place in places.values()]
        intake = intake_around(
            self.path, self.path.parent, [place if place.is_dir() else place.parent for place in named]
        )
        own = self.path.relative_to(intake.root)
        intake.use(own)
        for text in self.missing:
            intake.note(own, text)
        relative = {
            split: {kind: place.relative_to(intake.root) for kind, place in places.items()}
            for split, places in self.splits.items()
        }
        return intake, relative


def folder_file(path: Path, kinds: set[str]) -> FolderFile | None:
    """The YAML file at a path that names folders of just these kinds (`images`, `masks`, `annotations`)."""
    for file, content in yaml_contents(path.resolve()):
        named = {
            split: {kind: _named(file, value[kind]) for kind in sorted(kinds)}
            for key, value in content.items()
            if isinstance(value, dict) and KINDS & value.keys() == kinds and (split := split_named(str(key)))
        }
        gone = {split: [str(at) for at in places.values() if not at.exists()] for split, places in named.items()}
        missing = [f"its split {split!r} is not here: there is no {', '.join(at)}" for split, at in gone.items() if at]
        if named:
            splits = {split: places for split, places in named.items() if not gone[split]}
            return FolderFile(file, content, splits, tuple(missing))
    return None


def _named(file: Path, place: Any) -> Path:
    if not isinstance(place, str):
        raise DataError(f"{file} must name a folder where it says {reprlib.repr(place)}.")
    return Path(os.path.normpath(file.parent / place))
