"""The bytes of an ONNX file, field by field: enough of protocol buffers to look into a file before anything runs it.

A message is a row of fields: a key (number · 8 + kind), then a number or so many bytes. Messages written one after the
other are one message, so a field can be added at the end of a file and cut off again, without a byte before it moving.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.errors import ModelError

__all__ = ["Field", "fields", "message", "text"]

NUMBER, EIGHT, BYTES, FOUR = 0, 1, 2, 5
WIDTHS = {EIGHT: 8, FOUR: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: its number, where its key begins in the message, its content, and all its bytes."""

    number: int
    start: int
    content: memoryview | int
    raw: memoryview


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message in order; ends in a ModelError where the bytes are no message."""
    place = 0
    while place < len(data):
        start = place
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == NUMBER:
            value, place = _varint(data, place)
            yield Field(number, start, value, data[start:place])
            continue
        length = WIDTHS.get(kind, -1)
        if kind == BYTES:
            length, place = _varint(data, place)
        if length < 0 or place + length > len(data) or not number:
            raise ModelError(f"byte {start} of {len(data)} begins no field")
        begin, place = place, place + length
        yield Field(number, start, data[begin:place], data[start:place])


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place behind it."""
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ModelError(f"it ends within a number at byte {place}")


def message(number: int, content: bytes | memoryview) -> bytes:
    """A field of bytes."""
    return _written(number << 3 | BYTES) + _written(len(content)) + bytes(content)


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def text(content: memoryview | int) -> str:
    """A field's content as text."""
    if isinstance(content, int):
        raise ModelError(f"it has the number {content} where a text belongs")
    return str(content, "utf-8", "replace")
