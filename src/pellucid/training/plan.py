"""The plan of a run: every setting that was left open, filled in, with the reason."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pellucid.config import TrainConfig
from pellucid.data.augment import Augment
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask

__all__ = ["Plan", "augment_of", "epochs_for", "fill_settings", "steps_for"]


Defaults = Mapping[str, tuple[Any, str]]

SINGLE = 0.85
"""Share of the steps after which there are no mosaics: nothing that is judged looks like one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings without a None that matters, the number of steps, and why each derived value is what it is.

    `preprocess` is what the network sees; `seconds` is the time training may take where minutes were given.
    """

    settings: TrainConfig
    preprocess: Preprocess
    steps: int
    seconds: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for config.json."""
        return {
            "settings": self.settings.to_json(),
            "preprocess": self.preprocess.to_json(),
            "steps": self.steps,
            "seconds": self.seconds,
            "reasons": dict(self.reasons),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Plan":
        """The plan that `to_json` gave."""
        return cls(
            settings=TrainConfig.from_json(values["settings"]),
            preprocess=Preprocess.from_json(values["preprocess"]),
            steps=values["steps"],
            seconds=values["seconds"],
            reasons=values["reasons"],
        )


def epochs_for(images: int, task: AbstractTask) -> int:
    """Passes that a set of this size is worth within minutes: 12 for 60,000 images, more for fewer, at most 100.

    Of these the task takes its share. Without minutes, a run makes twice as many.
    The updates a network needs grow more slowly than its data, so the passes fall with the root of the count.
    """
    return round(task.passes * max(12, min(100, round(12 * math.sqrt(60_000 / max(1, images))))))


def steps_for(epochs: float, images: int, batch: int) -> int:
    """Updates in that many passes; the last batch of all may reach into the next pass."""
    return max(1, math.ceil(epochs * images / batch))


def augment_of(plan: Plan, task: AbstractTask, done: float = 0.0) -> Augment:
    """The augmentation that filled settings describe, as far as the loader has not done it: its pieces are zoomed.

    Towards the end of a run, of whose steps the share `done` lies behind, images come one by one again.
    """
    settings = plan.settings.to_json()
    names = {field.name for field in dataclasses.fields(Augment)} & settings.keys()
    strengths = {name: settings[name] for name in names if settings[name] is not None}
    augment = Augment(**strengths, wide=not task.mirrors)
    if done >= SINGLE:
        augment = dataclasses.replace(augment, mosaic=0.0)
    return augment if plan.preprocess.one_size else dataclasses.replace(augment, zoom=1.0, shift=0.0)


def fill_settings(
    settings: TrainConfig,
    task: AbstractTask,
    *,
    parameters: int,
    steps: int,
    defaults: Defaults = MappingProxyType({}),
) -> tuple[TrainConfig, dict[str, str]]:
    """Settings with optimiser, rates, decay, averaging and augmentation filled in, and the reasons.

    `defaults` are those of the network; what belongs to an optimiser it says of its own only.
    """
    filled: dict[str, Any] = {}
    reasons: dict[str, str] = {}

    def derive(name: str, value: Any, reason: str) -> Any:
        if getattr(settings, name) is not None:
            return getattr(settings, name)
        if name in filled:
            return filled[name]
        filled[name], reasons[name] = (
            value,
            f"{value:g}: {reason}" if isinstance(value, float) else f"{value}: {reason}",
        )
        return value

    own = settings.optimizer is None
    for name, (value, reason) in defaults.items():
        if own or name not in RULED:
            derive(name, value, reason)
    light = parameters <= 6_000_000 and settings.weights is None
    why = "learns most a step from scratch and costs little at this size" if light else "the safe choice at this size"
    optimizer = derive("optimizer", "muon" if light else "sgd", why)
    rate, decay, momentum = RATES[optimizer]
    batch = settings.batch or 1
    if optimizer == "sgd":
        rate = rate * batch / 256 * (0.2 if settings.weights else 1.0)
    derive("lr", rate, f"for {optimizer} at batch {batch}")
    derive("weight_decay", decay, f"for {optimizer}")
    if optimizer != "adamw":
        derive("momentum", momentum, f"for {optimizer}")
    horizon = steps // 100
    ema = 1 - 1 / horizon if horizon >= 10 else 0.0
    derive("ema", ema, "averages over a hundredth of the steps" if ema else "too few steps to average over")
    for name, (value, reason) in task.defaults(settings).items():
        derive(name, value, reason)
    return dataclasses.replace(settings, **filled), reasons


RULED = {"optimizer", "lr", "momentum", "weight_decay"}
RATES: dict[str, tuple[float, float, float]] = {
    "sgd": (0.2, 5e-4, 0.9),
    "adamw": (2e-3, 0.05, 0.0),
    "muon": (0.02, 0.01, 0.9),
    "muon-adamw": (0.02, 0.01, 0.9),
}
"""Peak rate (sgd: at batch 256), weight decay and momentum."""
