"""Image files to pixels and back, within limits. Whatever is wrong with a file, it ends as one `ImageError`.

What a reader does to a file so that a network can see it, and says in a note:

- EXIF orientation is applied, in every format that carries it.
- Grey files (1-bit, 8-bit, 16-bit, with or without alpha) have one channel, all others three.
- 16-bit grey becomes `round(value * 255 / 65535)`; a TIFF of b bits is divided by `2**b - 1` instead.
  Colour files of 16 bits lose their low byte, as Pillow reads them.
- Floating-point grey must lie in 0..1 and becomes `round(value * 255)`; 32-bit integers are read as
  16-bit ones and must lie in their range.
- Transparent pixels are laid over white.
- CMYK becomes RGB without a colour profile; LAB becomes sRGB.
- Of an animation or a file of several pages the first frame is read.
"""

import contextlib
import ctypes
import io
import logging
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import MpoImagePlugin, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from pellucid.errors import ImageError, UsageError
from pellucid.files import atomic_path

__all__ = ["SUFFIXES", "Image", "read_header", "read_image", "read_values", "write_image", "write_palette_image"]

Pixels = NDArray[np.uint8]

# Pillow opens 43 formats unless told otherwise, among them some that start other programs. MPO (a JPEG
# with a preview behind it) comes through JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".gif",
    ".pgm",
    ".ppm",
    ".pbm",
    ".pnm",
    ".mpo",
)
PLUGINS = (
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)  # Pillow finds them once imported
MOST_PIXELS = 100_000_000
PILLOW_MODULES = r"PIL\."

GREY = ("1", "L", "LA", "La", "I", "F")
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
MASK_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", *SIXTEEN_BIT[:-1])
WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}

# Orientation tag -> (swap the axes first, then flip rows, flip columns).
TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

# A damaged file makes decoders raise nearly anything: the bases of all that was seen and may come.
DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    Pillow.DecompressionBombError,
    struct.error,
    zlib.error,
)

