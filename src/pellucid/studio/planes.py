"""What the sprites of the page Network show: planes of numbers, and the largest value of the scale of each."""

from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.recording import Operation
from pellucid.inspection.streams import Streams
from pellucid.studio.chosen import sizes_of
from pellucid.studio.session import Look
from pellucid.studio.sprites import thumbnail

__all__ = ["THUMBNAIL", "Planes", "filter_of", "kernel_planes", "map_planes", "stream_planes", "strip_planes"]

THUMBNAIL = 36
"""Rows and columns of a map in the strip."""

Planes = tuple[list[Float[ndarray, "h w"]], list[float]]


def strip_planes(look: Look) -> Planes:
    """Of every operation with maps the channel that gives most, small, each with a limit of its own."""
    planes = []
    for one in look.trace:
        if one.output.ndim == 4:
            plane = one.output[0, int(sizes_of(one).argmax())].double().numpy()
            planes.append(thumbnail(plane, THUMBNAIL))
    return planes, [float(abs(plane).max()) for plane in planes]


def map_planes(look: Look, name: str, channels: tuple[int, ...]) -> Planes:
    """Channels of an operation's maps, all on the scale of the largest value of the operation."""
    output = look.trace[name].output
    if output.ndim != 4 or any(channel >= output.shape[1] for channel in channels):
        raise UsageError(f"{name} has no maps of these channels: it is {tuple(output.shape[1:])}.")
    limit = float(output.abs().max())
    return [output[0, channel].double().numpy() for channel in channels], [limit] * len(channels)


def kernel_planes(look: Look, name: str, channel: int) -> Planes:
    """The kernels of a filter, of every input channel one, all on one scale."""
    weight = filter_of(look.trace[name], channel)
    if weight is None:
        raise UsageError(f"{name} has no kernels of a channel {channel}.")
    return list(weight.double().numpy()), [float(weight.abs().max())] * len(weight)


def stream_planes(streams: Streams) -> Planes:
    """What every level adds at every pixel, and their sum, all on one scale."""
    planes = [one.plane.double().numpy() for one in streams.streams] + [streams.plane.double().numpy()]
    return planes, [max(float(abs(plane).max()) for plane in planes)] * len(planes)


def filter_of(operation: Operation, channel: int) -> Float[Tensor, "c h w"] | None:
    """What a convolution makes a channel with; None of what is no convolution."""
    if operation.kind != "conv2d" or channel >= operation.output.shape[1]:
        return None
    weight: Tensor = operation.arguments[1]
    return weight[channel].detach()
