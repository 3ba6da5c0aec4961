"""The kernels of the first layer while a run goes on, moment beside moment."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count, number
from pellucid.studio.drawing import panel
from pellucid.studio.sprites import on_one_scale, tile
from pellucid.training.folder import RunFolder
from pellucid.training.kernels import kernel_history

__all__ = ["Growth", "growth", "growth_panel"]

MOMENTS = 9
"""Moments at which kernels are drawn."""
GROWN = 12
"""Filters of which they are."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Kernels at some moments: `kernels[i, j]` is that of `places[i]`, (filter, input channel), after `steps[j]`."""

    steps: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    kernels: Float[ndarray, "n t h w"]

    def sprite(self) -> UInt8[ndarray, "nh w"]:
        """Row by row, on one scale."""
        return on_one_scale(self.kernels.reshape(-1, *self.kernels.shape[2:]))


def growth(run: Path) -> Growth | None:
    """At most `MOMENTS`, and of the filters the `GROWN` that have changed most, each at its most changed input channel.

    None where nothing was kept, or only the start.
    """
    history = kernel_history(RunFolder(run))
    if len(history) < 2:
        return None
    steps = sorted(history)
    chosen = [steps[at] for at in np.unique(np.linspace(0, len(steps) - 1, MOMENTS).round().astype(int))]
    kernels = np.stack([history[step].double().numpy() for step in chosen])
    change = abs(kernels[-1] - kernels[0]).sum(axis=(2, 3))
    inputs = change.argmax(axis=1)
    filters = np.argsort(-change.max(axis=1), kind="stable")[:GROWN]
    places = tuple((int(at), int(inputs[at])) for at in filters)
    return Growth(tuple(chosen), places, np.stack([kernels[:, at, channel] for at, channel in places]))


def growth_panel(run: Path) -> list[Markup]:
    """A row a filter, a column a moment."""
    grown = growth(run)
    if grown is None:
        return []
    (many, moments), size = grown.kernels.shape[:2], grown.kernels.shape[2:]
    source = f"/training/growth.png?at={grown.steps[-1]}"
    heads = (tag("th", f"step {count(step)}", scope="col") for step in grown.steps)
    rows = []
    for row, (at, channel) in enumerate(grown.places):
        labels = (f"filter {at}, input channel {channel}, after step {step}" for step in grown.steps)
        tiles = (tile(source, row * moments + k, many * moments, size, label) for k, label in enumerate(labels))
        rows.append(tag("tr", tag("th", f"{at}, {channel}", scope="row"), *(tag("td", one) for one in tiles)))
    head = tag("thead", tag("tr", tag("th", "filter, input", scope="col"), *heads))
    table = tag("table", head, tag("tbody", *rows), class_="grown")
    limit = number(float(abs(grown.kernels).max()))
    note = f"Those that have changed most since the start, −{limit} to +{limit}."
    scroll = tag("div", table, class_="scroll", role="region", aria_label="Kernels over time", tabindex=0)
    return [panel("How kernels grew", scroll, note=note, name="growth", wide=True)]
