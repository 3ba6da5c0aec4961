"""A run killed at any moment and resumed ends with the bits of the run that was not."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

from pellucid.cli import main
from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.training.run import train
from tests.training.child import start

# Everything that could carry state from step to step: averages, momentum, batch norm, mixing, colour, micro-batches.
SETTINGS = {
    "model": "compact",
    "epochs": 8,
    "batch": 8,
    "accumulate": 2,
    "ema": 0.9,
    "mixup": 0.4,
    "cutmix": 1.0,
    "color": 0.2,
    "erase": 0.25,
    "rotate": 10.0,
    "zoom": 0.8,
    "save_seconds": 0.0,
    "threads": 1,
    "seed": 5,
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lasting_events(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["event"] in ("stepped", "evaluated")]
    return [{key: value for key, value in row.items() if key != "images_per_second"} for row in kept]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    from tests.drawn import make_image_folder

    return make_image_folder(tmp_path_factory.mktemp("resume") / "drawn")


@pytest.fixture(scope="module")
def uninterrupted(drawn, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("resume") / "whole"
    train(drawn, out, TrainConfig(**SETTINGS))
    return out


def assert_same_run(run: Path, whole: Path) -> None:
    assert digest(run / "model.safetensors") == digest(whole / "model.safetensors")
    assert lasting_events(run) == lasting_events(whole)
    assert not list(run.glob(".*"))
    assert (run / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


def resume_to_the_end(drawn: Path, out: Path) -> None:
    process = start(drawn, out, SETTINGS, resume=True)
    process.join(120)
    assert process.exitcode == 0


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(12))
def test_killed_at_a_random_moment(trial, drawn, uninterrupted, tmp_path):
    generator, out, kills = np.random.default_rng(trial), tmp_path / "run", 0
    for _ in range(2):
        process = start(drawn, out, SETTINGS, resume=out.exists())
        while process.is_alive() and not (out / "checkpoint.safetensors").exists():
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.5))
        process.kill()
        process.join(60)
        kills += process.exitcode == -9
    resume_to_the_end(drawn, out)
    assert kills > 0
    assert_same_run(out, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("flush", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 23, 40])
def test_killed_inside_a_save(flush, drawn, uninterrupted, tmp_path):
    out = tmp_path / "run"
    process = start(drawn, out, SETTINGS, die_at_flush=flush)
    process.join(60)
    assert process.exitcode == -9
    resume_to_the_end(drawn, out)
    assert_same_run(out, uninterrupted)


def test_stopped_and_resumed_in_one_process(drawn, uninterrupted, tmp_path):
    out, asked = tmp_path / "run", iter(["", "", "", "", "", "enough"])
    outcome = train(drawn, out, TrainConfig(**SETTINGS), stop=lambda: next(asked))
    assert outcome.stopped == "enough"
    assert not (out / "metrics.json").exists()
    assert train(drawn, out, TrainConfig(**SETTINGS), resume=True).stopped == ""
    assert_same_run(out, uninterrupted)


def test_same_seed_same_bits_and_another_seed_others(drawn, uninterrupted, tmp_path):
    train(drawn, tmp_path / "same", TrainConfig(**SETTINGS))
    train(drawn, tmp_path / "other", TrainConfig(**{**SETTINGS, "seed": 6}))
    assert_same_run(tmp_path / "same", uninterrupted)
    assert digest(tmp_path / "other/model.safetensors") != digest(uninterrupted / "model.safetensors")


def test_a_run_from_other_weights_resumes_to_the_same_file(drawn, uninterrupted, tmp_path):
    """Once there is a checkpoint the weights it began with are not read again, and the file must not say so."""
    settings = TrainConfig(**SETTINGS | {"weights": str(uninterrupted / "model.safetensors"), "epochs": 2})
    train(drawn, tmp_path / "whole", settings)
    asked = iter(["", "", "", "enough"])
    train(drawn, tmp_path / "run", settings, stop=lambda: next(asked))
    train(drawn, tmp_path / "run", settings, resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_an_existing_run_is_refused_without_resume(drawn, uninterrupted):
    with pytest.raises(UsageError, match=r"holds a run that was finished\. Add --resume"):
        train(drawn, uninterrupted, TrainConfig(**SETTINGS))


def test_resuming_a_finished_run_says_so(drawn, uninterrupted, capsys):
    assert main(["train", str(drawn), "--out", str(uninterrupted), "--resume"]) == 0
    told = capsys.readouterr()
    assert "is finished" in told.err
    assert "test: top1" in told.out


def test_a_setting_that_would_have_no_effect_is_refused(drawn, uninterrupted):
    with pytest.raises(UsageError, match=r"--epochs is 9, but the run .* was begun with 8"):
        train(drawn, uninterrupted, TrainConfig(epochs=9), resume=True)


def test_changed_data_is_refused(make_image_folder, tmp_path):
    data, out = make_image_folder(), tmp_path / "run"
    train(data, out, TrainConfig(**SETTINGS), stop=lambda: "now")
    victim = sorted(data.rglob("*.png"))[0]
    victim.write_bytes(sorted(data.rglob("*.png"))[1].read_bytes())
    with pytest.raises(UsageError, match="The data has changed"):
        train(data, out, resume=True)
