import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pellucid.data.dataset import open_dataset
from pellucid.data.formats.idx import IdxFormat
from pellucid.errors import DataError


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


IMAGES = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx(IMAGES[:2]))
    (tmp_path / "t10k-labels.idx1-ubyte").write_bytes(idx(LABELS[:2]))
    return tmp_path


def test_plain_and_gzipped_files_are_read(root):
    dataset = open_dataset(root, val=0)
    assert dataset.classes == ("0", "1", "2")
    assert [record.label for record in dataset.splits["train"]] == LABELS.tolist()
    assert dataset.splits["test"][1].name == "t10k-images.idx3-ubyte#1"
    for item, record in enumerate(dataset.splits["train"]):
        image = dataset.image(record)
        assert np.array_equal(image.pixels[..., 0], IMAGES[item])
        assert image.pixels.flags.writeable
        assert image.pixels.flags.c_contiguous
    assert dataset.ledger.used["train-images-idx3-ubyte"] == 5


def test_class_names_come_from_a_file(root):
    (root / "classes.txt").write_text("cat\ndog\nfish\n")
    (root / "LICENSE").write_text("x")
    (root / "train-images-idx3-ubyte.gz").write_bytes(b"")
    dataset = open_dataset(root, val=0)
    assert dataset.classes == ("cat", "dog", "fish")
    assert [(refusal.file, refusal.reason) for refusal in dataset.ledger.refused] == [
        ("LICENSE", "it is none of the IDX files"),
        ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte is used in its place"),
    ]
    (root / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"classes.txt names 2 classes, and there is a label 2"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-images-idx3-ubyte", b"", "begins with nothing"),
        ("train-images-idx3-ubyte", b"PNG\r\n", "begins with 504e470d; an IDX file"),
        ("train-images-idx3-ubyte", b"\0\0\x0d\3" + bytes(40), "begins with 00000d03"),
        ("train-images-idx3-ubyte", b"\0\0\x08\3\0\0", "begins with 00000803"),
        ("train-images-idx3-ubyte", idx(IMAGES)[:-1], "holds 135 bytes; its header says 5 x 4 x 6, which makes 136"),
        ("train-images-idx3-ubyte", idx(IMAGES) + b"x", "holds 137 bytes"),
        ("train-images-idx3-ubyte", b"\0\0\x08\3" + b"\xff" * 12, "4294967295 x 4294967295 x 4294967295"),
        ("train-images-idx3-ubyte", idx(LABELS), "has 1 dimensions"),
        ("train-images-idx3-ubyte", idx(IMAGES[:3]), "holds 3 images and train-labels-idx1-ubyte.gz 5 labels"),
        ("train-labels-idx1-ubyte.gz", b"no gzip", "is damaged: Not a gzipped file"),
        ("train-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS), mtime=0)[:-9], "is damaged"),
    ],
)
def test_damaged_files_are_refused(root, name, content, said):
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        open_dataset(root)
    assert str(root / "train-") in str(caught.value)


def test_images_need_their_labels(root):
    (root / "t10k-labels.idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-images.idx3-ubyte has no file of labels beside it"):
        open_dataset(root)


def test_a_file_that_changed_is_read_again(root):
    record = open_dataset(root, val=0).splits["test"][0]
    (root / "t10k-images.idx3-ubyte").write_bytes(idx(255 - IMAGES[:2]))
    assert np.array_equal(IdxFormat().image(root, record).pixels[..., 0], 255 - IMAGES[0])


def test_fashion_mnist_has_its_names(shared):
    dataset = open_dataset(shared / "fashion-mnist")
    assert dataset.classes[0] == "T-shirt/top"
    assert dataset.classes[9] == "Ankle boot"
    assert {name: len(records) for name, records in dataset.splits.items()} == {
        "train": 60_000 - len(dataset.splits["val"]),
        "val": len(dataset.splits["val"]),
        "test": 10_000,
    }
    assert 1_500 < len(dataset.splits["val"]) <= 2_000

    whole = open_dataset(shared / "fashion-mnist", val=0)
    pixels = np.stack([whole.image(record).pixels for record in whole.splits["train"]])
    assert pixels.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std() / 255 == pytest.approx(0.3530, abs=5e-5)
    assert np.bincount([record.label for record in whole.splits["train"]]).tolist() == [6000] * 10
