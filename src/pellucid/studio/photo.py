"""The photograph of the page: the user's own, or the sample that comes with scikit-learn, small enough to be quick."""

import importlib.util
import io
from pathlib import Path

from PIL import Image as Pillow

from pellucid.errors import DataError, ImageError
from pellucid.image import read_image

__all__ = ["photo_png", "sample_photo"]

LONGEST_SIDE = 512


def photo_png(path: Path) -> bytes:
    """The photo as PNG, at most 512 pixels on its longer side."""
    try:
        pixels = read_image(path).pixels
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
    picture = Pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Pillow.Resampling.LANCZOS)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def sample_photo() -> Path | None:
    """`china.jpg` of an installed scikit-learn, found without importing it."""
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "datasets" / "images" / "china.jpg"
    return path if path.is_file() else None
