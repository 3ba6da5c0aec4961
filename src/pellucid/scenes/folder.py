"""A segmentation dataset of scenes as files."""

from collections.abc import Container, Mapping
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.scenes.composing import CLASSES, scene

__all__ = ["SPLITS", "write_scenes"]

SPLITS = ("train", "val", "test")


def write_scenes(folder: Path, counts: Mapping[str, int], size: tuple[int, int], seed: int = 0) -> None:
    """`split/images/0000.png`, `split/masks/0000.png` (grey, class indices) and `classes.txt`, one name a line.

    The splits take the scenes of the seed in turn, so that none of them changes with the others' counts. The same
    arguments give the same files again; a folder that holds other images or masks is refused.
    """
    for split, count in counts.items():
        if split not in SPLITS:
            raise UsageError(f"Scenes have no split {split!r}: give counts for {', '.join(SPLITS)}.")
        if count < 0:
            raise UsageError(f"There cannot be {count} scenes of split {split!r}: give 0 or more.")
    files = {
        number * len(SPLITS) + place: (_path(folder, split, "images", number), _path(folder, split, "masks", number))
        for place, split in enumerate(SPLITS)
        for number in range(counts.get(split, 0))
    }
    _refuse_others(folder, {path for pair in files.values() for path in pair})
    write_atomic(folder / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    for index, (image, mask) in files.items():
        drawn = scene(seed, size, index)
        write_image(image, drawn.pixels)
        write_image(mask, drawn.labels)


def _path(folder: Path, split: str, kind: str, number: int) -> Path:
    return folder / split / kind / f"{number:04d}.png"


def _refuse_others(folder: Path, files: Container[Path]) -> None:
    """What an earlier call left would be taken for part of the dataset."""
    for split in SPLITS:
        for path in sorted(folder.glob(f"{split}/*/*")):
            if path not in files:
                raise UsageError(f"{path} is not among the scenes to write: choose a new folder, or remove this one.")
