"""What happens in a run, as values: the command line prints them, the run folder keeps them, tests assert on them."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Evaluated", "Event", "Finished", "Replanned", "Saved", "Started", "Stepped", "Stopped"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened after `step` optimiser updates."""

    step: int

    def to_json(self) -> dict[str, Any]:
        """Plain values with the kind of event first."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True, slots=True)
class Started(Event):
    """Training begins, or goes on after `step` updates."""

    steps: int
    images: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """One optimiser update: loss terms by name, learning rate, norm of the gradient, images a second."""

    steps: int
    epoch: float
    losses: dict[str, float]
    lr: float
    gradient_norm: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Evaluated(Event):
    """The validation split was judged; `best` says that no earlier figure was higher."""

    epoch: float
    name: str
    value: float
    best: bool


@dataclass(frozen=True, slots=True)
class Replanned(Event):
    """The number of steps was changed to end with the minutes given."""

    steps: int


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """A checkpoint was written from which the run goes on to the same bits."""

    path: str


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """The run was asked to stop, and can be resumed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """Every step was done, or the validation figure stopped rising."""

    reason: str
    best: dict[str, Any] = field(default_factory=dict)
