"""Images that go over into a dataset in another format: the same files under new names."""

from collections.abc import Callable, Iterator
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.dataset import Dataset
from pellucid.image import read_header, write_image
from pellucid.types import Record

__all__ = ["copies", "copy_image", "mask_of", "placed"]


def copy_image(dataset: Dataset, record: Record, folder: Path) -> Path:
    """Put one image into a folder under a name that is still free there; gives its new path."""
    packed = record.item is not None
    stem = f"{record.path.name.split('.')[0]}-{record.item:06d}" if packed else record.path.stem
    suffix = ".png" if packed else record.path.suffix
    target, number = folder / f"{stem}{suffix}", 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}{suffix}"
    raw = dataset.encoded(record)
    if raw is None:
        write_image(target, dataset.image(record).pixels)
    else:
        target.write_bytes(raw)
    return target


def copies(
    dataset: Dataset, folder_of: Callable[[str], Path]
) -> Iterator[tuple[str, Record, Path, UInt8[ndarray, "h w"]]]:
    """(split, record, copied image, mask) of every image with a mask; no two copies differ in their suffixes only."""
    for split, record, path in placed(dataset, folder_of):
        yield split, record, path, mask_of(dataset, record)


def placed(dataset: Dataset, folder_of: Callable[[str], Path]) -> Iterator[tuple[str, Record, Path]]:
    """(split, record, copied image) of every image; no two copies in a folder differ in their suffixes only."""
    taken: dict[Path, set[str]] = {}
    for split, records in dataset.splits.items():
        folder = folder_of(split)
        folder.mkdir(parents=True, exist_ok=True)
        stems = taken.setdefault(folder, set())
        for record in records:
            path = copy_image(dataset, record, folder)
            stem, number = path.stem, 1
            while stem in stems:
                number += 1
                stem = f"{path.stem}-{number}"
            stems.add(stem)
            yield split, record, path.rename(path.with_stem(stem))


def mask_of(dataset: Dataset, record: Record) -> UInt8[ndarray, "h w"]:
    """The mask of an image, in the size that the image's header says."""
    raw = dataset.encoded(record)
    size = dataset.image(record).pixels.shape[:2] if raw is None else read_header(raw)[:2]
    mask: UInt8[ndarray, "h w"] = record.label.read(dataset.root, size)
    return mask
