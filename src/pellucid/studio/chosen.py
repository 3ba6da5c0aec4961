"""What the address of the page Network selects: an operation, its channels in order, one of them, a place in it."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.recording import Operation
from pellucid.studio.address import Address
from pellucid.studio.hops import Hop
from pellucid.studio.session import Look
from pellucid.studio.strip import shape_text

__all__ = ["Chosen", "choose", "contributions", "sizes_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """`order` are the channels, those first that give most to the target; `shares` what each gives, where it does;
    `at` is (row, column)."""

    operation: Operation
    order: tuple[int, ...]
    shares: Float[Tensor, " c"] | None
    channel: int
    at: tuple[int, int]

    @property
    def maps(self) -> bool:
        """Whether it gives maps."""
        return self.operation.output.ndim == 4

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of its maps."""
        height, width = self.operation.output.shape[2:]
        return height, width

    @property
    def hop(self) -> Hop:
        """The number at the place."""
        return Hop(self.operation.name, (self.channel, *self.at) if self.maps else (self.channel,))


def contributions(operation: Operation) -> Float[Tensor, " c"] | None:
    """What each channel gives to the target: activation times gradient, summed; None where it gives nothing."""
    gradient = operation.gradients[0] if operation.gradients else None
    if gradient is None:
        return None
    products = (operation.output.double() * gradient.double())[0]
    return products.flatten(1).sum(1) if products.ndim > 1 else products


def sizes_of(operation: Operation) -> Float[Tensor, " c"]:
    """By which channels are ordered: what they give, without its sign; of what gives nothing, the numbers' own size."""
    shares = contributions(operation)
    if shares is not None:
        return shares.abs()
    output = operation.output[0].double().abs()
    return output.flatten(1).sum(1) if output.ndim > 1 else output


def choose(look: Look, address: Address) -> Chosen:
    """As `op`, `channel`, `row` and `column` say; the rest is the first with weights, and what gives most."""
    name = address.text("op")
    first = next((one for one in look.trace if one.params), look.trace.operations[1])
    operation = first if name is None else look.trace[name]
    order = tuple(sizes_of(operation).argsort(descending=True, stable=True).tolist())
    channel = address.number("channel")
    if channel is not None and channel >= len(order):
        raise UsageError(f"channel={channel} in the address: {operation.name} has {len(order)}, counted from 0.")
    channel = order[0] if channel is None else channel
    return Chosen(operation, order, contributions(operation), channel, _place(operation, channel, address))


def _place(operation: Operation, channel: int, address: Address) -> tuple[int, int]:
    if operation.output.ndim != 4:
        return 0, 0
    plane = operation.output[0, channel].double()
    row, column = address.number("row"), address.number("column")
    if row is None or column is None:
        gradient = operation.gradients[0] if operation.gradients else None
        weighed = plane if gradient is None else plane * gradient[0, channel].double()
        row, column = divmod(int(weighed.abs().argmax()), plane.shape[1])
    if row >= plane.shape[0] or column >= plane.shape[1]:
        raise UsageError(f"Place {row},{column} in the address: {operation.name} is {shape_text(operation)}.")
    return row, column
