"""Files that are whole or absent, digests, and the place where fetched and derived files are kept."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, UsageError

__all__ = [
    "alone",
    "atomic_folder",
    "atomic_path",
    "cache_folder",
    "canonical_json",
    "sha256_file",
    "sha256_text",
    "write_atomic",
]


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until nobody else is inside with the same file; whoever is killed inside makes way for the next.

    The file is removed at the end. Who comes then may make a new one while others still wait for the old one, and some
    network file systems know no locks, so what is inside must look whether its work is done already, and be harmless
    when it is done twice.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write to; it takes the name `path` once its bytes are on the disk.

    Whatever happens inside, `path` is afterwards either what it was before or the whole new file.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
        mode = draft.stat().st_mode
        yield draft
        draft.chmod(mode)  # some writers make files that only their owner may read
        _flush(draft)
        draft.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise PellucidError(f"Cannot write {path}: {error.strerror or error}. {_cure(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` to write to; it takes that name at the end, in place of an empty folder or none.

    A folder that holds something is refused: what is in it might be somebody's.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is there already. Give a new or an empty folder.")
    try:
        draft.mkdir(parents=True)
        yield draft
        for part in draft.rglob("*"):
            _flush(part)
        draft.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise PellucidError(f"Cannot write {path}: {error.strerror or error}. {_cure(error)}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a small file whole or not at all."""
    with atomic_path(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cure(error: OSError) -> str:
    match error.errno:
        case 28 | 122:
            return "Free some space and run again; what was there before is unharmed."
        case 13 | 30:
            return "Choose a folder you may write to."
        case _:
            return "What was there before is unharmed."


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def cache_folder() -> Path:
    """Where fetched and derived files are kept: `$PELLUCID_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("PELLUCID_CACHE")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("pellucid")
