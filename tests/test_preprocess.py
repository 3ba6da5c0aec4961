"""The one input path: its arithmetic re-derived in integers, its geometry inverted, its bits equal everywhere."""

import json
import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.checkpoint import Manifest, save_model
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.data.loader import Loader
from pellucid.errors import ModelError, UsageError
from pellucid.image import read_image
from pellucid.models.base import build_model
from pellucid.prediction import load
from pellucid.preprocess import Preprocess, resize
from pellucid.tasks.classify import Classify

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def way(size=(32, 32), rule="stretch", channels=3, crop=1.0) -> Preprocess:
    mean, std = IMAGENET
    return Preprocess(size, rule, channels, mean[:channels], std[:channels], crop)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def integer_weights(old: int, new: int) -> tuple[list[tuple[int, np.ndarray]], int]:
    """Per new pixel: the first old pixel and 16-bit weights; and their binary places."""
    scale = old / new
    support, slope = max(scale, 1.0), 1 / max(scale, 1.0)
    rows, largest = [], 0.0
    for place in range(new):
        centre = scale * (place + 0.5)
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), old)
        weights = np.maximum(0.0, 1 - np.abs((np.arange(first, last) - centre + 0.5) * slope))
        rows.append((first, weights / weights.sum()))
        largest = max(largest, float(rows[-1][1].max()))
    places = 0
    while places < 22 and int(0.5 + largest * 2 ** (places + 1)) < 2**15:
        places += 1
    return [(first, np.floor(weights * 2**places + 0.5).astype(np.int64)) for first, weights in rows], places


def one_pass(image: np.ndarray, new: int) -> np.ndarray:
    """Resize the first axis."""
    if len(image) == new:
        return image
    rows, places = integer_weights(len(image), new)
    sums = [np.tensordot(weights, image[first : first + len(weights)].astype(np.int64), 1) for first, weights in rows]
    return np.clip((np.stack(sums) + (1 << (places - 1))) >> places, 0, 255).astype(np.uint8)


def integer_resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    wide = one_pass(image.swapaxes(0, 1), size[1]).swapaxes(0, 1)
    return one_pass(wide, size[0])


