"""The interface people script against: verbs, flags, JSON, exit codes, and one line for a mistake."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from pellucid.cli import main
from tests.drawn import make_image_folder, make_mask_folder

PELLUCID = [sys.executable, "-m", "pellucid"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_image_folder(tmp_path_factory.mktemp("cli") / "photos")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", str(data), "--out", str(out), "--model", "net", "--epochs", "12", "--threads", "1"]) == 0
    return out


def told(capsys, *words) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(word) for word in words])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_train_leaves_the_whole_run_folder(run):
    names = {path.name for path in run.iterdir()}
    assert {
        "config.json",
        "events.jsonl",
        "ledger.jsonl",
        "metrics.csv",
        "metrics.json",
        "checkpoint.safetensors",
        "model.safetensors",
        "report.html",
    } <= names
    config = json.loads((run / "config.json").read_text())
    assert config["asked"]["epochs"] == 12
    assert config["plan"]["settings"]["lr"] > 0
    assert set(config["plan"]["reasons"]) >= {"size", "batch", "optimizer", "lr"}
    assert {"processor", "threads", "torch"} <= set(config["machine"])
    assert len((run / "ledger.jsonl").read_text().splitlines()) == 36


def test_the_model_file_says_what_it_is(run):
    from pellucid.checkpoint import read_facts

    facts = read_facts(run / "model.safetensors")
    assert facts["architecture"]["name"] == "net"
    assert facts["classes"] == ["bars", "columns", "disc"]
    assert facts["preprocess"]["size"] == [32, 32]
    assert facts["metrics"]["test"]["count"] > 0
    assert len(facts["data"]) == 64
    assert set(facts["versions"]) == {"pellucid", "torch"}


def test_nothing_in_a_run_is_a_pickle(run):
    for path in run.rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:8]
            # The length that a safetensors file begins with may begin like a pickle; its upper half is 0.
            pickled = head[0] == 0x80 and head[1] in (2, 3, 4, 5) and head[4:] != bytes(4)
            assert not pickled, path
            assert not head.startswith(b"PK"), path


def test_evaluate_json(run, data, capsys):
    code, out, _ = told(capsys, "evaluate", run / "model.safetensors", data, "--split", "test", "--json")
    row = json.loads(out)
    assert code == 0
    assert row["task"] == "classify"
    assert row["split"] == "test"
    assert row["correct"] == round(row["metrics"]["top1"] * row["count"])
    assert {"top1", "top5"} <= set(row["metrics"])
    low, high = row["intervals"]["top1"]
    assert low <= row["metrics"]["top1"] <= high
    assert [entry["class"] for entry in row["per_class"]] == ["bars", "columns", "disc"]
    assert row["metrics"] == json.loads((run / "metrics.json").read_text())["test"]["metrics"]


def test_evaluate_against_itself_finds_no_difference(run, data, capsys):
    model = run / "model.safetensors"
    code, out, _ = told(capsys, "evaluate", model, data, "--split", "train", "--against", model, "--json")
    assert code == 0
    assert json.loads(out)["comparison"]["difference"] == 0.0
    assert json.loads(out)["comparison"]["p"] == 1.0


def test_predict_json_lines_and_one_record_for_a_broken_image(run, data, capsys, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not an image")
    good = sorted(data.rglob("*.png"))[:2]
    code, out, err = told(capsys, "predict", run / "model.safetensors", good[0], broken, good[1], "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["image"] for row in rows] == [str(good[0]), str(broken), str(good[1])]
    assert rows[0]["prediction"]["label"] in ("bars", "columns", "disc")
    assert sum(rows[0]["prediction"]["probs"].values()) == pytest.approx(1, abs=1e-5)
    assert rows[0]["error"] is None
    assert rows[1]["prediction"] is None
    assert rows[1]["error"]
    assert "1 of 3 images could not be read" in err


def test_predict_csv_folder_glob_and_standard_input(run, data, capsys, monkeypatch):
    model = run / "model.safetensors"
    _, folder, _ = told(capsys, "predict", model, data / "disc", "--csv")
    _, pattern, _ = told(capsys, "predict", model, str(data / "disc" / "*.png"), "--csv")
    listed = "\n".join(str(path) for path in sorted((data / "disc").iterdir()))
    monkeypatch.setattr("sys.stdin", io.StringIO(listed + "\n"))
    _, stdin, _ = told(capsys, "predict", model, "-", "--csv")
    assert folder == pattern == stdin
    rows = list(csv.DictReader(io.StringIO(folder)))
    assert len(rows) == 12
    assert list(rows[0]) == ["image", "label", "score", "error"]


def test_predict_draws_every_picture_once(run, data, tmp_path, capsys):
    same_names = [data / "disc" / "000.png", data / "bars" / "000.png"]
    assert told(capsys, "predict", run / "model.safetensors", *same_names, "--draw", tmp_path / "drawn")[0] == 0
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["000-2.png", "000.png"]
    with Image.open(drawn[0]) as picture:
        assert picture.width >= 160


def test_a_folder_without_images_is_an_error(run, capsys, tmp_path):
    code, _, err = told(capsys, "predict", run / "model.safetensors", tmp_path)
    assert code == 2
    assert err.startswith("pellucid: No image in")


MISTAKES = [
    (["trian"], "No verb named 'trian'. Did you mean 'train'?"),
    (["train", "DATA", "--minuts", "3"], "train has no flag --minuts. Did you mean '--minutes'?"),
    (["train", "DATA", "--epochs", "x"], "Error parsing --epochs"),
    (["train", "DATA", "--epochs", "0"], "--epochs is 0; it must lie between 1"),
    (["train", "DATA", "--epochs", "2", "--minutes", "1"], "--epochs and --minutes both say how long to train"),
    (["train", "DATA", "--optimizer", "adamw", "--momentum", "0.9"], "--momentum has no effect with --optimizer adamw"),
    (["train", "DATA", "--out", "OUT", "--model", "resnt18"], "No model named 'resnt18'. Did you mean 'resnet18'?"),
    (["train", "DATA", "--out", "OUT", "--device", "cuda:7"], "Device 'cuda:7' cannot be used here"),
    (["train", "DATA", "--out", "OUT", "--freeze", "layr1", "--model", "resnet20"], "Did you mean 'layer1'?"),
    (["train", "nowhere/at/all", "--out", "OUT"], "nowhere/at/all"),
    (["train", "DATA", "--resume"], "--resume needs --out"),
    (["train"], "Missing"),
    (["evaluate", "MODEL", "DATA", "--split", "tset"], "has no 'tset' split. It has: train"),
    (["evaluate", "none.safetensors", "DATA"], "No file none.safetensors"),
    (["predict", "MODEL", "IMAGE", "--json", "--csv"], "two forms of the same answer"),
    (["predict", "IMAGE", "IMAGE"], "is not a readable safetensors file"),
    (["import", "IMAGE", "--model", "net", "--classes", "a,b"], "its suffix is '.png'"),
    (["check", "nowhere/at/all"], "nowhere/at/all"),
    (["convert", "DATA"], "convert needs --to, the format to write, and --out, the folder to write it to"),
    (["convert", "DATA", "--to", "foldr", "--out", "OUT"], "No format named 'foldr'. Did you mean 'folder'?"),
    (["convert", "DATA", "--to", "panoptic", "--out", "OUT"], "is for the task 'classify', and the format 'panoptic'"),
    (["convert", "DATA", "--to", "table", "--out", "DATA"], "is not an empty folder. Choose another name."),
    (["convert", "nowhere/at/all", "--to", "table", "--out", "OUT"], "nowhere/at/all"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=lambda value: " ".join(value)[:40])
def test_a_mistake_is_one_line_and_exit_code_2(words, message, run, data, tmp_path, capsys):
    names = {"DATA": data, "OUT": tmp_path / "out", "MODEL": run / "model.safetensors"}
    names["IMAGE"] = data / "disc" / "000.png"
    code, out, err = told(capsys, *[names.get(word, word) for word in words])
    lines = [line for line in err.splitlines() if line.startswith("pellucid: ")]
    assert code == 2
    assert out == ""
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["masks", "coco-masks", "panoptic", "yolo-masks"])
def test_convert_and_check_say_what_there_is_and_what_is_wrong(name, tmp_path, capsys):
    root = make_mask_folder(tmp_path / "masks", {"train": 3, "val": 2})
    assert told(capsys, "convert", root, "--to", name, "--out", tmp_path / "whole")[::2] == (0, "")
    code, out, _ = told(capsys, "check", tmp_path / "whole", "--json")
    assert code == 0
    assert json.loads(out)["format"] == name
    assert sum(map(sum, json.loads(out)["counts"].values())) == 5 * 32 * 32

    (root / "val" / "masks" / "1.png").write_bytes(b"")
    code, out, _ = told(capsys, "convert", root, "--to", name, "--out", tmp_path / "part")
    assert code == 1
    assert out.splitlines()[0] == f"{tmp_path}/part: {name}, 3 classes, images: 3 train, 1 val"
    assert out.splitlines()[1].startswith(
        "refused: val/images/1.png: its mask val/masks/1.png: it has 0 bytes. Replace"
    )
    code, out, _ = told(capsys, "convert", root, "--to", name, "--out", tmp_path / "again", "--json")
    assert (code, json.loads(out)["counts"], json.loads(out)["ok"]) == (1, {"train": 3, "val": 1}, False)
    assert told(capsys, "check", root)[0] == 1


def test_help_and_version_come_without_torch():
    code = "import sys; from pellucid.cli import main; main(['--help']); main(['-V']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "usage: pellucid VERB" in done.stdout


@pytest.mark.parametrize("verb", ["check", "convert", "train", "evaluate", "predict", "import", "demo", "completion"])
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code in (0, None)
    assert "usage: pellucid" in capsys.readouterr().out


def test_every_setting_is_a_flag(capsys):
    import dataclasses

    from pellucid.config import TrainConfig

    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    for field in dataclasses.fields(TrainConfig):
        assert f"--{field.name.replace('_', '-')}" in shown


def test_completion_knows_the_verbs(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "bash"])
    assert "evaluate" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_saves_and_the_run_goes_on(name, data, tmp_path):
    out = tmp_path / "run"
    words = [*PELLUCID, "train", str(data), "--out", str(out), "--model", "net", "--epochs", "2000", "--threads", "1"]
    said, events = tmp_path / "stderr", out / "events.jsonl"
    with said.open("w") as stream:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stream)
        while process.poll() is None and not (events.exists() and len(events.read_text().splitlines()) > 20):
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        process.wait(timeout=60)
    err = said.read_text()
    assert process.returncode == 128 + getattr(signal, name), err
    assert f"Stopped by {name}" in err
    assert "--resume" in err
    assert "Traceback" not in err
    last = [json.loads(line) for line in events.read_text().splitlines()][-1]
    assert last["event"] == "stopped"


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root on Linux")
def test_a_full_disk_is_said_and_the_run_goes_on(data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this container may not mount a small disk")
    try:
        words = ["train", str(data), "--out", str(disk / "run"), "--model", "net", "--epochs", "6", "--threads", "1"]
        filler = disk / "filler"
        filler.write_bytes(b"\0" * 3_700_000)
        done = subprocess.run([*PELLUCID, *words, "--save-seconds", "0"], capture_output=True, text=True)
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        filler.unlink()
        done = subprocess.run([*PELLUCID, *words, "--save-seconds", "0", "--resume"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)
