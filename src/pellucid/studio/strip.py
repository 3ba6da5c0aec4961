"""The operations of a pass as a strip: blocks stand together, those that repeat the one before are folded."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from pellucid.inspection.recording import Operation, Trace
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count

__all__ = ["Block", "blocks", "shape_text", "strip"]

Card = Callable[[Operation], Markup]


@dataclass(frozen=True, slots=True)
class Block:
    """Operations of one module that is one of several in a row: `layer1.0`; of none `name` is empty."""

    name: str
    operations: tuple[Operation, ...]

    def alike(self, other: "Block") -> bool:
        """Whether both do the same to maps of the same sizes."""
        return bool(self.name and other.name) and _shape(self) == _shape(other)


def _shape(block: Block) -> list[tuple[object, ...]]:
    return [(one.kind, tuple(one.output.shape), one.params) for one in block.operations]


def blocks(trace: Trace) -> list[list[Block]]:
    """Runs of blocks that are alike, in the order of the pass."""
    found: list[list[Block]] = []
    for name, operations in groupby(trace.operations, _module):
        block = Block(name, tuple(operations))
        if found and found[-1][0].alike(block):
            found[-1].append(block)
        else:
            found.append([block])
    return found


def _module(operation: Operation) -> str:
    """`layer1.0` of `layer1.0.conv1`; a layer that is itself numbered stands alone."""
    numbered = re.match(r"(.*\.\d+)\.", operation.name)
    return numbered[1] if numbered else ""


def shape_text(operation: Operation) -> str:
    """Without the axis of images: `64×56×56`."""
    return "×".join(map(str, operation.output.shape[1:]))


def strip(trace: Trace, chosen: str, card: Card) -> Markup:
    """All operations, each drawn by `card`; of a run of blocks all but the first are behind a fold, unless chosen."""
    return tag("ol", *_runs(trace, chosen, card), class_="strip", aria_label="Operations")


def _runs(trace: Trace, chosen: str, card: Card) -> Iterator[Markup]:
    for first, *others in blocks(trace):
        yield _block(first, card)
        if others:
            inside = any(one.name == chosen for block in others for one in block.operations)
            said = f"{count(len(others))} more like {first.name}: {', '.join(block.name for block in others)}"
            rest = tag("ol", *(_block(block, card) for block in others))
            yield tag("li", tag("details", tag("summary", said), rest, open=inside), class_="again")


def _block(block: Block, card: Card) -> Markup:
    cards = tag("ol", *(tag("li", card(one)) for one in block.operations))
    name = tag("span", block.name, class_="module") if block.name else Markup("")
    return tag("li", name, cards, class_="block" if block.name else "run")