# First bytes of files that often lie in image folders -> what they are.
FOREIGN = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript file",
    b"8BPS": "a Photoshop file",
    b"<svg": "an SVG drawing",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"PK\x03\x04": "a zip archive",
}


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A decoded image: `pixels` uint8 H W C (contiguous, writable; C is 1 or 3), and the `mode` its file has.

    `notes` say what its owner should know: what was reduced, converted or left out.
    """

    pixels: Pixels
    mode: str
    notes: tuple[str, ...] = ()


def read_image(source: str | Path | bytes) -> Image:
    """The first frame of an image file, the right way up, in grey or RGB."""
    with _opened(_located(source)) as image:
        mode, deep = image.mode, _is_deep_color(image)
        image.load()
        notes = ["16 bits a channel, of which the upper 8 are used"] if deep else []
        orientation = _orientation(image, notes)
        pixels = _turned(_pixels(image, mode, notes), orientation)
        notes += _frames_note(image)
        return Image(pixels, mode, tuple(notes))


def read_header(source: str | Path | bytes) -> tuple[int, int, str]:
    """(height, width, mode) of an image as `read_image` would give it, without decoding it."""
    with _opened(_located(source)) as image:
        width, height = image.size
        swapped = TURNS.get(_orientation(image, []), (False,))[0]
        return (width, height, image.mode) if swapped else (height, width, image.mode)


def read_values(source: str | Path | bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """What the pixels of a mask hold, as it stands there: grey or palette indices H W, or colours H W 3."""
    with _opened(_located(source)) as image:
        bits = str([getattr(tile, "args", "") for tile in getattr(image, "tile", [])])
        lossy, deep = image.format == "JPEG", _is_deep_color(image)
        if image.mode not in MASK_MODES or lossy or deep:
            kind = "a JPEG, which blurs values" if lossy else f"of mode {image.mode}{' with 16 bits a colour' * deep}"
            raise ImageError(f"it is {kind}", "save it as PNG: grey, with a palette, or in colours of 8 bits")
        image.load()
        if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema()[0] != 255:
            raise ImageError("it has transparent pixels, whose value is unclear", "save it without transparency")
        values: NDArray[Any] = np.asarray(image.convert(image.mode[:-1]) if image.mode[1:].endswith("A") else image)
        step = 85 if "L;2" in bits else 17 if "L;4" in bits else 1  # Pillow spreads grey of 2 and 4 bits over 0..255
        whole = values.astype(np.uint16 if image.mode in SIXTEEN_BIT else np.uint8, copy=False) // step
        return _turned(whole, _orientation(image, []))


def _located(source: str | Path | bytes) -> Path | bytes:
    return Path(source) if isinstance(source, str) else source


def write_image(path: Path, pixels: Pixels) -> None:
    """Write uint8 pixels H W, H W 1 or H W 3 as PNG or JPEG, by the suffix of `path`; whole or not at all."""
    kind = WRITTEN.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"Cannot write {path}: images are written as .png or .jpg, not {path.suffix or 'without suffix'}."
        )
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    picture = Pillow.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    with atomic_path(path) as draft:
        picture.save(draft, kind, **options)


def write_palette_image(path: Path, indices: NDArray[np.uint8], colors: NDArray[np.uint8]) -> None:
    """Write a PNG whose pixels are indices (H W) into up to 256 colours (N 3); whole or not at all."""
    picture = Pillow.fromarray(indices)
    picture.putpalette(colors.tobytes())
    with atomic_path(path) as draft:
        picture.save(draft, "PNG")


@contextlib.contextmanager
def _opened(source: Path | bytes) -> Iterator[Pillow.Image]:
    """The file with its header read and its size checked; every failure inside becomes an `ImageError`."""
    _hush()
    try:
        with contextlib.closing(_handle(source)) as handle, Pillow.open(handle, formats=FORMATS) as image:
            _check_size(*image.size)
            yield image
    except UnidentifiedImageError as error:
        raise _unidentified(source) from error
    except Pillow.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(f"its header says {int(found[0]):,} pixels" if found else "it is huge") from error
    except MemoryError as error:
        raise ImageError("it does not fit into the memory", "free some memory or make the image smaller") from error
    except DECODER_ERRORS as error:
        raise ImageError(f"it is damaged: {_told(error)}", "replace it with an intact copy or remove it") from error


def _handle(source: Path | bytes) -> BinaryIO:
    """The bytes to read, of a regular file that is not empty."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError("it has 0 bytes", "send the bytes of an image file")
        return io.BytesIO(source)
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device would wait for ever
            raise ImageError("it is not a file", "give the path of an image file")
        if not status.st_size:
            raise ImageError("it has 0 bytes", "replace it with an intact copy or remove it")
        return source.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"it cannot be opened: {reason}", "check the path and its permissions") from error


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"its header says {width}x{height} pixels", "replace it with an intact copy or remove it")
    if width * height > MOST_PIXELS:
        raise _too_large(f"its header says {width}x{height} pixels")


def _too_large(reason: str) -> ImageError:
    return ImageError(reason, f"cut it into tiles or make it smaller: the limit is {MOST_PIXELS // 10**6} megapixels")


def _unidentified(source: Path | bytes) -> ImageError:
    head = source[:16] if isinstance(source, bytes) else _head(source)
    cure = "convert it to PNG or JPEG, or remove it"
    if head[4:8] == b"ftyp":
        return ImageError(f"it is a file of kind {head[8:12].decode('ascii', 'replace')}, which is not read", cure)
    for start, kind in FOREIGN.items():
        if head.startswith(start):
            return ImageError(f"it is {kind}, not an image", cure)
    return ImageError("it is no image, or its first bytes are damaged", cure)


