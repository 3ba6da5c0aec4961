"""Tar shards: the same records, original bytes, one seek a sample; what was altered is named with its place."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.data import spans
from pellucid.data.cache import decode
from pellucid.data.check import check
from pellucid.data.converting import convert
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.shards import ShardsFormat
from pellucid.data.ledger import Ledger
from pellucid.data.masks import RenumberedMask
from pellucid.data.pixels import FreshPixels
from pellucid.data.records import classes_of
from pellucid.errors import DataError, ImageError, UsageError
from pellucid.preprocess import Preprocess
from pellucid.types import Record
from tests.drawn import make_box_table, make_image_folder, make_mask_folder

PREPROCESS = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)


def sharded(dataset: Dataset, folder: Path, most: int = 20_000) -> Dataset:
    ShardsFormat(most).write(dataset, folder)
    return open_dataset(folder, val=0, test=0)


@pytest.fixture
def photos(tmp_path) -> Dataset:
    """JPEGs of three classes in two splits."""
    root = make_image_folder(tmp_path / "photos", splits={"train": 12, "val": 3}, suffix=".jpg")
    return open_dataset(root, val=0, test=0)


def test_records_are_the_same_and_bytes_are_the_original_ones(photos, tmp_path):
    after = sharded(photos, tmp_path / "shards")
    assert (after.task, after.classes, after.format) == ("classify", photos.classes, "shards")
    assert list(after.splits) == list(photos.splits)
    shards = sorted(path.name for path in after.root.glob("*.tar"))
    assert shards[:2] == ["train-000000.tar", "train-000001.tar"]
    assert shards[-1] == "val-000001.tar"
    assert after.ledger.used == {name: len(members(after.root / name)) // 2 for name in shards}
    digests = photos.digests()
    for split, records in photos.splits.items():
        assert list(after.splits[split]) == list(records)
        for old, new in zip(records, after.splits[split], strict=True):
            raw = (photos.root / old.path).read_bytes()
            assert after.encoded(new) == raw
            assert new.span.sha256.hex() == digests[old.path]
            with (after.root / new.span.file).open("rb") as handle:
                handle.seek(new.span.start)
                assert handle.read(new.span.size) == raw


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


def test_shards_are_closed_once_they_are_full_and_do_not_depend_on_when_they_are_written(photos, tmp_path):
    first, second = (sharded(photos, tmp_path / name) for name in "ab")
    assert {path.name: path.read_bytes() for path in first.root.iterdir()} == {
        path.name: path.read_bytes() for path in second.root.iterdir()
    }
    sizes = [path.stat().st_size for path in sorted(first.root.glob("train-*.tar"))]
    assert len(sizes) > 2
    assert all(20_000 <= size < 40_000 for size in sizes[:-1])
    one = sharded(photos, tmp_path / "c", 10**9)
    assert sorted(path.name for path in one.root.glob("*.tar")) == ["train-000000.tar", "val-000000.tar"]


def test_splits_that_are_cut_later_are_those_of_the_folder(tmp_path):
    folder = open_dataset(make_image_folder(tmp_path / "a", per_class=30), val=0, test=0)
    after = sharded(folder, tmp_path / "b")
    cut = open_dataset(after.root, seed=3)
    assert cut.made == ("val", "test")
    assert {name: list(records) for name, records in cut.splits.items()} == {
        name: list(records) for name, records in open_dataset(folder.root, seed=3).splits.items()
    }
    assert cut.digest() == open_dataset(after.root, seed=3).digest()
    assert len({cut.digest(), after.digest(), open_dataset(after.root, seed=4).digest()}) == 3


def test_boxes_keep_every_bit(tmp_path):
    root = make_box_table(tmp_path / "a", {"train": 6, "test": 2})
    lines = (root / "boxes.csv").read_text().replace("train-0.png,square", "train-0.png,square", 1)
    (root / "boxes.csv").write_text(lines + "train-1.png,bar,0.1,0.30000000000000004,9.7,8.1,train\n")
    before = open_dataset(root, val=0, test=0)
    after = sharded(before, tmp_path / "b")
    for split, records in before.splits.items():
        assert list(after.splits[split]) == list(records)


def test_masks_keep_every_pixel(tmp_path):
    before = open_dataset(make_mask_folder(tmp_path / "a", {"train": 5, "val": 2}), val=0, test=0)
    after = sharded(before, tmp_path / "b")
    for split, records in before.splits.items():
        for old, new in zip(records, after.splits[split], strict=True):
            assert (old.path, old.item) == (new.path, new.item)
            assert np.array_equal(old.label.read(before.root, (32, 32)), new.label.read(after.root, (32, 32)))
    first = after.splits["train"][0]
    with pytest.raises(ImageError, match=r"32x32 pixels in its mask in train-000000.tar, 8x9 in its image"):
        first.label.read(after.root, (9, 8))
    sizes, marks = after.splits["train"].seen()
    assert sizes.tolist() == [[32, 32]] * 5
    assert marks.sum(axis=1).tolist() == [32 * 32] * 5
    turned = after.renamed(("a", "b", "c"), lambda label: label.renumbered((2, 1, 0)))
    assert isinstance(turned.splits["train"][1].label, RenumberedMask)
    assert turned.splits["train"].seen() is None
    assert turned.splits["train"].digest() != after.splits["train"].digest()


def test_images_of_packed_files_become_png_and_keep_their_names(tmp_path):
    pixels = np.arange(3 * 32 * 32 * 3, dtype=np.uint8).reshape(3, 32, 32, 3)
    rows = np.concatenate([np.arange(3, dtype=np.uint8)[:, None], pixels.transpose(0, 3, 1, 2).reshape(3, -1)], 1)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "data_batch_1.bin").write_bytes(rows.tobytes())
    before = open_dataset(tmp_path / "a", val=0, test=0)
    after = sharded(before, tmp_path / "b")
    assert [record.name for record in after.splits["train"]] == [f"data_batch_1.bin#{at}" for at in range(3)]
    for at, record in enumerate(after.splits["train"]):
        assert np.array_equal(after.image(record).pixels, pixels[at])
    assert convert(after.root, "folder", tmp_path / "c").counts == {"train": 3}


READER = """
import hashlib, json, sys
import webdataset

