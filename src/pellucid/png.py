"""A PNG file of a large picture, quickly: strips of rows are packed on every core at once.

Pillow takes seconds for 24 megapixels, on one core. Here each strip takes the row filter (none, left or above) whose
bytes are nearest to 0, is packed as runs and Huffman codes alone (deflate, level 1, `Z_RLE`) and closed at a byte. The
strips' streams, one behind the other, are one zlib stream. Of photographs the file is about as small as Pillow's at its
fastest level, up to a sixth larger than at its usual one; drawings with repeated patterns are packed less well.
"""

import functools
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError

__all__ = ["write_png"]

Bytes = NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 3: 2}  # channels -> grey, RGB
ZLIB_HEADER = b"\x78\x01"
STRIP_BYTES = 1 << 20
SAMPLED_ROWS = 8
ADLER_BASE = 65521


def write_png(handle: BinaryIO, pixels: Bytes, *, threads: int = 1) -> None:
    """Write uint8 pixels H W C (C is 1 or 3) as PNG; every pixel is kept."""
    height, width, channels = pixels.shape
    if channels not in COLOR_TYPES:
        raise UsageError(f"The picture has {channels} channels. Give 1 (grey) or 3 (RGB).")
    handle.write(SIGNATURE)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOR_TYPES[channels], 0, 0, 0)
    _write_chunk(handle, b"IHDR", header)
    _write_chunk(handle, b"IDAT", ZLIB_HEADER)
    checksum, rows = 1, np.ascontiguousarray(pixels).reshape(height, -1)
    for packed, adler, length in _packed_strips(rows, channels, threads):
        checksum = _joined_adler(checksum, adler, length)
        _write_chunk(handle, b"IDAT", packed)
    _write_chunk(handle, b"IDAT", b"\x03\x00" + struct.pack(">I", checksum))  # an empty last block ends the stream
    _write_chunk(handle, b"IEND", b"")


def _write_chunk(handle: BinaryIO, kind: bytes, content: bytes) -> None:
    handle.write(struct.pack(">I", len(content)) + kind)
    handle.write(content)
    handle.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))


def _packed_strips(rows: Bytes, channels: int, threads: int) -> Iterator[tuple[bytes, int, int]]:
    """Each strip's deflate stream, its Adler-32 and its length before packing, in order."""
    step = max(1, STRIP_BYTES // rows.shape[1])
    pack = functools.partial(_packed, rows, channels, step)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        yield from pool.map(pack, range(0, len(rows), step))


def _packed(rows: Bytes, channels: int, step: int, start: int) -> tuple[bytes, int, int]:
    strip = rows[start : start + step]
    above = rows[start - 1 : start] if start else np.zeros_like(strip[:1])
    filtered = _filtered(strip, above, channels)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    packed = packer.compress(filtered.data) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed, zlib.adler32(filtered.data), filtered.size


def _filtered(strip: Bytes, above: Bytes, channels: int) -> Bytes:
    """Every row with its filter type in front: the type whose bytes are nearest to 0 in a sample of rows."""
    sample = slice(None, SAMPLED_ROWS)
    tried = [_differences(strip[sample], above, channels, kind).view(np.int8).astype(np.int16) for kind in range(3)]
    kind = int(np.argmin([np.abs(found).sum(dtype=np.int64) for found in tried]))
    found = np.empty((len(strip), strip.shape[1] + 1), np.uint8)
    found[:, 0], found[:, 1:] = kind, _differences(strip, above, channels, kind)
    return found


def _differences(strip: Bytes, above: Bytes, channels: int, kind: int) -> Bytes:
    """The bytes themselves (0), less those of the pixel to the left (1), less those of the row above (2); mod 256."""
    if kind == 0:
        return strip
    if kind == 1:
        return np.concatenate([strip[:, :channels], strip[:, channels:] - strip[:, :-channels]], axis=1)
    return strip - np.concatenate([above, strip[:-1]])


def _joined_adler(first: int, second: int, length: int) -> int:
    """The Adler-32 of two byte strings on end, from theirs and the second's length."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)
    return (high % ADLER_BASE) << 16 | low % ADLER_BASE