def _head(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(16)


def _told(error: BaseException) -> str:
    """An exception's words without the addresses and objects that some decoders put there."""
    text = str(error).split("<_io.")[0].strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def _orientation(image: Pillow.Image, notes: list[str]) -> int:
    """The EXIF orientation (1..8) that is still to be applied."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow turns these itself, and says so in their size
        return 1
    try:
        if isinstance(image, PngImagePlugin.PngImageFile) and not _has_late_chunks(image):
            return int(Pillow.Image.getexif(image).get(0x0112, 1))  # PngImageFile's own would decode the image
        return int(image.getexif().get(0x0112, 1))
    except ImageError:
        raise
    except DECODER_ERRORS:
        notes.append("its EXIF data cannot be read; it is taken to be the right way up")
        return 1


def _has_late_chunks(image: PngImagePlugin.PngImageFile) -> bool:
    """Whether text or EXIF comes behind the pixels of a PNG that is not decoded yet."""
    handle = image.fp
    if handle is None:  # decoded: everything has been read
        return False
    here, kinds = handle.tell(), []
    handle.seek(8)
    while len(head := handle.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        kinds.append(kind)
        handle.seek(length + 4, io.SEEK_CUR)  # 4: the checksum
    handle.seek(here)
    late = kinds[kinds.index(b"IDAT") :] if b"IDAT" in kinds else []
    return any(kind in late for kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"))


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    swap, flip_rows, flip_columns = TURNS.get(orientation, (False, False, False))
    if swap:
        pixels = pixels.swapaxes(0, 1)
    pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(pixels)


def _pixels(image: Pillow.Image, mode: str, notes: list[str]) -> Pixels:
    """The loaded image as uint8 H W C, before it is turned."""
    if mode in SIXTEEN_BIT:
        return _from_sixteen(image, notes)
    if mode == "F":
        return _from_float(image, notes)
    if mode in ("CMYK", "LAB"):
        notes.append(f"{mode} converted to RGB")
    if mode == "LAB":
        image = _lab_to_rgb(image)
    if image.has_transparency_data:
        image = _over_white(image, notes)
    wanted = "L" if mode in GREY else "RGB"
    pixels = np.array(image if image.mode == wanted else image.convert(wanted))  # convert would copy it once more
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _from_sixteen(image: Pillow.Image, notes: list[str]) -> Pixels:
    values = np.asarray(image)
    bits = image.tag_v2.get(258, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
    top = 2 ** min(int(bits), 16) - 1
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > top:
        raise ImageError(f"its values run from {low} to {high}, beyond 0..{top}", "save it with 8 or 16 bits a pixel")
    notes.append(f"grey of 0..{top} reduced to 0..255; its brightest pixel is {high}")
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)[..., None]


def _from_float(image: Pillow.Image, notes: list[str]) -> Pixels:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # false for NaN, too
        reason = f"its floating-point values run from {low:g} to {high:g}, and only 0..1 means grey"
        raise ImageError(reason, "scale it to 0..1 or save it with 8 or 16 bits a pixel")
    notes.append("floating-point grey of 0..1 reduced to 0..255")
    return np.rint(values * np.float32(255)).astype(np.uint8)[..., None]


def _lab_to_rgb(image: Pillow.Image) -> Pillow.Image:
    from PIL import ImageCms  # rare, and it loads a library of its own

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB"))
    if converted is None:
        raise ImageError("its LAB colours cannot be converted", "save it as RGB")
    return converted


def _over_white(image: Pillow.Image, notes: list[str]) -> Pillow.Image:
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    least = alpha.getextrema()[0]
    if least == 255:
        return image
    notes.append("transparent pixels laid over white")
    ground = Pillow.new("RGB", image.size, "white")
    ground.paste(image, mask=alpha)
    return ground


def _is_deep_color(image: Pillow.Image) -> bool:
    """Whether Pillow is about to drop the low byte of 16-bit colours."""
    tiles: list[Any] = getattr(image, "tile", [])
    in_question = image.format in ("PNG", "TIFF", "PPM") and image.mode not in SIXTEEN_BIT
    return in_question and any(";16" in str(getattr(tile, "args", "")) for tile in tiles)


def _frames_note(image: Pillow.Image) -> list[str]:
    """How many frames there are besides the one that was read."""
    try:
        frames = getattr(image, "n_frames", 1)
    except DECODER_ERRORS:
        return ["its first frame is used; the others are damaged"]
    return [f"the first of {frames} frames is used"] if frames > 1 else []


def _hush() -> None:
    """Keep Pillow's warnings and libtiff's messages off the terminal: what matters of them is in the notes.

    `warnings.catch_warnings` swaps a list that all threads share, so that it cannot be used around one
    file. Adding a filter changes nothing for anyone but Pillow.
    """
    first = warnings.filters[0][3] if warnings.filters else None
    if getattr(first, "pattern", "") != PILLOW_MODULES:
        warnings.filterwarnings("ignore", module=PILLOW_MODULES)


def _silence_libraries() -> None:
    """Take away Pillow's last-resort log handler, and the handlers of the libtiff that its wheel brings along."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    package = Path(Pillow.__file__).parent
    for library in (*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")):
        with contextlib.suppress(OSError, AttributeError):
            loaded = ctypes.CDLL(str(library))
            loaded.TIFFSetErrorHandler(None)
            loaded.TIFFSetWarningHandler(None)


_silence_libraries()
