"""What the command line shows: results on standard output, progress and notes on standard error.

On a terminal progress is a bar; in a log it is a plain line now and then.
"""

import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pellucid.training.events import Event

__all__ = [
    "StopSignals",
    "TrainingView",
    "evaluation_text",
    "figures",
    "note",
    "to_json",
    "tracked",
]

LOG_SECONDS = 10.0


def note(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def to_json(value: Any) -> str:
    """One JSON object on one line."""
    return json.dumps(value, ensure_ascii=False)


def _console() -> Console:
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[tail]}", markup=False),
    )
    return Progress(*columns, console=_console(), disable=not sys.stderr.isatty())


class StopSignals:
    """Asks a run to stop at the next step when the process is told to; a second Ctrl-C stops it at once.

    SIGTERM and SIGUSR1 are what Slurm and container hosts send before they kill.
    """

    NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")

    def __init__(self) -> None:
        self.number = 0
        for name in self.NAMES:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._heard)

    def __call__(self) -> str:
        """Why to stop, or an empty text."""
        return signal.Signals(self.number).name if self.number else ""

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        note(f"{signal.Signals(number).name}: saving, then stopping.")
        signal.signal(signal.SIGINT, signal.default_int_handler)


class TrainingView:
    """Shows the events of a training run."""

    def __init__(self) -> None:
        self._bar = _bar()
        self._task = self._bar.add_task("training", total=None, tail="", visible=False)
        self._last = 0.0
        self._planned = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar.disable:
            note(text)
        else:
            self._bar.console.print(text)

    def hear(self, event: "Event") -> None:
        """Show one event."""
        row = event.to_json()
        match row["event"]:
            case "started":
                self._planned = row["steps"]
                again = f", going on after step {row['step']}" if row["step"] else ""
                self.say(
                    f"Training {row['parameters']:,} parameters on {row['images']} images, {row['steps']} steps{again}"
                )
            case "stepped":
                self._stepped(row)
            case "evaluated":
                best = " (best so far)" if row["best"] else ""
                self.say(f"epoch {row['epoch']:.1f}: val {row['name']} {row['value']:.4f}{best}")
            case "replanned" if abs(row["steps"] - self._planned) > 0.15 * row["steps"]:
                self._planned = row["steps"]
                self.say(f"At the pace of late, {row['steps']} steps fit the minutes")

    def _stepped(self, row: Mapping[str, Any]) -> None:
        losses = " ".join(f"{name} {value:.4f}" for name, value in row["losses"].items())
        tail = f"{losses}  {row['images_per_second']:.0f} images/s"
        self._bar.update(self._task, completed=row["step"], total=row["steps"], tail=tail, visible=True)
        now = time.monotonic()
        if self._bar.disable and now - self._last >= LOG_SECONDS:
            self._last = now
            note(f"step {row['step']}/{row['steps']}  {tail}")


def tracked(found: Iterable[Any], total: int | None, what: str) -> Iterator[Any]:
    """The same things, counted on standard error, with the rate and the time that remains."""
    last = start = time.monotonic()
    with _bar() as bar:
        task = bar.add_task(what, total=total, tail="")
        for count, thing in enumerate(found, start=1):
            yield thing
            now = time.monotonic()
            rate = count / max(1e-9, now - start)
            bar.update(task, completed=count, tail=f"{rate:.0f}/s")
            if bar.disable and now - last >= LOG_SECONDS:
                last = now
                left = "" if total is None else f"  {(total - count) / rate:.0f} s left"
                note(f"{count}{'' if total is None else f'/{total}'} {what}  {rate:.0f}/s{left}")


def figures(row: Mapping[str, Any], most: int = 2) -> str:
    """The first figures of an evaluation on one line: `top1 91.0 % (88.4 to 93.4), … of 500 images`."""
    parts = []
    for name, value in list(row["metrics"].items())[:most]:
        interval = row["intervals"].get(name)
        between = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
        parts.append(f"{name} {100 * value:.2f} %{between}")
    return f"{', '.join(parts)} on {row['count']} images"


def evaluation_text(row: Mapping[str, Any]) -> str:
    """An evaluation for people: figures with intervals, then one line a class."""
    lines = [f"{row['task']}, split {row['split']}, {row['count']} images ({row['refused']} refused)"]
    width = max(map(len, row["metrics"]))
    for name, value in row["metrics"].items():
        interval = row["intervals"].get(name)
        between = f"  95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
        lines.append(f"  {name:<{width}} {value:.4f}{between}")
    if "comparison" in row:
        found = row["comparison"]
        low, high = found["interval"]
        lines.append(
            f"  {found['metric']} is {found['difference']:+.4f} against the other model's {found['against']:.4f}, "
            f"95 % interval {low:+.4f} to {high:+.4f}, p = {found['p']:.3g}"
        )
    lines += ["  " + "  ".join(_cell(name, value) for name, value in entry.items()) for entry in row["per_class"]]
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    return f"{value:<20}" if isinstance(value, str) else f"{name} {_number(value)}"


def _number(value: float | list[float | None] | None) -> str:
    match value:
        case None:
            return "-"
        case list():
            return " to ".join(map(_number, value))
        case int():
            return f"{value:,}"
    return f"{value:.4f}"
