"""YAML files that describe a dataset: read as plain values, no code, and the folders that they name.

What such a file says is shown through reprlib: written out in full, a few lines of YAML can be endless.
"""

import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data.dataset import split_named
from pellucid.data.intake import Intake
from pellucid.errors import DataError

__all__ = ["FolderFile", "folder_file", "read_yaml", "yaml_files"]

SUFFIXES = (".yaml", ".yml")
KINDS = {"images", "masks", "annotations"}


def yaml_files(path: Path) -> list[Path]:
    """The YAML files in a folder, or the path itself where it is one."""
    entries = sorted(path.iterdir()) if path.is_dir() else [path]
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file."""
    import yaml  # only those who have such a file pay for it

    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as YAML: {' '.join(str(error).split())[:200]}. Mend it.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold keys and values, such as `names:`; it holds {reprlib.repr(content)}.")
    return content


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A YAML file that names the folders of each split, as `train: {images: ../images/train, masks: masks/train}`."""

    path: Path
    content: Mapping[Any, Any]
    splits: Mapping[str, Mapping[str, Path]]
    missing: tuple[str, ...]

    def intake(self) -> tuple[Intake, dict[str, dict[str, Path]]]:
        """All files in its own folder and in those that it names, and these in each split, relative to the root."""
        named = [place for places in self.splits.values() for place in places.values()]
        folders = [self.path.parent, *(place if place.is_dir() else place.parent for place in named)]
        intake = Intake(Path(os.path.commonpath(folders)), folders)
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
    for file in yaml_files(path.resolve()):
        content = read_yaml(file)
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
