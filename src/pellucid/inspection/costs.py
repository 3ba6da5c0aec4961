"""What a network costs, operation by operation: counted without computing any number of it, or measured as well."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pellucid.catalog import catalogue
from pellucid.checkpoint import read_facts
from pellucid.errors import ModelError, UsageError
from pellucid.inspection.clock import Timing, timed, timings
from pellucid.inspection.recording import Operation, Trace, record
from pellucid.inspection.roofline import Machine, measured_machine
from pellucid.machine import keep_memory
from pellucid.models.base import AbstractModel, build_model
from pellucid.ops.counting import CONVENTION

__all__ = ["Costs", "Measured", "aligned", "cost_of", "intensity", "traced"]

CLASSES = {"classify": 1000, "segment": 21, "detect": 80}
"""Those of ImageNet, PASCAL VOC with its background, and COCO: what the figures that people quote are of."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """How long the operations of a pass take on a machine, by name, and the pass as a whole, in seconds."""

    machine: Machine
    operations: dict[str, Timing]
    whole: float

    def lines(self) -> list[str]:
        """What is to be said below the table: the sum, and the operations that are far from what the machine can do."""
        predicted = sum(one.predicted for one in self.operations.values())
        shares = sum(one.measured for one in self.operations.values())
        told = (
            f"A pass takes {self.whole * 1e3:.1f} ms; its operations, each timed, {shares * 1e3:.1f} ms; "
            f"the roofline allows {predicted * 1e3:.1f} ms."
        )
        far = {name: one for name, one in self.operations.items() if one.why}
        slowest = sorted(far.items(), key=lambda item: item[1].predicted - item[1].measured)
        return [told] + [
            f"far from it: {name}, {one.measured * 1e3:.3f} ms, {_times(one)}: {one.why}." for name, one in slowest
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """The operations of one pass of one image of that size, and how many parameters the network has in all."""

    model: str
    size: tuple[int, int]
    trace: Trace
    parameters: int
    measured: Measured | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values: the convention, a row an operation, totals. MACs are null where they are not known."""
        found: dict[str, Any] = {
            "model": self.model,
            "size": list(self.size),
            "convention": CONVENTION,
            "layers": [self._row(one) for one in self.trace.operations[1:]],
            "totals": self._totals(),
        }
        if self.measured is not None:
            found |= {"machine": self.measured.machine.to_json(), "measured_ms": self.measured.whole * 1e3}
        return found

    def text(self) -> str:
        """The same as a table."""
        rows: list[tuple[str, ...]] = [("operation", "kind", "output", "params", "MACs", "bytes", "FLOP/B")]
        for one in self.trace.operations[1:]:
            shape = "x".join(map(str, one.output.shape[1:]))
            known = "unknown" if one.macs is None else f"{one.macs:,}"
            ratio = intensity(one)
            told = "" if ratio is None else f"{ratio:.1f}"
            rows.append((one.name, one.kind, shape, f"{one.params:,}", known, f"{one.bytes:,}", told))
        total = self._totals()
        rows.append(("total", "", "", f"{total['params']:,}", f"{total['macs']:,}", f"{total['bytes']:,}", ""))
        size = f"{self.size[0]}x{self.size[1]}"
        head = f"{self.model} at {size}. {CONVENTION}"
        if self.measured is None:
            return "\n".join([head, *aligned(rows)])
        names = [row[0] for row in rows]
        rows = [(*row, *_clocked(self.measured, name)) for row, name in zip(rows, names, strict=True)]
        return "\n".join([head, self.measured.machine.text(), *aligned(rows), *self.measured.lines()])

    def _row(self, one: Operation) -> dict[str, Any]:
        row = {
            "name": one.name,
            "kind": one.kind,
            "output": list(one.output.shape[1:]),
            "params": one.params,
            "macs": one.macs,
            "bytes": one.bytes,
            "intensity": intensity(one),
        }
        return row if self.measured is None else row | self.measured.operations[one.name].to_json()

    def _totals(self) -> dict[str, int]:
        found = self.trace.operations
        return {
            "params": self.parameters,
            "macs": sum(one.macs or 0 for one in found),
            "bytes": sum(one.bytes for one in found),
        }


