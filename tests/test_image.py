import csv
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.image import MOST_PIXELS, read_header, read_image, write_image
from tests.drawn import draw_images

TRANSPOSES = {
    1: None,
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}  # what a camera did to the picture; the reader undoes it


def encoded(picture: Pillow.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def random_pixels(height: int = 12, width: int = 20, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_png_comes_back_as_it_was_written(tmp_path_factory, height, width, channels, seed):
    path = tmp_path_factory.mktemp("png") / "a.png"
    pixels = random_pixels(height, width, channels, seed).reshape(height, width, channels)

    write_image(path, pixels)
    image = read_image(path)

    assert np.array_equal(image.pixels, pixels)
    assert (image.mode, image.notes) == ("L" if channels == 1 else "RGB", ())
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert read_header(path) == (height, width, image.mode)


def test_jpeg_is_written_without_much_loss(tmp_path):
    pixels = draw_images([2])[0]
    write_image(tmp_path / "a.jpeg", pixels)
    assert np.abs(read_image(tmp_path / "a.jpeg").pixels.astype(int) - pixels).mean() < 5


def test_writing_a_grey_image_without_a_channel_axis(tmp_path):
    write_image(tmp_path / "a.png", random_pixels(channels=1))
    assert read_image(tmp_path / "a.png").pixels.shape == (12, 20, 1)


def test_writing_anything_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.png or \.jpg, not \.gif"):
        write_image(tmp_path / "a.gif", random_pixels())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PellucidError, match=r"Cannot write .*file/a\.png"):
        write_image(tmp_path / "file" / "a.png", random_pixels())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TRANSPOSES)
def test_orientation_is_undone_in_every_format(tmp_path, kind, orientation):
    upright = Pillow.fromarray(np.kron(random_pixels(6, 9), np.ones((8, 8, 1), np.uint8)))
    turn = TRANSPOSES[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(encoded(upright.transpose(turn) if turn is not None else upright, kind, exif=exif, **options))

    pixels = read_image(path).pixels

    assert pixels.shape == (48, 72, 3)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < (12 if kind == "JPEG" else 1e-9)
    assert read_header(path)[:2] == (48, 72)


def test_orientation_behind_the_pixels_of_a_png_counts(tmp_path):
    data = encoded(Pillow.fromarray(random_pixels(4, 9)))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "late.png"
    path.write_bytes(data[:-12] + chunk + data[-12:])

    assert read_image(path).pixels.shape == (9, 4, 3)
    assert read_header(path) == (9, 4, "RGB")


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_does_not_cost_the_image(exif):
    assert read_image(encoded(Pillow.fromarray(random_pixels()), "JPEG", exif=exif)).pixels.shape == (12, 20, 3)


def test_grey_of_16_bits_is_rounded_to_8():
    values = np.array([[0, 1, 128, 129, 257, 32767, 65534, 65535]], np.uint16)
    image = read_image(encoded(Pillow.fromarray(values)))
    assert image.pixels[0, :, 0].tolist() == [round(int(value) * 255 / 65535) for value in values[0]]
    assert image.mode == "I;16"
    assert image.notes == ("grey of 0..65535 reduced to 0..255; its brightest pixel is 65535",)


def test_integers_beyond_16_bits_are_refused():
    with pytest.raises(ImageError, match=r"its values run from 0 to 70000, beyond 0\.\.65535"):
        read_image(encoded(Pillow.fromarray(np.array([[0, 70000]], np.int32)), "TIFF"))


def test_floats_of_0_to_1_are_grey_and_others_are_refused():
    tiff = encoded(Pillow.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")
    assert read_image(tiff).pixels[0, :, 0].tolist() == [0, 128, 255]
    for values in ([0.0, 300.0], [-0.1, 0.5], [0.1, np.nan], [0.1, np.inf]):
        with pytest.raises(ImageError, match=r"only 0\.\.1 means grey"):
            read_image(encoded(Pillow.fromarray(np.array([values], np.float32)), "TIFF"))


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3), ("LAB", 3), ("YCbCr", 3)],
)
def test_modes_become_grey_or_rgb(mode, channels):
    grey = Pillow.fromarray(np.full((5, 7), 200, np.uint8))
    picture = Pillow.new("LAB", (7, 5), (200, 128, 128)) if mode == "LAB" else grey.convert("RGB").convert(mode)
    image = read_image(encoded(picture, "TIFF" if mode in ("CMYK", "LAB", "YCbCr") else "PNG"))
    assert image.pixels.shape == (5, 7, channels)
    assert image.mode == mode
    assert np.abs(image.pixels.astype(int).mean() - 200) < 20  # 1-bit: dithered, P: the web palette


def test_cmyk_of_adobe_is_not_inverted():
    red = Pillow.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK")
    pixels = read_image(encoded(red, "JPEG", quality=95)).pixels
    assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - [220, 20, 20]).max() < 12


