"""Answers in parts: the same bytes for any number of ranks, and what is done is not done again."""

import csv
import dataclasses
import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid import answers
from pellucid.answers import AnswerFile, PredictionWriter, key_of
from pellucid.checkpoint import Manifest, save_model
from pellucid.cli import main
from pellucid.data.converting import convert
from pellucid.data.dataset import open_dataset
from pellucid.data.formats.shards import ShardsFormat
from pellucid.data.packed import PackedPhotos
from pellucid.errors import DataError, PellucidError
from pellucid.models.base import build_model
from pellucid.prediction import Predicted, find_photos, predict
from pellucid.preprocess import Preprocess
from pellucid.ranks import ALONE
from tests.drawn import make_image_folder
from tests.ranked import torchrun

CLASSES = ("bars", "columns", "disc")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    preprocess = Preprocess((32, 32), "crop", 3, (0.4,) * 3, (0.25,) * 3, 0.875)
    save_model(path, build_model("net", 3), Manifest("classify", CLASSES, preprocess))
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """150 in three folders with the same names, of which one cannot be read."""
    folder = make_image_folder(tmp_path_factory.mktemp("photos") / "photos", per_class=50)
    broken = folder / "columns" / "013.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def shards(photos, tmp_path_factory):
    """The same, but for the one that cannot be read, in shards of a few."""
    folder = tmp_path_factory.mktemp("shards") / "shards"
    dataset = open_dataset(photos, val=0, test=0)
    readable = tuple(record for record in dataset.splits["train"] if record.path.as_posix() != "columns/013.png")
    ShardsFormat(shard_bytes=30_000).write(dataclasses.replace(dataset, splits={"train": readable}), folder)
    assert len(list(folder.glob("*.tar"))) > 4
    return folder


def names_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_ranks_write_what_one_process_writes(model, photos, tmp_path, capsys):
    """Lines in order, to the byte, and pictures of the same names; nothing is left beside the file."""
    assert main(["predict", str(model), str(photos), "--json"]) == 1
    printed = capsys.readouterr().out
    for count in (2, 4):
        folder = tmp_path / str(count)
        torchrun(count, "predict", model, photos, "--out", folder / "a.jsonl", "--draw", folder / "drawn")
        assert (folder / "a.jsonl").read_text() == printed
        assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "drawn", "written"]
    assert main(["predict", str(model), str(photos), "--draw", str(tmp_path / "drawn")]) == 1
    drawn = names_of(tmp_path / "drawn")
    assert len(drawn) == 149
    assert names_of(tmp_path / "2" / "drawn") == names_of(tmp_path / "4" / "drawn") == drawn


