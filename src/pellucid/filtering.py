"""A picture file through a kernel: read, filtered, written beside nothing that anybody would miss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.cores import usable_cores
from pellucid.errors import DataError, ImageError, UsageError
from pellucid.image import read_image, write_image
from pellucid.ops.kernels import Kernel, read_kernel
from pellucid.ops.responses import Filtered, Show, filter_image
from pellucid.ops.windows import PaddingMode

__all__ = ["FilteredFile", "filter_file"]

SUFFIXES = (".png", ".jpg", ".jpeg")
WHITE = 255


@dataclass(frozen=True, slots=True, eq=False)
class FilteredFile:
    """A filtered picture that was written to `out`; `notes` say what was done to the file that was read."""

    image: str
    out: Path
    kernel: Kernel
    filtered: Filtered
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it but the pixels."""
        found = self.filtered
        height, width, channels = found.pixels.shape
        return {
            "image": self.image,
            "out": str(self.out),
            "kernel": {"name": self.kernel.name, "values": self.kernel.values.tolist()},
            "padding_mode": found.padding_mode,
            "show": found.show,
            "responses": [found.low, found.high],
            "clipped": {"at_0": found.darker, "at_255": found.brighter, "of": found.pixels.size},
            "size": {"height": height, "width": width, "channels": channels},
            "text": found.text(),
            "notes": list(self.notes),
        }


def filter_file(
    image: str,
    kernel: str,
    out: str | None = None,
    *,
    padding_mode: PaddingMode = "replicate",
    show: Show | None = None,
    side_by_side: bool = False,
) -> FilteredFile:
    """Filter the picture in a file; without `out` the result is `photo-edge` in the current folder.

    A JPEG gives a JPEG then, and any other picture a PNG, which keeps every value and takes seconds where it is large.
    """
    chosen = read_kernel(kernel)
    target = _free_name(Path(image), chosen) if out is None else _checked_out(Path(out), Path(image))
    try:
        picture = read_image(image)
    except ImageError as error:
        raise DataError(f"{image}: {error}") from error
    found = filter_image(picture.pixels, chosen, padding_mode=padding_mode, show=show, threads=usable_cores())
    notes, shown = picture.notes, _beside(picture.pixels, found.pixels) if side_by_side else found.pixels
    del picture  # writing makes a copy, and a huge picture need not lie there twice meanwhile
    write_image(target, shown)
    return FilteredFile(image, target, chosen, found, notes)


def _free_name(image: Path, kernel: Kernel) -> Path:
    """`photo-edge.jpg`, or `photo-edge-2.jpg` where that is there already."""
    stem, number = f"{image.stem}-{kernel.name}", 1
    suffix = image.suffix if image.suffix.lower() in SUFFIXES else ".png"
    found = Path(f"{stem}{suffix}")
    while found.exists():
        number += 1
        found = Path(f"{stem}-{number}{suffix}")
    return found


def _checked_out(out: Path, image: Path) -> Path:
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out {out}: pictures are written as {', '.join(SUFFIXES)}. Give a name with one of these.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder. Give the name of a file.")
    if out.exists() and image.exists() and out.samefile(image):
        raise UsageError(f"--out {out} is the picture itself, which is kept as it is. Give another name.")
    return out


def _beside(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Both pictures in a row, a white gap between them."""
    height, width, channels = left.shape
    gap = np.full((height, max(4, width // 100), channels), WHITE, np.uint8)
    return np.concatenate([left, gap, right], axis=1)