for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False, empty_check=False).decode("rgb8"):
    files = {key: value for key, value in sample.items() if not key.startswith("__")}
    pictures = {key for key, value in files.items() if hasattr(value, "dtype")}
    print(json.dumps(files | {key: hashlib.sha256(files[key].tobytes()).hexdigest() for key in pictures}))
"""


def sha256(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def seen_by_webdataset(*datasets: Dataset) -> Iterator[dict[str, object]]:
    """The samples of all shards as that package decodes them, pictures as digests; it leaves files open."""
    urls = [str(path) for dataset in datasets for path in sorted(dataset.root.glob("*.tar"))]
    assert len(urls) > 2 * len(datasets)
    done = subprocess.run([sys.executable, "-c", READER, *urls], capture_output=True, text=True, check=True)
    return map(json.loads, done.stdout.splitlines())


def test_webdataset_reads_what_was_written(tmp_path):
    photos = sharded(open_dataset(make_image_folder(tmp_path / "a", suffix=".jpg"), val=0, test=0), tmp_path / "b")
    boxes = sharded(open_dataset(make_box_table(tmp_path / "c", {"train": 6}), val=0, test=0), tmp_path / "d")
    masks = sharded(open_dataset(make_mask_folder(tmp_path / "e", {"train": 19}), val=0, test=0), tmp_path / "f")
    seen = seen_by_webdataset(photos, boxes, masks)
    for record in photos.splits["train"]:
        assert next(seen) == {"jpg": sha256(photos.image(record).pixels), "cls": record.label}
    for record in boxes.splits["train"]:
        found = next(seen)
        assert found["png"] == sha256(boxes.image(record).pixels)
        assert tuple(map(tuple, found["json"]["boxes"])) == record.label.xyxy
        assert found["json"]["names"] == [boxes.classes[label] for label in record.label.labels]
    for record in masks.splits["train"]:
        mask = record.label.read(masks.root, (32, 32))
        pictures = {"png": masks.image(record).pixels, "mask.png": np.repeat(mask[..., None], 3, 2)}  # all in colour
        assert next(seen) == {key: sha256(pixels) for key, pixels in pictures.items()}
    assert next(seen, None) is None


def test_records_are_a_sequence(photos, tmp_path):
    records = sharded(photos, tmp_path / "shards").splits["train"]
    plain = list(photos.splits["train"])
    assert records[-1] == plain[-1]
    assert list(records[3:20:5]) == plain[3:20:5]
    assert plain[7] in records
    for place in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError):
            records[place]
    doubled = photos.renamed(photos.classes, lambda label: 2 - label).splits["train"]
    twice = sharded(photos, tmp_path / "again").renamed(photos.classes, lambda label: 2 - label)
    assert list(twice.splits["train"]) == list(doubled)
    assert list(twice.renamed(photos.classes, lambda label: 2 - label).splits["train"]) == plain
    for ours, theirs in ((records, plain), (twice.splits["train"], doubled), (records[5:5], [])):
        assert classes_of(ours).tolist() == classes_of(theirs).tolist() == [record.label for record in theirs]


def test_what_was_refused_travels_along(tmp_path):
    root = make_image_folder(tmp_path / "a", per_class=4)
    (root / "bars" / "001.png").write_bytes(b"\x89PNG")
    (root / "disc" / "notes.md").write_text("x")
    done = convert(root, "shards", tmp_path / "b")
    assert done.counts == {"train": 11}
    after = open_dataset(tmp_path / "b", val=0, test=0)
    assert after.ledger.refused == done.refused
    assert {refusal.file for refusal in done.refused} == {"bars/001.png", "disc/notes.md"}
    lines = (tmp_path / "b" / "ledger.jsonl").read_text().splitlines()
    (tmp_path / "b" / "ledger.jsonl").write_text(lines[0] + "\n")
    with pytest.raises(DataError, match=r"ledger.jsonl is missing or altered \(expected SHA-256 [0-9a-f]{64}\)"):
        open_dataset(tmp_path / "b")


def test_the_cache_and_fresh_pixels_are_those_of_the_folder(photos, tmp_path, monkeypatch):
    after = sharded(photos, tmp_path / "shards")
    wanted = decode(photos, "train", PREPROCESS, photos.digests())
    stored = decode(after, "train", PREPROCESS, after.digests())
    assert stored.cached is not None

    def refuse(*_):
        raise AssertionError("all images were decoded")

    monkeypatch.setattr("pellucid.data.cache._developed", refuse)
    fresh = decode(after, "train", PREPROCESS, after.digests(), cap=0)
    assert isinstance(fresh.pixels, FreshPixels)
    for found in (stored, fresh):
        assert np.array_equal(found.pixels.take(range(36)), wanted.pixels.take(range(36)))
        assert np.array_equal(found.sizes, wanted.sizes)
        assert found.marks.shape == wanted.marks.shape
        assert list(found.records) == list(wanted.records)


def test_renumbered_masks_are_looked_at_again(tmp_path):
    before = open_dataset(make_mask_folder(tmp_path / "a", {"train": 4}), val=0, test=0)
    turned = [
        dataset.renamed(dataset.classes, lambda label: label.renumbered((2, 1, 0)))
        for dataset in (before, sharded(before, tmp_path / "b"))
    ]
    whole = dataclasses.replace(PREPROCESS, rule="scale", scale=0.5)
    for cap in (0, None):
        wanted, found = (decode(dataset, "train", whole, dataset.digests(), cap=cap) for dataset in turned)
        assert np.array_equal(found.marks, wanted.marks)
        assert np.array_equal(found.pixels.one(2)[0], wanted.pixels.one(2)[0])


# What goes wrong


def spoiled(path: Path, start: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[start] ^= 1
    path.write_bytes(raw)


def test_an_altered_sample_is_named_with_shard_offset_and_both_digests(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    after = sharded(photos, tmp_path / "shards")
    record = after.splits["train"][17]
    span = record.span
    spoiled(after.root / span.file, span.start + span.size // 2)
    with (after.root / span.file).open("rb") as handle:
        handle.seek(span.start)
        found = hashlib.sha256(handle.read(span.size)).hexdigest()
    after = open_dataset(after.root, val=0, test=0)
    said = (
        f"{after.root}/{span.file} is altered: the {span.size:,} bytes from offset {span.start:,} on have the SHA-256 "
        f"{found}, expected {span.sha256.hex()}. Copy the shard anew"
    )
    for attempt in (lambda: after.image(record), lambda: decode(after, "train", PREPROCESS, {})):
        with pytest.raises(DataError) as error:
            attempt()
        assert str(error.value).startswith(said)
        assert not isinstance(error.value, ImageError)  # which would be put aside, one image after another


def test_check_compares_whole_shards(photos, tmp_path):
    after = sharded(photos, tmp_path / "shards")
    assert check(after).images == {"train": 36, "val": 9}
    path = after.root / "val-000000.tar"
    spoiled(path, path.stat().st_size - 1)  # the padding of the tar, which belongs to no sample
    assert len(list(after.splits["val"])) == 9
    with pytest.raises(
        DataError, match=r"val-000000\.tar is altered: it has the SHA-256 [0-9a-f]{64}, expected [0-9a-f]"
    ):
        check(after)


def test_a_shard_that_is_cut_short_or_gone_is_found_at_once(photos, tmp_path):
    after = sharded(photos, tmp_path / "shards")
    path, record = after.root / "train-000001.tar", after.splits["train"][-1]
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=rf"train-000001\.tar is cut short or altered: 9,000 bytes, expected {size:,}"):
        open_dataset(after.root)
    last = after.root / record.span.file
    last.write_bytes(last.read_bytes()[: record.span.start + 5])
    with pytest.raises(
        DataError, match=rf"cut short: 5 bytes from offset {record.span.start:,} on, expected {record.span.size}"
    ):
        after.image(record)
    with pytest.raises(DataError, match=r"cut short or altered: 9,000 bytes"):
        spans.sha256_shard(after.root, "train-000001.tar", size)
    path.unlink()
    with pytest.raises(DataError, match=r"train-000001\.tar is missing"):
        open_dataset(after.root)
    last.unlink()
    with pytest.raises(DataError, match=r"cannot be read: No such file"):
        after.image(record)


def test_a_kill_leaves_nothing_that_is_taken_for_a_set(photos, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.data.shard_writer.write_columns", die)
        with pytest.raises(Killed):
            sharded(photos, tmp_path / "shards")
    assert not list((tmp_path / "shards").iterdir())
    assert len(sharded(photos, tmp_path / "shards").splits["train"]) == 36
    with pytest.raises(UsageError, match=r"is not an empty folder"):
        sharded(photos, tmp_path / "shards")


def test_shards_without_their_index_are_no_set(photos, tmp_path):
    after = sharded(photos, tmp_path / "shards")
    (after.root / "index.safetensors").unlink()
    with pytest.raises(DataError, match=r"in none of the formats that are read .*Found: \d+ \.tar"):
        open_dataset(after.root)


def test_an_index_of_another_version_is_refused(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("pellucid.data.shard_writer.VERSION", 7)
    with pytest.raises(DataError, match=r"is of version 7, and 1 is read here. Convert again"):
        sharded(photos, tmp_path / "shards")


def test_a_record_of_another_set_has_no_bytes_here(photos, tmp_path):
    after = sharded(photos, tmp_path / "shards")
    with pytest.raises(ImageError, match=r"bars/000.jpg is in no shard"):
        after.image(Record(Path("bars/000.jpg"), 0))


# The command line


def test_every_verb_works_on_shards(tmp_path, capsys):
    root = make_image_folder(tmp_path / "a", splits={"train": 12, "val": 4, "test": 4})
    assert main(["convert", str(root), "--to", "shards", "--out", str(tmp_path / "b"), "--shard-mb", "1"]) == 0
    assert "shards, 3 classes, images: 36 train, 12 val, 12 test" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "b")]) == 0
    figures = []
    for name in "ab":
        out = tmp_path / f"run-{name}"
        flags = ["--model", "net", "--epochs", "2", "--batch", "8"]
        assert main(["train", str(tmp_path / name), "--out", str(out), *flags]) == 0
        capsys.readouterr()
        assert main(["evaluate", str(out / "model.safetensors"), str(tmp_path / name), "--json"]) == 0
        figures.append(json.loads(capsys.readouterr().out)["metrics"])
    assert figures[0] == figures[1]


def test_the_size_of_shards_is_for_shards(tmp_path):
    root = make_image_folder(tmp_path / "a", per_class=2)
    with pytest.raises(UsageError, match=r"--shard-mb is for --to shards, and 'table' has none"):
        convert(root, "table", tmp_path / "b", shard_mb=5)
    with pytest.raises(UsageError, match=r"--shard-mb 0 must be 1 or more"):
        convert(root, "shards", tmp_path / "b", shard_mb=0)
    assert not (tmp_path / "b").exists()


def test_a_suffix_that_no_reader_knows_is_replaced(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.ü", "PNG")
    dataset = Dataset("classify", ("x",), {"train": (Record(Path("a.ü"), 0),)}, tmp_path, Ledger(), "folder")
    after = sharded(dataset, tmp_path / "b")
    assert [member.name for member in members(after.root / "train-000000.tar")] == [
        "train-000000-000000.image",
        "train-000000-000000.cls",
    ]
    assert after.splits["train"][0].path == Path("a.ü")