@settings(max_examples=120)
@given(
    old=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    new=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
@example(old=(1, 1), new=(7, 5), channels=3, seed=0)
@example(old=(61, 1), new=(1, 33), channels=1, seed=0)
@example(old=(3, 900), new=(32, 32), channels=3, seed=0)
@example(old=(700, 2), new=(5, 64), channels=1, seed=0)
@example(old=(333, 500), new=(224, 224), channels=3, seed=1)
@example(old=(2, 1), new=(1, 1), channels=3, seed=0)
@example(old=(33, 32), new=(32, 32), channels=3, seed=2)
def test_resize_is_integer_arithmetic(old, new, channels, seed):
    photo = noise(*old, channels, seed)
    if seed % 3 == 0:
        photo = np.where(photo < 128, 0, 255).astype(np.uint8)  # where overshoot and rounding would show
    assert np.array_equal(resize(photo, new), integer_resize(photo, new))


def test_a_flat_picture_stays_flat():
    for value in (0, 1, 127, 254, 255):
        assert (resize(np.full((37, 91, 3), value, np.uint8), (224, 17)) == value).all()


@pytest.mark.parametrize("make", [lambda x: x[::-1], lambda x: x[:, 3:40:2], np.asfortranarray])
def test_any_memory_layout_gives_the_same_pixels(make):
    view = make(noise(50, 60))
    assert np.array_equal(resize(view, (21, 34)), resize(np.ascontiguousarray(view), (21, 34)))


def test_an_array_that_may_not_be_written_is_read():
    photo = noise(40, 30)
    expected = resize(photo, (16, 16))
    photo.flags.writeable = False
    assert np.array_equal(resize(photo, (16, 16)), expected)


@pytest.fixture
def unchecked(monkeypatch):
    """As users run it: without the annotations held true, so that what is refused reaches the refusal."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


SIDES = st.integers(1, 2000)
RULES = st.sampled_from(["stretch", "crop", "letterbox"])


@given(height=SIDES, width=SIDES, rows=st.integers(1, 300), columns=st.integers(1, 300), rule=RULES)
def test_frame_inverts(height, width, rows, columns, rule):
    """`photo = (network - offset) / scale`: the photo's corners and centre come back, whatever the rule."""
    frame = way((rows, columns), rule).frame(height, width)
    assert frame.photo == (height, width)
    assert frame.network == (rows, columns)
    for axis, length in enumerate((height, width)):
        for there in (0.0, length / 2, float(length)):
            network = there * frame.scale[axis] + frame.offset[axis]
            assert (network - frame.offset[axis]) / frame.scale[axis] == pytest.approx(there, abs=1e-9 * length)
        covered = length * frame.scale[axis]
        assert covered == pytest.approx(round(covered), abs=1e-6)  # whole network pixels
        if rule == "letterbox":
            assert frame.offset[axis] >= 0
            assert frame.offset[axis] + covered <= (rows, columns)[axis] + 1e-6
        else:
            assert frame.offset[axis] <= 0
            assert frame.offset[axis] + covered >= (rows, columns)[axis] - 1e-6


@pytest.mark.parametrize("rule", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(64, 64), (48, 96), (96, 40)])
@pytest.mark.parametrize("photo", [(200, 200), (120, 310), (333, 90)])
def test_a_mark_lands_where_the_frame_says(rule, size, photo):
    """A dark photo with one bright block: the block's centre of mass in network pixels is the frame's."""
    height, width = photo
    picture = np.zeros((height, width, 1), np.uint8)
    top, left, block = height // 2 - 11, width // 2 + 5, 16
    picture[top : top + block, left : left + block] = 255
    preprocess = way(size, rule, 1)
    frame, pixels = preprocess.frame(height, width), preprocess.pixels(picture)
    assert pixels.shape == (*size, 1)
    mass = np.where(pixels[:, :, 0] == 114, 0, pixels[:, :, 0]).astype(float)  # 114: the letterbox's grey
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    middle = (top + block / 2, left + block / 2)
    for axis, coordinates in enumerate((y, x)):
        found = (mass * coordinates).sum() / mass.sum()
        assert found == pytest.approx(middle[axis] * frame.scale[axis] + frame.offset[axis], abs=0.6)


@given(height=st.integers(1, 900), width=st.integers(1, 900), side=st.sampled_from([8, 32, 176, 224]))
@example(height=375, width=500, side=224)
def test_crop_is_the_published_rule(height, width, side):
    """torchvision: short side to size / crop, long side floored; then the centre, its offset rounded."""
    short = round(side / 0.875)
    least = min(height, width)
    inner = (int(short * height / least), int(short * width / least))
    top, left = round((inner[0] - side) / 2.0), round((inner[1] - side) / 2.0)
    frame = way((side, side), "crop", crop=0.875).frame(height, width)
    assert frame.offset == (-top, -left)
    assert (frame.scale[0] * height, frame.scale[1] * width) == pytest.approx(inner)


def test_crop_cuts_the_resized_photo():
    photo = noise(75, 100)
    whole = resize(photo, (37, 49))  # 32 / 0.875 is 36.6
    expected = whole[2 : 2 + 32, 8 : 8 + 32]  # (37 - 32) / 2 = 2.5 and 8.5, to the even number
    assert np.array_equal(way((32, 32), "crop", crop=0.875).pixels(photo), expected)


def test_letterbox_shows_all_of_the_photo_on_grey():
    pixels = way((40, 40), "letterbox").pixels(noise(20, 40))
    assert np.array_equal(pixels[10:30], noise(20, 40))
    assert (pixels[:10] == 114).all()
    assert (pixels[30:] == 114).all()


def test_the_margin_holds_what_the_crop_cuts_out():
    preprocess, photo = way((28, 28), "crop", crop=0.875), noise(64, 64)
    wide = preprocess.margin()
    assert wide.size == (32, 32)
    assert np.array_equal(wide.pixels(photo)[2:30, 2:30], preprocess.pixels(photo))
    for same in (way((28, 28)), way((28, 28), "crop"), way((28, 28), "letterbox", crop=0.5)):
        assert same.margin() == same


