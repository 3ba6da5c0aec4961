"""The run folder: what stands in it, who may write to it, and how its log goes on after a resume."""

import csv
import importlib.util
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.checkpoint import read_facts
from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.training.events import Event, Finished, Saved, Stepped, Stopped

__all__ = ["RunFolder", "RunLog", "history", "logged"]

LOGGED_STEPS = 1000


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """Settings, derived values with reasons, data digest, machine, versions."""
        return self.path / "config.json"

    @property
    def events(self) -> Path:
        """Everything that happened, one JSON object a line."""
        return self.path / "events.jsonl"

    @property
    def ledger(self) -> Path:
        """Every file and label offered: used, or refused with the reason."""
        return self.path / "ledger.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The state from which the run goes on to the same bits."""
        return self.path / "checkpoint.safetensors"

    @property
    def model(self) -> Path:
        """The best weights so far, ready for evaluate and predict."""
        return self.path / "model.safetensors"

    @property
    def kernels(self) -> Path:
        """A folder: the first layer at every judgement."""
        return self.path / "kernels"

    @property
    def metrics(self) -> Path:
        """The final figures; written last, so its presence says that the run is finished."""
        return self.path / "metrics.json"

    @property
    def table(self) -> Path:
        """The figures of every evaluation, for spreadsheets."""
        return self.path / "metrics.csv"

    @property
    def report(self) -> Path:
        """One self-contained page."""
        return self.path / "report.html"

    def claim(self, settings: TrainConfig, *, resume: bool) -> dict[str, Any] | None:
        """What config.json says of the run to go on with, or None for a new one.

        An existing run is touched only by a resume, and only with the settings it was begun with.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file. Choose a folder for the run with --out.")
        if resume:
            self._sweep()
        if not self.config.is_file():
            others = [item.name for item in self.path.iterdir()] if self.path.exists() else []
            others = [name for name in others if name != self.ledger.name and not name.startswith(".")]
            if others and not resume:
                raise UsageError(f"{self.path} is not empty ({others[0]}, …) and not a run. Choose another --out.")
            return None
        if not resume:
            state = "finished" if self.metrics.is_file() else "begun"
            raise UsageError(
                f"{self.path} holds a run that was {state}. Add --resume to go on with it, or choose another --out."
            )
        saved = self.saved()
        _refuse_other_settings(self.path, settings, TrainConfig.from_json(saved["asked"]))
        return saved

    def saved(self) -> dict[str, Any]:
        """What config.json says."""
        return dict(json.loads(self.config.read_text()))

    def _sweep(self) -> None:
        """Remove what a killed run was about to write: our drafts, and those that safetensors makes of them."""
        for pattern in (".*.tmp", ".tmp*"):
            for draft in self.path.glob(pattern):
                draft.unlink()

    def abandon(self) -> None:
        """Leave no trace of a run that failed before its first step, so that the folder can be given again."""
        for path in (self.config, self.ledger, self.events):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.kernels, ignore_errors=True)
        if self.path.exists() and not any(self.path.iterdir()):
            self.path.rmdir()


def _refuse_other_settings(path: Path, settings: TrainConfig, begun: TrainConfig) -> None:
    """A setting that was given and is not the run's own is an error: it would have no effect."""
    plain, given, own = TrainConfig().to_json(), settings.to_json(), begun.to_json()
    for name, value in given.items():
        if value not in (plain[name], own[name]):
            flag = name.replace("_", "-")
            raise UsageError(
                f"--{flag} is {value}, but the run in {path} was begun with {own[name]}; a resume keeps its settings. "
                f"Leave --{flag} out, or begin a new run with another --out."
            )


@dataclass(slots=True)
class RunLog:
    """Writes events.jsonl, metrics.csv and, where its package is installed, TensorBoard's files."""

    folder: RunFolder
    rows: list[dict[str, Any]] = field(default_factory=list)
    _board: Any = None

    def open(self) -> None:
        """Go on after the checkpoint: what a killed run logged beyond it will happen again, and is cut off."""
        step = read_facts(self.folder.checkpoint)["step"] if self.folder.checkpoint.exists() else -1
        kept = [row for row in logged(self.folder) if row["step"] <= step]
        self.rows = kept
        write_atomic(self.folder.events, "".join(json.dumps(row) + "\n" for row in kept))
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=step + 1)

    def add(self, event: Event) -> None:
        """Log one event; of the steps, at most about a thousand."""
        if isinstance(event, Stepped) and event.step > 1 and event.step % max(1, event.steps // LOGGED_STEPS):
            return
        row = event.to_json()
        self.rows.append(row)
        with self.folder.events.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if isinstance(event, Saved | Stopped | Finished):
            write_atomic(self.folder.table, _table(history(self.rows)))
        if self._board is not None:
            for name, value in _numbers(row):
                self._board.add_scalar(name, value, event.step)

    def close(self) -> None:
        """Flush what other programs read."""
        if self._board is not None:
            self._board.close()


def logged(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """The rows of events.jsonl, without a last line that a kill cut short."""
    if not folder.events.exists():
        return
    for line in folder.events.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _numbers(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    match row["event"]:
        case "stepped":
            yield from ((f"loss/{name}", value) for name, value in row["losses"].items())
            yield from ((f"train/{name}", row[name]) for name in ("lr", "gradient_norm", "images_per_second"))
        case "evaluated":
            yield f"val/{row['name']}", row["value"]


def history(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a logged step, and the validation figure in the row of the step at which it was judged."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if row["event"] == "stepped":
            plain = {name: row[name] for name in ("step", "epoch", "lr", "gradient_norm", "images_per_second")}
            found.append(plain | row["losses"])
        elif row["event"] == "evaluated":
            place = {"step": row["step"], "epoch": row["epoch"], f"val_{row['name']}": row["value"]}
            if found and found[-1]["step"] == row["step"]:
                found[-1].update(place)
            else:
                found.append(place)
    return found


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
