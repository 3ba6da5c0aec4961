from pathlib import Path

import numpy as np
import pytest

from pellucid.data.dataset import open_dataset
from pellucid.errors import DataError
from tests.drawn import draw_images


def packed(labels: list[int], seed: int = 0) -> tuple[bytes, np.ndarray]:
    images = draw_images(labels, 32, seed)
    rows = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in zip(labels, images, strict=True)]
    return b"".join(rows), images


@pytest.fixture
def root(tmp_path) -> Path:
    for number in (1, 2, 10):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(packed([0, 1, 2], number)[0])
    (tmp_path / "test_batch.bin").write_bytes(packed([2, 1])[0])
    (tmp_path / "batches.meta.txt").write_text("airplane\nautomobile\nbird\n\n")
    return tmp_path


def test_records_are_read_in_the_order_of_the_files(root):
    dataset = open_dataset(root, val=0)
    assert dataset.classes == ("airplane", "automobile", "bird")
    names = [record.name for record in dataset.splits["train"]]
    assert names[::3] == ["data_batch_1.bin#0", "data_batch_2.bin#0", "data_batch_10.bin#0"]
    images = packed([0, 1, 2], 10)[1]
    for record, pixels in zip(dataset.splits["train"][6:], images, strict=True):
        image = dataset.image(record)
        assert np.array_equal(image.pixels, pixels)
        assert image.pixels.flags.c_contiguous
        assert image.pixels.flags.writeable
    assert [record.label for record in dataset.splits["test"]] == [2, 1]


def test_without_names_the_classes_are_numbers(root):
    (root / "batches.meta.txt").unlink()
    assert open_dataset(root, val=0).classes == tuple("0123456789")


def test_a_size_that_is_no_multiple_is_refused(root):
    (root / "data_batch_2.bin").write_bytes(bytes(3073 * 2 + 1))
    with pytest.raises(DataError, match=r"data_batch_2.bin holds 6147 bytes, no multiple of 3073"):
        open_dataset(root)
    (root / "data_batch_2.bin").write_bytes(b"")
    with pytest.raises(DataError, match="holds 0 bytes"):
        open_dataset(root)


def test_labels_beyond_the_classes_are_refused_by_record(root):
    (root / "data_batch_2.bin").write_bytes(packed([0, 3, 1, 255])[0])
    dataset = open_dataset(root, val=0)
    assert len(dataset.splits["train"]) == 8
    assert [str(refusal) for refusal in dataset.ledger.refused] == [
        f"data_batch_2.bin#{at}: record {at} has a label that is no class [{label}]. "
        "Labels run from 0 to 2; replace the file with an intact copy."
        for at, label in ((1, 3), (3, 255))
    ]


@pytest.mark.parametrize("names", ["", "a\na\n", "\n".join("abcdefghijk")])
def test_names_that_cannot_be_classes_are_refused(root, names):
    (root / "batches.meta.txt").write_text(names)
    with pytest.raises(DataError, match="must name up to 10 different classes"):
        open_dataset(root)


def test_the_real_records(shared):
    dataset = open_dataset(shared / "cifar10-bin", val=0)
    assert dataset.classes[:4] == ("airplane", "automobile", "bird", "cat")
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (8_068, 500)
    first = [record.label for record in train if record.path.name == "data_batch_1.bin"]
    assert np.bincount(first).tolist() == [396, 366, 420, 384, 422, 393, 414, 385, 407, 413]
    assert np.bincount([record.label for record in test]).tolist() == [57, 41, 51, 49, 40, 48, 54, 47, 57, 56]
    pixels = np.stack([dataset.image(record).pixels for record in train]) / 255
    assert pixels.mean(axis=(0, 1, 2)) == pytest.approx([0.4930, 0.4834, 0.4469], abs=1e-4)
    assert pixels.std(axis=(0, 1, 2)) == pytest.approx([0.2480, 0.2445, 0.2624], abs=1e-4)
