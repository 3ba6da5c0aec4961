"""Who may write into a run folder, and a log that reads as if the run had never been killed."""

import csv
import json

import pytest

from pellucid.checkpoint import save_tensors
from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.training import folder as folder_module
from pellucid.training.events import Evaluated, Finished, Replanned, Saved, Started, Stepped, Stopped
from pellucid.training.folder import RunFolder, RunLog, history, logged


@pytest.fixture(autouse=True)
def no_board(monkeypatch):
    """As where TensorBoard is not installed: its files are looked at in a test of their own."""
    monkeypatch.setattr(folder_module.importlib.util, "find_spec", lambda _name: None)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def begun(folder: RunFolder, **asked) -> RunFolder:
    folder.config.write_text(json.dumps({"asked": TrainConfig(**asked).to_json(), "plan": {"steps": 7}}))
    return folder


def test_a_new_run_may_have_any_free_place(tmp_path, folder):
    for path in (tmp_path / "new", tmp_path / "new" / "deep", folder.path):
        for resume in (False, True):
            assert RunFolder(path).claim(TrainConfig(), resume=resume) is None


def test_a_folder_of_other_things_is_left_alone(folder):
    (folder.path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"is not empty \(thesis\.tex, …\) and not a run"):
        folder.claim(TrainConfig(), resume=False)
    assert folder.claim(TrainConfig(), resume=True) is None  # begun and killed before its config was written


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        RunFolder(tmp_path / "run").claim(TrainConfig(), resume=False)


@pytest.mark.parametrize(("finished", "word"), [(False, "begun"), (True, "finished")])
def test_a_run_is_touched_only_by_a_resume(folder, finished, word):
    begun(folder, epochs=3)
    if finished:
        folder.metrics.write_text("{}")
    with pytest.raises(UsageError, match=rf"holds a run that was {word}\. Add --resume"):
        folder.claim(TrainConfig(epochs=3), resume=False)
    assert folder.claim(TrainConfig(epochs=3), resume=True)["plan"] == {"steps": 7}
    assert folder.claim(TrainConfig(), resume=True)["plan"] == {"steps": 7}  # nothing given: the run's own


@pytest.mark.parametrize("given", [{"epochs": 4}, {"save_seconds": 5.0}, {"freeze": ("conv1",)}, {"weight_decay": 0.1}])
def test_a_resume_keeps_its_settings(folder, given):
    begun(folder, epochs=3, freeze=("layer1",))
    flag = f"--{next(iter(given)).replace('_', '-')}"
    with pytest.raises(UsageError, match=rf"{flag} is .*, but the run in .* was begun with .* Leave {flag} out"):
        folder.claim(TrainConfig(**given), resume=True)
    assert folder.claim(TrainConfig(freeze=("layer1",)), resume=True)


def test_an_abandoned_run_leaves_only_what_is_not_its_own(folder):
    for path in (folder.config, folder.ledger, folder.events, folder.path / "notes.txt"):
        path.write_text("")
    folder.abandon()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    (folder.path / "notes.txt").unlink()
    folder.abandon()
    assert not folder.path.exists()


def stepped(step: int, steps: int = 100, loss: float = 1.0) -> Stepped:
    return Stepped(step, steps, step / 10, {"cross_entropy": loss}, 0.1, 2.0, 500.0)


def evaluated(step: int, value: float = 0.5) -> Evaluated:
    return Evaluated(step, step / 10, "top1", value, True)


def at(folder: RunFolder, step: int) -> None:
    save_tensors(folder.checkpoint, {}, {"kind": "checkpoint", "step": step})


def write(folder: RunFolder, *events) -> RunLog:
    log = RunLog(folder)
    log.open()
    for event in events:
        log.add(event)
    log.close()
    return log


def steps_of(folder: RunFolder) -> list[tuple[str, int]]:
    return [(row["event"], row["step"]) for row in logged(folder)]


def test_every_event_is_a_line(folder):
    events = [
        Started(0, 3, 8, 100),
        stepped(1),
        evaluated(1),
        Saved(1, "c"),
        Replanned(1, 9),
        Stopped(1, "x"),
        Finished(1, "y"),
    ]
    write(folder, *events)
    assert list(logged(folder)) == [event.to_json() for event in events]
    assert len(folder.events.read_text().splitlines()) == len(events)


