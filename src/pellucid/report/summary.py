"""What a report is made of, as plain values. It knows no task: a task speaks through its panels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.data.ledger import Ledger
from pellucid.panels import Panel

__all__ = ["DataSummary", "Figure", "RunSummary"]

Figure = tuple[str, float, tuple[float, float] | None]
"""A headline figure: its name, its value and its 95 % interval where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """The images of a dataset by split, and how often each class is labelled in each split.

    For classification an image has one label; elsewhere the two counts differ. `facts` is anything worth a
    row: folder, format, image sizes.
    """

    classes: tuple[str, ...]
    images: Mapping[str, int]
    labels: Mapping[str, tuple[int, ...]]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Everything that one run's report says.

    `outcome` is the result in one sentence. `history` holds the rows of the training in order: `step` and
    `epoch` place a row; beside them stand `lr`, `gradient_norm`, `images_per_second`, figures named `val_…`, and
    the terms of the loss. `derived` gives the reason for each setting that nobody chose. `notes` are cautions
    that a reader must see before the figures.
    """

    title: str
    task: str
    model: str
    outcome: str
    figures: Sequence[Figure]
    panels: Sequence[Panel]
    history: Sequence[Mapping[str, Any]]
    ledger: Ledger
    data: DataSummary
    settings: Mapping[str, Any]
    derived: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