def test_transparency_is_laid_over_white_and_opaque_alpha_is_dropped():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = 0, 51, 255
    image = read_image(encoded(Pillow.fromarray(pixels)))
    assert image.pixels[0, :, 0].tolist() == [255, 204, 0]
    assert image.notes == ("transparent pixels laid over white",)

    pixels[..., 3] = 255
    assert read_image(encoded(Pillow.fromarray(pixels))).notes == ()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_read(kind):
    frames = [Pillow.new("RGB", (6, 4), color) for color in ("red", "blue", "green")]
    image = read_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(image.pixels.reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 8
    assert image.notes[-1] == "the first of 3 frames is used"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has 0 bytes"),
        (b"hello, I am no picture", "it is no image"),
        (b"%PDF-1.7 and so on", "a PDF document"),
        (b"<!DOCTYPE html><p>404", "a web page"),
        (b"\0\0\0\x20ftypheic....", "a file of kind heic"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, said):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for source in (path, content):
        for read in (read_image, read_header):
            with pytest.raises(ImageError, match=said) as caught:
                read(source)
            assert caught.value.cure


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png"):
        with pytest.raises(ImageError, match="it is not a file"):
            read_image(path)
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(Path("a\0b.png"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
def test_a_cut_file_is_refused_wherever_it_is_cut(kind):
    data = encoded(Pillow.fromarray(random_pixels(60, 80)), kind)
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        with pytest.raises(ImageError):
            read_image(data[: int(len(data) * share)])


@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]))
def test_flipped_bits_never_raise_anything_else(data, kind):
    damaged = bytearray(encoded(Pillow.fromarray(random_pixels(20, 30)), kind))
    for at in data.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), min_size=1, max_size=12)):
        damaged[at // 8] ^= 1 << (at % 8)
    try:
        pixels = read_image(bytes(damaged)).pixels
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] in (1, 3)


def test_the_pixel_limit_is_checked_before_decoding():
    def png(width: int, height: int) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        chunks = b"IHDR" + header, b"IDAT" + zlib.compress(b"\0"), b"IEND"
        packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
        return b"\x89PNG\r\n\x1a\n" + b"".join(packed)

    assert MOST_PIXELS == 100_000_000
    with pytest.raises(ImageError, match=r"10001x10000 pixels .*100 megapixels"):
        read_image(png(10_001, 10_000))
    with pytest.raises(ImageError, match="its header says 2,500,000,000 pixels"):
        read_header(png(50_000, 50_000))
    assert read_header(png(10_000, 10_000)) == (10_000, 10_000, "L")


def test_formats_that_are_not_listed_are_not_opened():
    with pytest.raises(ImageError, match="it is no image"):
        read_image(encoded(Pillow.new("RGB", (4, 4)), "PCX"))


def test_warnings_of_pillow_stay_inside_and_others_do_not():
    palette = Pillow.new("P", (4, 4))
    palette.info["transparency"] = bytes(range(256))
    data = encoded(palette, transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(4) as pool:
            assert len(list(pool.map(read_image, [data] * 40))) == 40
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", stacklevel=1)


# Refused on purpose although Pillow decodes it: its values run from -3.1 to 3.1, which is no grey.
REFUSED_ON_PURPOSE = {"tiff/10ct_32bit_128.tiff"}


def manifest(shared: Path) -> list[dict[str, str]]:
    with (shared / "nasty" / "manifest.tsv").open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_every_nasty_file_is_read_or_refused_as_it_should(shared, capfd):
    rows = manifest(shared)
    assert len(rows) == 308
    for row in rows:
        path = shared / "nasty" / row["file"]
        should_load = row["pillow13"] == "ok" and row["file"] not in REFUSED_ON_PURPOSE
        if not should_load:
            with pytest.raises(ImageError):
                read_image(path)
            continue
        image = read_image(path)
        width, height = (int(side) for side in row["size"].split("x"))
        turned = row["exif_orientation"] in {"5", "6", "7", "8"} and row["format"] != "TIFF"
        expected = (width, height) if turned else (height, width)
        grey = row["mode"] in {"1", "L", "LA", "I;16", "I;16B", "I", "F"}
        assert image.pixels.shape == (*expected, 1 if grey else 3), row["file"]
        assert image.mode == row["mode"], row["file"]
        assert read_header(path) == (*expected, row["mode"]), row["file"]
        assert (int(row["frames"]) > 1) == any("frames" in note for note in image.notes), row["file"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg"])
def test_files_outside_the_manifest_are_refused(shared, name):
    with pytest.raises(ImageError):
        read_image(shared / "nasty" / name)


def test_all_orientations_show_the_same_scene(shared):
    folder = shared / "nasty" / "exif-orientation"
    first = read_image(folder / "Landscape_1.jpg").pixels.astype(np.int16)
    for k in range(2, 9):
        pixels = read_image(folder / f"Landscape_{k}.jpg").pixels
        assert np.abs(pixels - first).mean() < 6, k


def test_nasty_files_need_little_memory(shared):
    """The largest of them has 8 megapixels; a bomb that was decoded would take gigabytes."""
    program = (
        "import resource, sys; from pathlib import Path; from pellucid.image import read_image;"
        "from pellucid.errors import ImageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sorted(Path(sys.argv[1]).rglob('*.*')):\n"
        "    try: read_image(path)\n"
        "    except ImageError: pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(shared / "nasty")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < 300  # MB
