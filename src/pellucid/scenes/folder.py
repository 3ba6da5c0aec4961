"""A segmentation dataset of scenes as files."""

from collections.abc import Mapping
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
    for split in counts:
        if split not in SPLITS:
            raise UsageError(f"Scenes have no split {split!r}: give counts for {', '.join(SPLITS)}.")
    numbers = {split: range(counts.get(split, 0)) for split in SPLITS}
    _refuse_others(folder, {f"{split}/{number:04d}" for split in SPLITS for number in numbers[split]})
    write_atomic(folder / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    for place, split in enumerate(SPLITS):
        for number in numbers[split]:
            drawn = scene(seed, size, index=number * len(SPLITS) + place)
            write_image(folder / split / "images" / f"{number:04d}.png", drawn.pixels)
            write_image(folder / split / "masks" / f"{number:04d}.png", drawn.labels)


def _refuse_others(folder: Path, stems: set[str]) -> None:
    """What an earlier call left would be taken for part of the dataset."""
    for split in SPLITS:
        for path in sorted(folder.glob(f"{split}/*/*")):
            if f"{split}/{path.stem}" not in stems:
                raise UsageError(f"{path} is not among the scenes to write: choose a new folder, or remove this one.")
