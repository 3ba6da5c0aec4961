"""The page Training: a run from its log, while it goes on and afterwards."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.checkpoint import load_model
from pellucid.errors import PellucidError
from pellucid.report.drawing import draw_curve
from pellucid.report.history import history_charts
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count, number
from pellucid.studio.address import Address
from pellucid.studio.drawing import facts, panel
from pellucid.studio.growth import growth_panel
from pellucid.studio.page import Page
from pellucid.studio.sprites import on_one_scale, tile
from pellucid.training.folder import RunFolder, history, logged
from pellucid.training.kernels import first_kernels

__all__ = ["following", "kernel_steps", "log_size", "model_kernels", "training_page"]

LOOKED = 0.4
"""Seconds between two looks at the log."""
LASTS = 2.0
"""Seconds after which a stream ends, so that the server can; the browser begins another where it ended."""

Row = Mapping[str, Any]


def training_page(run: Path, address: Address) -> Page:
    """All that the log says until now."""
    folder = RunFolder(run)
    size, rows = log_size(run), list(logged(folder))
    charts = (
        draw_curve(chart.curve, f"chart{at}", log=chart.log) for at, chart in enumerate(history_charts(history(rows)))
    )
    body = tag("div", _state(rows), *charts, *growth_panel(run), *_kernels(folder), class_="panels")
    stream = None if _ended(rows) else f"/training/events?seen={size}"
    return Page("Training", tag("span", "Run ", tag("bdi", run.name or str(run))), body, _spoken(rows), stream=stream)


def _ended(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and rows[-1]["event"] == "finished"


def _last(rows: list[dict[str, Any]], event: str) -> Row:
    return next((row for row in reversed(rows) if row["event"] == event), {})


def _spoken(rows: list[dict[str, Any]]) -> str:
    """What a screen reader is told anew: that a figure was found, not every step."""
    judged = _last(rows, "evaluated")
    return f"step {judged['step']}: {judged['name']} {judged['value']:.4f}" if judged else ""


def _state(rows: list[dict[str, Any]]) -> Markup:
    started, stepped, judged = (_last(rows, event) for event in ("started", "stepped", "evaluated"))
    best = max((row for row in rows if row["event"] == "evaluated"), key=lambda row: row["value"], default=None)
    last = rows[-1]["event"] if rows else "nothing yet"
    told: list[tuple[str, object]] = [("last event", last)]
    if stepped:
        told += [
            ("step", f"{count(stepped['step'])} of {count(stepped['steps'])}"),
            ("epoch", number(stepped["epoch"])),
        ]
        told += [(f"loss, {name}", number(value)) for name, value in stepped["losses"].items()]
        told += [("learning rate", number(stepped["lr"])), ("norm of the gradient", number(stepped["gradient_norm"]))]
        told += [("images a second", number(stepped["images_per_second"]))]
    if judged and best is not None:
        told += [(f"{judged['name']}, last", number(judged["value"]))]
        told += [(f"{best['name']}, best", f"{number(best['value'])} at step {count(best['step'])}")]
    if started:
        told += [("images", count(started["images"])), ("parameters", count(started["parameters"]))]
    return panel("Now" if last != "finished" else "In the end", facts(told), name="state")


def _kernels(folder: RunFolder) -> list[Markup]:
    if not folder.model.is_file():
        return []
    try:
        planes = model_kernels(folder.model)
    except PellucidError:  # it is being written anew
        return []
    if planes is None:
        return []
    filters, inputs, size = planes.shape[0], planes.shape[1], (planes.shape[2], planes.shape[3])
    source = f"/training/kernels.png?at={folder.model.stat().st_mtime_ns}"
    tiles = (
        tag("li", tile(source, at, filters * inputs, size, f"filter {at // inputs}, input channel {at % inputs}"))
        for at in range(filters * inputs)
    )
    limit = number(float(abs(planes).max()))
    note = f"Of the best model so far, {filters} filters by {inputs} input channels, −{limit} to +{limit}."
    return [
        panel(
            "Kernels of the first layer", tag("ul", *tiles, class_="tiles tiny"), note=note, name="kernels", wide=True
        )
    ]


def model_kernels(path: Path) -> Any:
    """The weight of the first convolution as float64 O I H W; None of a network that has none."""
    kernels = first_kernels(load_model(path)[0])
    return None if kernels is None else kernels.double().numpy()


def kernel_steps(path: Path) -> Any:
    """The same as a sprite, kernel under kernel."""
    planes = model_kernels(path)
    return on_one_scale(planes.reshape(-1, *planes.shape[2:]))


def log_size(run: Path) -> int:
    """Bytes of the log: what tells one state of it from the next."""
    events = RunFolder(run).events
    return events.stat().st_size if events.exists() else 0


async def following(run: Path, seen: int) -> AsyncIterator[str]:
    """Server-sent events: `changed`, with the new size as its id, once the log is not what was seen."""
    yield "retry: 100\n\n"
    waited = 0.0
    while waited < LASTS:
        size = log_size(run)
        if size != seen:
            yield f"id: {size}\nevent: changed\ndata: {size}\n\n"
            return
        await asyncio.sleep(LOOKED)
        waited += LOOKED
