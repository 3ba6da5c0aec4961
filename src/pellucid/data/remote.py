"""Files behind a URL (HTTP, object stores), read in parts through fsspec. Without a URL no network is asked."""

import functools
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pellucid.data.columns import PREFIX_BYTES, file_bytes, header_bytes
from pellucid.errors import DataError, OfflineError, UsageError
from pellucid.files import alone, atomic_path, cache_folder, sha256_text, write_atomic

__all__ = ["INDEX", "LEDGER", "is_url", "mirrored", "origin_of", "parts_of", "read_part"]

INDEX, LEDGER = "index.safetensors", "ledger.jsonl"
ATTEMPTS = 5
PAUSE_SECONDS = 0.5  # before the second attempt, twice as long before each that follows
TIMEOUT_SECONDS = (15, 60)  # to connect, and between two pieces of an answer
CHUNK_BYTES = 8 << 20
ORIGIN = "origin.txt"
FAILURES = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
)
LATER = (408, 425, 429)  # answers that say: try again

Result = TypeVar("Result")


def is_url(text: str) -> bool:
    """Whether a user means something behind a protocol, as in `https://…` or `s3://…`."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", text))


def origin_of(root: Path) -> str | None:
    """The URL whose index lies in a folder of the cache; None for any other folder, whatever is in it."""
    return _origin(root) if root.parent == _home() else None


@functools.lru_cache(maxsize=64)
def _origin(root: Path) -> str:
    return (root / ORIGIN).read_text("utf-8")


def read_part(url: str, start: int, size: int) -> bytes:
    """`size` bytes of a file, or as many of them as there are."""
    store, path = _store(url)
    found: bytes = _tried(url, lambda: store.cat_file(path, start=start, end=start + size))
    if len(found) > size:
        raise DataError(
            f"The server of {url} sent {len(found):,} bytes where {size:,} were asked for: it does not answer range "
            "requests. Put the shards on one that does, or copy them here."
        )
    return found


def parts_of(url: str, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, in parts."""
    return (read_part(url, start, min(CHUNK_BYTES, size - start)) for start in range(0, size, CHUNK_BYTES))


def mirrored(url: str) -> Path:
    """A folder of the cache with the index of the shards at a URL and their ledger, as they are there now."""
    url = url.rstrip("/")
    place = url.partition("://")[2].rpartition("@")[2]  # without a name and password
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", place).strip("-")[-60:]
    folder = _home() / f"{readable}-{sha256_text(url)[:8]}"
    prefix = read_part(f"{url}/{INDEX}", 0, PREFIX_BYTES)
    try:
        head = prefix + read_part(f"{url}/{INDEX}", PREFIX_BYTES, header_bytes(prefix))
        size = file_bytes(head)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{url}/{INDEX} is no index of shards: {error}. Give the folder of a converted set.") from error
    with alone(folder / ".lock"):
        if not _is_same(folder / INDEX, head, size):
            _copy(f"{url}/{LEDGER}", _size(f"{url}/{LEDGER}"), folder / LEDGER)
            _copy(f"{url}/{INDEX}", size, folder / INDEX)
            write_atomic(folder / ORIGIN, url)
    return folder


def _home() -> Path:
    return cache_folder() / "shards"


def _is_same(path: Path, head: bytes, size: int) -> bool:
    """Whether an index is here: its header, which names the digest of every column, is the one that is there."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    with path.open("rb") as handle:
        return handle.read(len(head)) == head


def _copy(url: str, size: int, target: Path) -> None:
    with atomic_path(target) as draft, draft.open("wb") as handle:
        for part in parts_of(url, size):
            handle.write(part)


def _size(url: str) -> int:
    store, path = _store(url)
    return int(_tried(url, lambda: store.size(path)))


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        store, path = url_to_fs(url, **_options(url))
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{url} cannot be opened: {error}. For http and https: pip install 'pellucid[remote]'; for s3:// s3fs as "
            "well, for gs:// gcsfs, for az:// adlfs."
        ) from error
    return store, path


def _options(url: str) -> dict[str, Any]:
    """Time limits for HTTP; object stores have their own."""
    if not url.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    connect, read = TIMEOUT_SECONDS
    timeout = ClientTimeout(total=None, sock_connect=connect, sock_read=read)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # a proxy is where the environment says


def _failures() -> tuple[type[Exception], ...]:
    """What the clients of stores raise that have been imported; few of them keep to OSError."""
    loaded = [(sys.modules[module], name) for module, name in FAILURES if module in sys.modules]
    return (OSError, *(getattr(module, name) for module, name in loaded))


def _tried(url: str, ask: Callable[[], Result]) -> Result:
    """What is answered at last; an error that names the URL where nothing is."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except FileNotFoundError as error:
            raise DataError(f"There is no {url}. Look whether the address is right and all files are there.") from error
        except _failures() as error:
            status = getattr(error, "status", 0)
            if attempt == ATTEMPTS or (400 <= status < 500 and status not in LATER):
                said = " ".join(str(error).split())[:200] or type(error).__name__
                tried = f" after {attempt} attempts" if attempt > 1 else ""
                raise OfflineError(f"Cannot read {url}{tried}: {said}. Run again once it can be reached.") from error
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    raise AssertionError  # the last attempt returns or raises