def intensity(operation: Operation) -> float | None:
    """FLOPs a byte; None where nothing is moved, or the multiply-adds are not known."""
    return 2 * operation.macs / operation.bytes if operation.bytes and operation.macs is not None else None


def _times(one: Timing) -> str:
    return f"{one.times:.0f} times what the roofline allows" if one.predicted else "and the roofline allows nothing"


def _clocked(measured: Measured, name: str) -> tuple[str, str, str]:
    """What stands in the columns of time."""
    if name == "operation":
        return "bound", "allowed ms", "ms"
    if name == "total":
        return "", "", f"{measured.whole * 1e3:.2f}"
    one = measured.operations[name]
    return one.bound, f"{one.predicted * 1e3:.3f}", f"{one.measured * 1e3:.3f}"


def cost_of(model: str, size: str | None = None, classes: int | None = None, *, measure: bool = False) -> Costs:
    """The costs of a model file, or of a network of the catalogue for so many classes (`CLASSES` of its task).

    `size` is HxW in network pixels, without it what the network is meant for. `measure` runs it, on one image, as
    `predict` does, and the machine's own speed with it.
    """
    network, side, trace = traced(model, size, classes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    found = _measured(_built(model, classes)[0], trace) if measure else None
    return Costs(model, side, trace, parameters, found)


def traced(model: str, size: str | None, classes: int | None) -> tuple[AbstractModel, tuple[int, int], Trace]:
    """The network without weights, the size of its image, and what it does with one, without values."""
    with torch.device("meta"):
        network, side = _built(model, classes)
        height, width = _size(size) if size else side
        if network.fixed_size and not height == width == network.size:
            raise UsageError(f"{model} takes no image of {height}x{width}. Its size is {network.size}x{network.size}.")
        x = torch.empty(1, network.architecture["in_channels"], height, width)
        try:
            return network, (height, width), record(network, x)
        except RuntimeError as error:
            raise UsageError(f"{model} takes no image of {height}x{width}: {error}") from error


def _measured(network: AbstractModel, trace: Trace) -> Measured:
    """With weights drawn by chance: times do not depend on them."""
    keep_memory()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(trace.operations[0].output.shape).contiguous(memory_format=torch.channels_last)
    machine = measured_machine()
    seconds, whole = timed(network, x)
    return Measured(machine, timings(trace, seconds, machine), whole)


def _built(model: str, classes: int | None) -> tuple[AbstractModel, tuple[int, int]]:
    return _from_file(model) if Path(model).is_file() else _from_name(model, classes)


def _from_file(path: str) -> tuple[AbstractModel, tuple[int, int]]:
    facts = read_facts(path)
    if facts.get("kind") != "model":
        raise ModelError(f"{path} is a {facts.get('kind')}, not a model. Its run folder has a model.safetensors.")
    height, width = facts["preprocess"]["size"]
    return build_model(**facts["architecture"]), (height, width)


def _from_name(name: str, classes: int | None) -> tuple[AbstractModel, tuple[int, int]]:
    if name not in catalogue("MODELS") and Path(name).suffix == ".safetensors":
        raise UsageError(f"No file {name}. Give a model.safetensors, or the name of a network, such as resnet18.")
    if classes is None:
        with torch.device("meta"):
            classes = CLASSES[build_model(name, 2).task]
    network = build_model(name, classes)
    return network, (network.size, network.size)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or not (int(found[1]) and int(found[2])):
        raise UsageError(f"--size {text!r}: give height and width in pixels, such as 224x224.")
    return int(found[1]), int(found[2])


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The first three columns are words and stand to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust] * 3 + [str.rjust] * (len(widths) - 3)
    return [
        "  ".join(side(word, width) for side, word, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]
