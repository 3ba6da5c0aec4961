"""`pellucid filter`: pictures of every kind through the verb, what it writes and says, and one line for a mistake."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.ops.kernels import KERNELS, read_kernel
from pellucid.ops.responses import filter_image


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo() -> np.ndarray:
    """A picture with something in it, as photo.png in the current folder."""
    y, x = np.mgrid[:40, :60]
    pixels = np.stack([4 * x, 6 * y, 120 + 100 * ((x - 30) ** 2 + (y - 20) ** 2 < 150)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return pixels


def told(capsys, *words) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["filter", *words])
    output = capsys.readouterr()
    return code, output.out, output.err


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as image:
        found = np.array(image)
    return found[..., None] if found.ndim == 2 else found


@pytest.mark.parametrize("kernel", [*KERNELS, "gaussian:7:1.5", "[[1, 2], [3, -5]]", "-1 0 1 / -2 0 2 / -1 0 1"])
def test_the_file_is_the_filtered_picture(kernel, photo, capsys):
    code, out, err = told(capsys, "photo.png", "--kernel", kernel, "--out", "out.png")
    wanted = filter_image(photo, read_kernel(kernel))
    assert (code, err) == (0, "")
    assert out.splitlines() == [wanted.text(), "out.png"]
    assert np.array_equal(pixels_of("out.png"), wanted.pixels)


@pytest.mark.parametrize("show", ["clip", "absolute", "signed", "stretch"])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_flags_reach_the_filter(show, mode, photo, capsys):
    words = [
        "photo.png",
        "--kernel",
        "sobel-x",
        "--show",
        show,
        "--padding-mode",
        mode,
        "--out",
        "sub/out.png",
        "--json",
    ]
    code, out, _ = told(capsys, *words)
    row = json.loads(out)
    wanted = filter_image(photo, KERNELS["sobel-x"], padding_mode=mode, show=show)
    assert code == 0
    assert (row["show"], row["padding_mode"]) == (show, mode)
    assert np.array_equal(pixels_of("sub/out.png"), wanted.pixels)
    assert row["responses"] == [wanted.low, wanted.high]
    assert row["clipped"] == {"at_0": wanted.darker, "at_255": wanted.brighter, "of": 7200}
    assert row["kernel"] == {"name": "sobel-x", "values": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]}
    assert row["size"] == {"height": 40, "width": 60, "channels": 3}
    assert row["text"] == wanted.text()


def test_side_by_side(photo, capsys):
    told(capsys, "photo.png", "--kernel", "edge", "--side-by-side", "--out", "both.png")
    both = pixels_of("both.png")
    assert both.shape == (40, 124, 3)
    assert np.array_equal(both[:, :60], photo)
    assert (both[:, 60:64] == 255).all()
    assert np.array_equal(both[:, 64:], filter_image(photo, KERNELS["edge"]).pixels)


def test_a_name_is_derived_and_nothing_is_overwritten(photo, here, capsys):
    (here / "photo-edge.png").write_text("somebody's")
    assert told(capsys, "photo.png", "--kernel", "edge")[1].splitlines()[-1] == "photo-edge-2.png"
    assert told(capsys, "photo.png", "--kernel", "edge")[1].splitlines()[-1] == "photo-edge-3.png"
    assert told(capsys, "photo.png", "--kernel", "[[1]]")[1].splitlines()[-1] == "photo-matrix.png"
    assert told(capsys, "photo.png", "--kernel", "box:5")[1].splitlines()[-1] == "photo-box.png"
    Image.fromarray(photo).save(here / "photo.jpg")
    assert told(capsys, "photo.jpg", "--kernel", "edge")[1].splitlines()[-1] == "photo-edge.jpg"
    assert (here / "photo-edge.png").read_text() == "somebody's"
    assert np.array_equal(pixels_of("photo.png"), photo)


def test_the_derived_picture_lies_in_the_current_folder(photo, here, capsys):
    (here / "far").mkdir()
    (here / "photo.png").rename(here / "far" / "photo.png")
    assert told(capsys, "far/photo.png", "--kernel", "box")[1].splitlines()[-1] == "photo-box.png"
    assert [path.name for path in (here / "far").iterdir()] == ["photo.png"]


def test_jpeg_out(photo, capsys):
    assert told(capsys, "photo.png", "--kernel", "box", "--out", "soft.jpg")[0] == 0
    difference = pixels_of("soft.jpg").astype(int) - filter_image(photo, KERNELS["box"]).pixels
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
@pytest.mark.parametrize("kernel", ["edge", "box:9", "motion-blur:99", "gaussian:98:20"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiny_pictures_and_kernels_that_are_larger(size, kernel, channels, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels)).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save("tiny.png")
    assert told(capsys, "tiny.png", "--kernel", kernel, "--out", "out.png")[0] == 0
    assert np.array_equal(pixels_of("out.png"), filter_image(pixels, read_kernel(kernel)).pixels)


def test_sixteen_bits_transparency_and_a_turned_photo_are_said(capsys):
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save("deep.png")
    code, _, err = told(capsys, "deep.png", "--kernel", "identity", "--out", "out.png")
    assert code == 0
    assert err.startswith("deep.png: grey of 0..65535 reduced to 0..255")
    assert pixels_of("out.png").ravel().tolist() == [255] * 16
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save("clear.png")
    code, out, err = told(capsys, "clear.png", "--kernel", "identity", "--out", "out.png", "--json")
    assert json.loads(out)["notes"] == ["transparent pixels laid over white"]
    assert (pixels_of("out.png") == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save("turned.jpg", exif=exif)
    told(capsys, "turned.jpg", "--kernel", "identity", "--out", "out.png")
    assert pixels_of("out.png").shape == (8, 4, 3)


MISTAKES = [
    (["photo.png"], "filter needs --kernel"),
    (["photo.png", "--kernel", "edeg"], "No kernel named 'edeg'. Did you mean 'edge'?"),
    (["photo.png", "--kernel", "1 2 / 3"], "Make them equally long"),
    (["photo.png", "--kernel", "edge", "--out", "photo.png"], "the picture itself, which is kept as it is"),
    (["photo.png", "--kernel", "edge", "--out", "./photo.png"], "the picture itself"),
    (["photo.png", "--kernel", "edge", "--out", "link.png"], "the picture itself"),
    (["photo.png", "--kernel", "edge", "--out", "out.gif"], "written as .png, .jpg, .jpeg"),
    (["photo.png", "--kernel", "edge", "--out", "out"], "Give a name with one of these"),
    (["photo.png", "--kernel", "edge", "--out", "folder.png"], "is a folder"),
    (["photo.png", "--kernel", "edge", "--show", "sgined"], "--show"),
    (["photo.png", "--kernel", "edge", "--padding-mode", "mirror"], "--padding-mode"),
    (["photo.png", "--kernel", "edge", "--shwo", "clip"], "Did you mean '--show'?"),
    (["thin.png", "--kernel", "box:5", "--padding-mode", "reflect"], "padding_mode='reflect'"),
    (["nowhere.png", "--kernel", "edge"], "nowhere.png: it cannot be opened"),
    (["damaged.png", "--kernel", "edge"], "damaged.png: it is damaged"),
    (["empty.png", "--kernel", "edge"], "empty.png: it has 0 bytes"),
    (["text.png", "--kernel", "edge"], "text.png: it is no image"),
    (["folder.png", "--kernel", "edge"], "folder.png: it is not a file"),
    ([], "Missing"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=lambda value: " ".join(value)[:50])
def test_a_mistake_is_one_line_and_exit_code_2(words, message, photo, here, capsys):
    (here / "damaged.png").write_bytes((here / "photo.png").read_bytes()[:200])
    (here / "empty.png").touch()
    (here / "text.png").write_text("not a picture")
    (here / "link.png").symlink_to(here / "photo.png")
    (here / "folder.png").mkdir()
    Image.new("L", (1, 50)).save("thin.png")
    before = sorted(path.name for path in here.iterdir())
    code, out, err = told(capsys, *words)
    assert (code, out) == (2, "")
    assert len([line for line in err.splitlines() if line.startswith("pellucid: ")]) == 1
    assert message in err
    assert sorted(path.name for path in here.iterdir()) == before
    assert np.array_equal(pixels_of("photo.png"), photo)


def test_the_verb_needs_no_torch(photo):
    code = (
        "import sys; from pellucid.cli import main\n"
        "code = main(['filter', 'photo.png', '--kernel', 'edge']); sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
