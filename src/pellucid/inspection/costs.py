"""What a network costs, operation by operation, without computing a single number of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pellucid.catalog import catalogue
from pellucid.checkpoint import read_facts
from pellucid.errors import ModelError, UsageError
from pellucid.inspection.recording import Trace, record
from pellucid.models.base import AbstractModel, build_model
from pellucid.ops.counting import CONVENTION

__all__ = ["Costs", "cost_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """The operations of one pass of one image of that size, and how many parameters the network has in all."""

    model: str
    size: tuple[int, int]
    trace: Trace
    parameters: int

    def to_json(self) -> dict[str, Any]:
        """Plain values: the convention, a row an operation, totals. MACs are null where they are not known."""
        rows = [
            {
                "name": one.name,
                "kind": one.kind,
                "output": list(one.output.shape[1:]),
                "params": one.params,
                "macs": one.macs,
                "bytes": one.bytes,
            }
            for one in self.trace.operations[1:]
        ]
        return {
            "model": self.model,
            "size": list(self.size),
            "convention": CONVENTION,
            "layers": rows,
            "totals": self._totals(),
        }

    def text(self) -> str:
        """The same as a table."""
        rows = [("operation", "kind", "output", "params", "MACs", "bytes")]
        for one in self.trace.operations[1:]:
            shape = "x".join(map(str, one.output.shape[1:]))
            known = "unknown" if one.macs is None else f"{one.macs:,}"
            rows.append((one.name, one.kind, shape, f"{one.params:,}", known, f"{one.bytes:,}"))
        total = self._totals()
        rows.append(("total", "", "", f"{total['params']:,}", f"{total['macs']:,}", f"{total['bytes']:,}"))
        size = f"{self.size[0]}x{self.size[1]}"
        return "\n".join([f"{self.model} at {size}. {CONVENTION}", *_aligned(rows)])

    def _totals(self) -> dict[str, int]:
        found = self.trace.operations
        return {
            "params": self.parameters,
            "macs": sum(one.macs or 0 for one in found),
            "bytes": sum(one.bytes for one in found),
        }


def cost_of(model: str, size: str | None = None, classes: int = 1000) -> Costs:
    """The costs of a model file, or of a network of the catalogue for so many classes.

    `size` is HxW in network pixels, without it what the network is meant for.
    """
    with torch.device("meta"):
        network, side = _from_file(model) if Path(model).is_file() else _from_name(model, classes)
        height, width = _size(size) if size else side
        if network.fixed_size and not height == width == network.size:
            raise UsageError(f"{model} takes no image of {height}x{width}. Its size is {network.size}x{network.size}.")
        x = torch.empty(1, network.architecture["in_channels"], height, width)
        try:
            trace = record(network, x)
        except RuntimeError as error:
            raise UsageError(f"{model} takes no image of {height}x{width}: {error}") from error
    return Costs(model, (height, width), trace, sum(parameter.numel() for parameter in network.parameters()))


def _from_file(path: str) -> tuple[AbstractModel, tuple[int, int]]:
    facts = read_facts(path)
    if facts.get("kind") != "model":
        raise ModelError(f"{path} is a {facts.get('kind')}, not a model. Its run folder has a model.safetensors.")
    height, width = facts["preprocess"]["size"]
    return build_model(**facts["architecture"]), (height, width)


def _from_name(name: str, classes: int) -> tuple[AbstractModel, tuple[int, int]]:
    if name not in catalogue("MODELS") and Path(name).suffix == ".safetensors":
        raise UsageError(f"No file {name}. Give a model.safetensors, or the name of a network, such as resnet18.")
    network = build_model(name, classes)
    return network, (network.size, network.size)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or not (int(found[1]) and int(found[2])):
        raise UsageError(f"--size {text!r}: give height and width in pixels, such as 224x224.")
    return int(found[1]), int(found[2])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust, str.ljust, str.ljust, str.rjust, str.rjust, str.rjust]
    return [
        "  ".join(side(word, width) for side, word, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]