@pytest.mark.parametrize("seed", range(3))
def test_grey_is_pillows_grey(seed):
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).reshape(52, -1, 3).astype(np.uint8)
    for photo in (noise(64, 64, seed=seed), every):
        expected = np.array(Image.fromarray(photo).convert("L"))[:, :, None]
        assert np.array_equal(way(photo.shape[:2], channels=1).pixels(photo), expected)


def test_grey_becomes_three_equal_channels():
    grey = noise(32, 32, 1)
    assert np.array_equal(way().pixels(grey), np.concatenate([grey] * 3, axis=2))


def test_normalise_is_its_formula():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(2, 3, 2, 1)
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in IMAGENET)
    expected = (pixels.numpy().astype(np.float64) / 255 - mean) / std
    found = way().normalise(pixels)
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - expected).max() < 2e-6
    assert torch.equal(way().normalise(pixels.float()), found)


def test_it_goes_through_json():
    preprocess = way((48, 32), "crop", crop=0.9)
    assert Preprocess.from_json(json.loads(json.dumps(preprocess.to_json()))) == preprocess
    assert preprocess.resized(64) == way((64, 64), "crop", crop=0.9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": 2}, "2 channels"),
        ({"mean": (0.5,)}, "1 means"),
        ({"std": (0.2, 0.2, 0.0)}, "std is positive"),
        ({"std": (0.2, 0.2, math.nan)}, "finite"),
        ({"mean": (0.2, 0.2, math.inf)}, "finite"),
        ({"size": (0, 32)}, "sides are 1 or more"),
        ({"crop": 0.0}, r"crop 0\.0"),
        ({"crop": 1.5}, r"crop 1\.5"),
        ({"rule": "strech"}, "one of stretch, crop, letterbox"),
    ],
)
def test_what_no_photo_could_go_through_is_refused(unchecked, change, words):
    with pytest.raises(ModelError, match=words):
        Preprocess.from_json(way().to_json() | change)


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_photo_is_refused(unchecked, photo):
    with pytest.raises(UsageError, match="must be uint8, H W C"):
        way().pixels(photo)


def write_odd_photos(root) -> None:
    """Odd sizes, EXIF turns, grey, palette: a class of each."""
    for place, (height, width) in enumerate([(37, 91), (91, 37), (1, 40), (63, 2), (224, 225), (32, 32)]):
        for kind in ("plain", "turned", "grey"):
            folder = root / kind
            folder.mkdir(parents=True, exist_ok=True)
            image, exif = Image.fromarray(noise(height, width, seed=place)), Image.Exif()
            if kind == "turned":
                exif[0x0112] = 3 + place
            image = image.convert("L") if kind == "grey" else image
            image.save(folder / f"{place}.jpg", quality=90, exif=exif)


@pytest.mark.parametrize(("rule", "channels"), [("stretch", 1), ("crop", 3), ("letterbox", 3)])
def test_training_and_serving_see_the_same_bits(tmp_path, monkeypatch, rule, channels):
    """Loader from the cache, loader without one, predictor and a direct call: the same network pixels."""
    write_odd_photos(tmp_path / "photos")
    dataset = open_dataset(tmp_path / "photos", val=0, test=0)
    preprocess, task = way((32, 32), rule, channels, crop=0.875), Classify(dataset.classes)
    records = dataset.split("train")
    photos = [read_image(dataset.root / record.path).pixels for record in records]
    direct = np.stack([preprocess.pixels(photo) for photo in photos]).transpose(0, 3, 1, 2)

    for cap in (None, 0):
        decoded = decode(dataset, "train", preprocess, dataset.digests(), cap=cap)
        batches = list(Loader(decoded, task, 5).in_order())
        assert np.array_equal(torch.cat([batch.images for batch in batches]).numpy(), direct)

    save_model(
        tmp_path / "m.safetensors",
        build_model("net", 3, in_channels=channels),
        Manifest("classify", dataset.classes, preprocess),
    )
    predictor, seen = load(tmp_path / "m.safetensors"), []
    predictor.model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    predictor(photos)
    assert torch.equal(torch.cat(seen), preprocess.normalise(torch.from_numpy(direct)))