def test_what_was_logged_after_the_checkpoint_is_cut(folder):
    write(folder, Started(0, 9, 8, 1), *map(stepped, range(1, 6)), evaluated(4))
    at(folder, 3)
    write(folder, Started(3, 9, 8, 1), stepped(4, loss=0.5))
    kinds = [("started", 0), ("stepped", 1), ("stepped", 2), ("stepped", 3), ("started", 3), ("stepped", 4)]
    assert steps_of(folder) == kinds
    assert list(logged(folder))[-1]["losses"] == {"cross_entropy": 0.5}


def test_a_run_without_a_checkpoint_begins_its_log_anew(folder):
    write(folder, Started(0, 9, 8, 1), stepped(1))
    write(folder, Started(0, 9, 8, 1))
    assert steps_of(folder) == [("started", 0)]


def test_half_a_last_line_is_not_read_and_not_glued_to(folder):
    write(folder, stepped(1), stepped(2))
    whole = folder.events.read_bytes()
    for cut in (1, 20, len(whole.splitlines()[1]) // 2):
        folder.events.write_bytes(whole[:-cut])
        assert steps_of(folder) == [("stepped", 1)]
    at(folder, 1)
    write(folder, stepped(2))
    assert steps_of(folder) == [("stepped", 1), ("stepped", 2)]


def test_at_most_about_a_thousand_steps_are_logged(folder):
    write(folder, *(stepped(step, 20_000) for step in range(1, 201)))
    assert steps_of(folder) == [("stepped", step) for step in (1, *range(20, 201, 20))]


def test_names_of_any_kind_stay_on_their_line(folder):
    reason = "a\u2028b\nc\x0bd ✓"
    write(folder, Stopped(1, reason), Stopped(2, "x"))
    assert [row["reason"] for row in logged(folder)] == [reason, "x"]


def table(folder: RunFolder) -> list[dict[str, str]]:
    with folder.table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_a_step_with_the_validation_figure(folder):
    write(folder, stepped(1), stepped(2), evaluated(2, 0.75), stepped(3), Finished(3, "done"))
    rows = table(folder)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["val_top1"] for row in rows] == ["", "0.75", ""]
    assert [row["cross_entropy"] for row in rows] == ["1.0"] * 3
    assert "losses" not in rows[0]


def test_the_table_of_a_resumed_run_is_that_of_the_whole(folder, tmp_path):
    events = [*map(stepped, range(1, 5)), evaluated(4), *map(stepped, range(5, 9)), evaluated(8), Finished(8, "done")]
    (tmp_path / "whole").mkdir()
    write(whole := RunFolder(tmp_path / "whole"), *events)
    write(folder, *events[:7])
    at(folder, 4)
    write(folder, *events[5:])
    assert folder.table.read_text() == whole.table.read_text()


def test_a_figure_at_a_step_that_was_not_logged_has_its_own_row():
    rows = history([stepped(1).to_json(), evaluated(5, 0.5).to_json()])
    assert rows[1] == {"step": 5, "epoch": 0.5, "val_top1": 0.5}
    assert history([]) == []


class Board:
    """Stands in for TensorBoard's writer."""

    def __init__(self) -> None:
        self.numbers = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.numbers.append((name, value, step))

    def close(self) -> None:
        self.numbers.append("closed")


def test_tensorboard_gets_the_same_numbers(folder):
    log = RunLog(folder, _board=(board := Board()))
    log.add(stepped(10))
    log.add(evaluated(10, 0.75))
    log.add(Saved(10, "c"))
    log.close()
    assert board.numbers == [
        ("loss/cross_entropy", 1.0, 10),
        ("train/lr", 0.1, 10),
        ("train/gradient_norm", 2.0, 10),
        ("train/images_per_second", 500.0, 10),
        ("val/top1", 0.75, 10),
        "closed",
    ]


def test_no_two_files_of_a_run_have_one_name(folder):
    names = [name for name, thing in vars(RunFolder).items() if isinstance(thing, property)]
    paths = {getattr(folder, name) for name in names}
    assert len(paths) == len(names) == 9
    assert all(path.parent == folder.path for path in paths)
