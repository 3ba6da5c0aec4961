"""The network of an exported ONNX file by itself: cut out of its bytes, from `pixels` to `decoded/…`.

Before and behind it pellucid's own code can be run: with an engine that has no exact resize, or that is fastest with
nothing but convolutions.
"""

from collections.abc import Iterator

from pellucid.errors import ModelError
from pellucid.runtime.wire import fields, message, text

__all__ = ["DECODED", "PIXELS", "network_part"]

GRAPH = 7
HEAD = {1, 2, 3, 8}
"""Fields of a model that any part of it has, too: IR version, producer and its version, opset."""
NODE, GRAPH_NAME, INITIALIZER, INPUT, OUTPUT, VALUE = 1, 2, 5, 11, 12, 13
NAMES = {NODE: 3, INITIALIZER: 8, VALUE: 1}
"""In which field a node, a tensor and the description of a value have their name."""
PIXELS, DECODED = "pixels", "decoded/"


def network_part(data: bytes) -> bytes:
    """An ONNX model with the input `pixels`, uint8 N H W C, and the outputs `decoded/…`."""
    head, graph = [], memoryview(b"")
    for part in fields(memoryview(data)):
        if part.number == GRAPH and isinstance(part.content, memoryview):
            graph = part.content
        elif part.number in HEAD:
            head.append(part.raw)
    return b"".join(map(bytes, head)) + message(GRAPH, b"".join(_cut(graph)))


def _cut(graph: memoryview) -> Iterator[bytes]:
    """The fields of the graph that belong to the network; what was in between is now its input and outputs."""
    yield message(GRAPH_NAME, b"network")
    for part in fields(graph):
        if part.number not in NAMES or isinstance(part.content, int):
            continue
        name = _name(part.content, NAMES[part.number])
        if name == PIXELS:
            yield message(INPUT, part.content)
        elif name.startswith(DECODED):
            yield message(OUTPUT, part.content)
        elif name.startswith("network/"):
            yield message(part.number, part.content)


def _name(content: memoryview, number: int) -> str:
    for part in fields(content):
        if part.number == number:
            return text(part.content)
    raise ModelError("it has a node or weights without a name")