def test_ranks_share_a_set_in_shards(model, shards, tmp_path, capsys):
    assert main(["predict", str(model), str(shards), "--csv"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("image,label,score,error\nbars/000.png,")
    assert printed.count("\n") == 150
    for count in (2, 4):
        torchrun(count, "predict", model, shards, "--out", tmp_path / f"{count}.csv")
        assert (tmp_path / f"{count}.csv").read_text() == printed


def test_what_a_killed_rank_had_done_is_not_done_again(model, photos, tmp_path, monkeypatch):
    """Ten parts, five a rank; the second rank dies behind its third. torchrun starts both again."""
    alone_file, killed = tmp_path / "alone" / "a.csv", tmp_path / "killed" / "a.csv"
    assert main(["predict", str(model), str(photos), "--out", str(alone_file)]) == 1
    monkeypatch.setenv("KILLED", "1")
    torchrun(2, "predict", model, photos, "--out", killed)
    assert killed.read_bytes() == alone_file.read_bytes()
    written = [line.split() for line in (killed.parent / "written").read_text().splitlines()]
    assert max(Counter(part for _, _, part in written).values()) == 1
    assert {again for again, _, part in written if part in ("000005", "000006", "000007")} == {"0"}
    assert "1" in {again for again, _, _ in written}


def test_a_run_goes_on_behind_the_parts_that_are_there(model, photos, tmp_path, monkeypatch):
    """Until anything that they depend on has changed."""
    monkeypatch.setattr(answers, "PART", 16)
    found, columns = find_photos([str(photos)], ()), ("label", "score")
    key = key_of(model, found, [])
    answer = AnswerFile(tmp_path / "a.jsonl", columns, key)
    said: list[str] = []

    def say(part):
        said.extend(map(str, part))
        return predict(model, part)

    for one in answer.fill(found, ALONE, say, ()):
        if one.image == found[40]:
            break
    assert len(said) == 48
    said.clear()
    list(answer.fill(found, ALONE, say, ()))
    assert said == found[32:]
    assert answer.join(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    os.utime(found[0], ns=(1, 1))
    assert key_of(model, found, []) != key
    assert key_of(model, found, [0.5]) != key_of(model, found, [])


def test_a_missing_part_is_said(tmp_path):
    answer = AnswerFile(tmp_path / "a.csv", ("label", "score"), "k" * 64)
    with pytest.raises(PellucidError, match=r"Part 0 of .*a.csv is missing: not all ranks saw the same photos"):
        answer.join(["x.png"])
    assert not (tmp_path / "a.csv").exists()


def test_errors_are_counted_whatever_is_in_them(tmp_path):
    """Line breaks and quotes in names; a name that is no text comes out as it was."""
    names = ["a\nb.png", 'c",d.png', "plain.png", "\udcff.png"]
    for name in ("a.csv", "a.jsonl"):
        answer = AnswerFile(tmp_path / name, ("label", "score"), "k" * 64)
        list(answer.fill(names, ALONE, lambda part: (Predicted(one, error='gone\n"x"') for one in part), ()))
        assert answer.join(names) == 4
    rows = csv.reader(io.StringIO((tmp_path / "a.csv").read_bytes().decode("utf-8", "surrogateescape"), newline=""))
    assert [row[0] for row in rows] == ["image", *names]


def test_photos_in_shards_are_those_of_the_folder(model, photos, shards):
    packed = find_photos([str(shards)], ())
    assert isinstance(packed, PackedPhotos)
    assert len(packed) == 149
    assert [str(photo) for photo in packed[45:60]] == [str(photo) for photo in packed][45:60]
    assert packed[148].size == (32, 32)
    with pytest.raises(IndexError):
        packed[149]
    ours = [one for one in predict(model, find_photos([str(photos)], ())) if not one.error]
    for found, expected in zip(predict(model, packed), ours, strict=True):
        assert str(photos / found.image) == expected.image
        assert np.array_equal(found.pixels, expected.pixels)


def test_photos_of_several_splits_come_one_after_the_other(tmp_path):
    folder = make_image_folder(tmp_path / "data", splits={"train": 3, "test": 2})
    convert(folder, "shards", tmp_path / "shards")
    packed = find_photos([str(tmp_path / "shards")], ())
    names = [str(photo) for photo in packed]
    assert len(packed) == len(names) == 15
    assert [name.split("/")[0] for name in names] == ["train"] * 9 + ["test"] * 6
    assert [str(photo) for photo in packed[7:12]] == names[7:12]


def test_an_altered_shard_ends_the_run(model, shards, tmp_path):
    (copy := tmp_path / "copy").mkdir()
    for path in shards.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    shard = sorted(copy.glob("*.tar"))[0]
    raw = bytearray(shard.read_bytes())
    raw[600] ^= 1
    shard.write_bytes(raw)
    with pytest.raises(DataError, match=r"train-000000.tar is altered"):
        list(predict(model, find_photos([str(copy)], ())))


def test_what_cannot_be_shared_or_written_is_refused(model, photos, shards, tmp_path, capsys):
    for words, said in {
        "--out answers.txt": "give a file .jsonl or .csv for the predictions, or a folder and, with --to",
        "--out a.csv --csv": "holds photos, in the form of its name",
        "--to coco": "--out DIR and --to coco, yolo or voc belong together",
    }.items():
        assert main(["predict", str(model), str(photos), *words.split()]) == 2
        assert said in capsys.readouterr().err
    assert main(["predict", str(model), str(shards), str(photos)]) == 2
    assert "is a set in shards. Give it alone" in capsys.readouterr().err


def test_text_json_and_csv_have_one_line_an_image():
    lines = io.StringIO()
    PredictionWriter("text", (), lines).write(Predicted("a.png", error="it is gone", seconds=1.5))
    assert lines.getvalue() == "a.png  1.50 s  it is gone\n"
