"""How long every operation of a pass takes, beside what the roofline allows it, and why the two differ."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.inspection.arguments import named
from pellucid.inspection.listening import Listener
from pellucid.inspection.places import Places, evaluating
from pellucid.inspection.recording import Operation, Trace
from pellucid.inspection.roofline import Machine

__all__ = ["FAR", "Timing", "timed", "timings"]

FAR = 3.0
"""How many times longer than predicted an operation takes before it is called far from the roofline."""
MATTERS = 0.01
"""Share of the pass that an operation takes at least, for that to be worth a word."""
NARROW = 16
"""Channels that fill the vectors of a processor: 512 bits hold 16 numbers of fp32."""
ROUNDS = 10
NO_PRODUCTS = {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "interpolate", "upsample", "amax", "mean", "softmax"}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that an operation took and that the roofline allows; `why` they are far apart, where they are."""

    measured: float
    predicted: float
    bound: str
    why: str = ""

    @property
    def times(self) -> float:
        """How many times longer it took."""
        return self.measured / self.predicted if self.predicted else math.inf

    def to_json(self) -> dict[str, Any]:
        """Plain values, in milliseconds."""
        return {
            "bound": self.bound,
            "predicted_ms": self.predicted * 1e3,
            "measured_ms": self.measured * 1e3,
            "why": self.why,
        }


def timed(model: nn.Module, x: Float[Tensor, "n ..."], rounds: int = ROUNDS) -> tuple[dict[str, float], float]:
    """Seconds of every operation by name and of the whole pass without a clock in it, the shortest of the rounds:
    other work on the machine makes a time longer, never shorter."""
    found, whole = defaultdict(list), []
    with evaluating(model), torch.no_grad():
        for at in range(rounds + 1):
            with Places(model) as places, _Clock(places) as clock:
                model(x)
            start = time.perf_counter()
            model(x)
            if at:  # the first pass sets up what the others find
                whole.append(time.perf_counter() - start)
                for name, seconds in clock.seconds.items():
                    found[name].append(seconds)
    return {name: min(each) for name, each in found.items()}, min(whole)


class _Clock(Listener):
    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.seconds: dict[str, float] = {}
        self._last = 0.0

    def call(self, function: Any, arguments: Any, keywords: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **keywords)
        self._last = time.perf_counter() - start
        return result

    def heard(self, name: str, kind: str, given: object, outputs: tuple[Tensor, ...]) -> None:
        self.seconds[name] = self._last


def timings(trace: Trace, seconds: dict[str, float], machine: Machine) -> dict[str, Timing]:
    """Every operation that was timed, by its name."""
    total = sum(seconds.values())
    found = {}
    for operation in trace.operations[1:]:
        measured = seconds.get(operation.name, 0.0)
        predicted = machine.predicted(operation.macs or 0, operation.bytes)
        bound = machine.bound(operation.macs or 0, operation.bytes) if predicted else "none"
        far = measured > FAR * predicted and measured > MATTERS * total
        why = _reason(operation, measured, machine) if far else ""
        found[operation.name] = Timing(measured, predicted, bound, why)
    return found


def _reason(operation: Operation, measured: float, machine: Machine) -> str:
    """The first that applies of the usual ones."""
    convolves = operation.kind.startswith("conv")
    launch = machine.convolution_launch if convolves else machine.launch
    if measured < 2 * FAR * launch:
        return f"launch overhead: a call that has nothing to do takes {launch * 1e6:.0f} µs"
    if convolves:
        return _convolution_reason(operation)
    if operation.macs is None:
        return "its multiply-adds are not known"
    if operation.kind in NO_PRODUCTS:
        return "compares or sums, which are no MACs"
    return "no simple one: look at it with a profiler"


def _convolution_reason(operation: Operation) -> str:
    given = named(operation)
    weight, groups = given["weight"], given.get("groups", 1)
    inputs = weight.shape[1] if operation.kind == "conv2d" else len(weight) // groups
    if groups > 1:
        kind = "depthwise" if inputs == 1 else f"{groups} groups"
        return f"{kind}: {inputs} input channels a filter are little work for every value that is moved"
    if inputs < NARROW:
        return f"{inputs} input channels do not fill vectors of {NARROW}"
    if operation.kind != "conv2d":
        return "transposed: what overlaps is summed in memory"
    if operation.output.shape[1] < NARROW:
        return f"{operation.output.shape[1]} output channels do not fill vectors of {NARROW}"
    return "no simple one: its shape does not suit the kernel that the library has for it"
