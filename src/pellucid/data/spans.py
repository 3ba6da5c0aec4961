"""Bytes of files that lie inside larger ones, here or behind a URL: one seek each, and never believed unchecked."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pellucid.data.remote import origin_of, parts_of, read_part
from pellucid.errors import DataError
from pellucid.types import Span

__all__ = ["read_span", "sha256_shard"]

CHUNK_BYTES = 1 << 20


def read_span(root: Path, span: Span) -> bytes:
    """The bytes of a span below a dataset's root, whose SHA-256 is compared each time they are read.

    Raises DataError, and no ImageError: an altered shard ends a run, where a damaged image of one's own is put aside.
    """
    origin, place = origin_of(root), _place(root, span.file)
    found = read_part(place, span.start, span.size) if origin else _local(root / span.file, span)
    if len(found) < span.size:
        raise DataError(
            f"{place} is cut short: {len(found):,} bytes from offset {span.start:,} on, expected {span.size:,}. {CURE}"
        )
    digest = hashlib.sha256(found)
    if digest.digest() != span.sha256:
        raise DataError(
            f"{place} is altered: the {span.size:,} bytes from offset {span.start:,} on have the SHA-256 "
            f"{digest.hexdigest()}, expected {span.sha256.hex()}. {CURE}"
        )
    return found


CURE = "Copy the shard anew, or convert the data again."


def sha256_shard(root: Path, file: str, size: int) -> str:
    """The SHA-256 of a whole shard; DataError where it has not this size."""
    place, total, count = _place(root, file), hashlib.sha256(), 0
    for part in parts_of(place, size) if origin_of(root) else _parts(root / file):
        total.update(part)
        count += len(part)
    if count != size:
        raise DataError(f"{place} is cut short or altered: {count:,} bytes, expected {size:,}. {CURE}")
    return total.hexdigest()


def _place(root: Path, file: str) -> str:
    return f"{origin_of(root) or root}/{file}"


def _local(path: Path, span: Span) -> bytes:
    try:
        with path.open("rb", buffering=0) as handle:
            handle.seek(span.start)
            found = handle.read(span.size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. {CURE}") from error
    return found


def _parts(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as handle:
            while part := handle.read(CHUNK_BYTES):
                yield part
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. {CURE}") from error
