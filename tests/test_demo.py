"""The demos go the whole way, and the commands that they show are the ones that do it."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import cli, demo
from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from tests.drawn import make_image_folder


def commands(said: list[str]) -> dict[str, list[str]]:
    """The words of every command shown, by its verb."""
    shown = [shlex.split(line)[2:] for line in said if line.startswith("$ pellucid ")]
    return {words[0]: words for words in shown}


SHORT = {
    "segment": ("scenes", {"SCENES": TrainConfig(model="fcn_compact", epochs=1, threads=1, color=0, zoom=1)}),
    "detect": ("boxes", {"BOXED": TrainConfig(model="yolo_n", size=32, epochs=1, threads=1, mosaic=0)}),
}


@pytest.fixture(scope="module", params=list(SHORT))
def shown(request, tmp_path_factory) -> tuple[str, Path, list[str], list[str]]:
    """Of a short demo of scenes: its name, its data, what was said and the lines of the result."""
    data, settings = SHORT[request.param]
    folder, said = tmp_path_factory.mktemp("demo"), []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings | {"COUNTS": {"train": 8, "val": 2, "test": 11}, "SIDE": 32}).items():
            patch.setattr(demo, name, value)
        lines = list(demo.run_demos([request.param], folder, said.append))
    return request.param, folder / data, said, lines


def test_scenes_go_through_every_verb(shown, capsys):
    name, data, said, lines = shown
    words = commands(said)
    assert list(words) == ["check", "train", "evaluate", "predict"]
    for verb in ("check", "evaluate", "predict"):
        assert cli.main(words[verb]) == 0
    assert "  train: 8 images" in "".join(said)
    printed = capsys.readouterr().out
    headline = "mean_iou" if name == "segment" else "ap"
    figure = lines[0].removeprefix(f"test: {headline} ").split()[0]
    assert re.search(rf"^  {headline} +{float(figure) / 100:.4f}", printed, re.MULTILINE)  # what `evaluate` prints
    assert name in printed
    assert data.with_name(f"{data.name}-run").joinpath("report.html").exists()
    assert [line.split(":")[0] for line in lines] == ["test", "model", "report", "drawn"]
    assert all(Path(line.split(maxsplit=1)[1]).exists() for line in lines[1:])


def test_predictions_are_drawn_of_test_images_only(shown):
    _, data, said, _ = shown
    words = commands(said)["predict"]
    images = [Path(word) for word in words[2 : words.index("--draw")]]
    assert [image.stem for image in images] == ["0000", "0002", "0004", "0006", "0008"]
    assert len({image.parent for image in images}) == 1
    assert "test" in images[0].relative_to(data).parts
    for image in images:
        drawn = np.asarray(Image.open(data.with_name(f"{data.name}-drawn") / image.name))
        assert min(drawn.shape[:2]) >= 32
        assert drawn.shape[2] == 3
        assert f"{image}  " in "".join(said)


@pytest.mark.parametrize("settings", [demo.DIGITS, demo.SCENES, demo.BOXED])
def test_the_flags_shown_are_the_settings(settings, tmp_path):
    words = ["data", "--out", "run", *demo._flags(settings).split()]
    parsed = cli._parsed("train", words)
    assert settings in (*parsed.args, *parsed.keywords.values())


def test_digits_are_classified_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DIGITS", TrainConfig(model="net", epochs=1, hflip=0, threads=1))
    monkeypatch.setattr(demo, "write_digits", lambda folder: make_image_folder(folder, ("3", "5", "8"), per_class=20))
    said: list[str] = []
    lines = list(demo.run_demos([], tmp_path, said.append))
    assert list(commands(said)) == ["train", "evaluate", "predict"]
    assert lines[0].startswith("test: top1 ")
    shown = [line.split() for line in said[-1].splitlines()]
    assert len(shown) == demo.SHOWN
    assert len({Path(words[0]).parent.name for words in shown}) > 1  # not all of one class


def test_both_are_shown_one_after_the_other(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "DEMOS", {name: lambda folder, say, n=name: [f"{n} in {folder}"] for name in "ab"})
    assert cli.main(["demo", "b", "a", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"b in {tmp_path}", f"a in {tmp_path}"]


def test_an_unknown_demo_is_refused_before_any_begins(tmp_path):
    with pytest.raises(UsageError, match=r"No demo named 'segmet'\. Did you mean 'segment'"):
        list(demo.run_demos(["classify", "segmet"], tmp_path, lambda _: None))
    assert not list(tmp_path.iterdir())
