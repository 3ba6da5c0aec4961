"""Fetching files once: named sets and published weights, checked by SHA-256 and kept in the cache.

The network is used by nothing else. A download that was cut goes on where it stopped, and a file that was put
in the cache by hand is as good as a fetched one.
"""

import functools
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import DataError, OfflineError
from pellucid.files import cache_folder, sha256_file

__all__ = ["SETS", "NamedSet", "fetch", "fetch_set"]

ATTEMPTS = 5
TIMEOUT_SECONDS = (15, 60)
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A published set: where it is, its files with their SHA-256, and the folder that an archive holds."""

    url: str
    files: tuple[tuple[str, str], ...]
    folder: str | None = None


MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
MNIST_DIGESTS = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
FASHION_DIGESTS = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
CIFAR_DIGEST = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"

SETS = {
    "mnist": NamedSet(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        tuple(zip(MNIST_FILES, MNIST_DIGESTS, strict=True)),
    ),
    "fashion-mnist": NamedSet(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        tuple(zip(MNIST_FILES, FASHION_DIGESTS, strict=True)),
    ),
    "cifar10": NamedSet(
        "https://www.cs.toronto.edu/~kriz/",
        (("cifar-10-binary.tar.gz", CIFAR_DIGEST),),
        folder="cifar-10-batches-bin",
    ),
}


def fetch_set(name: str) -> Path:
    """The folder of a named set, fetched and unpacked if it is not in the cache."""
    chosen = SETS[name]
    home = cache_folder() / "sets" / name
    if chosen.folder and (home / chosen.folder).is_dir():
        return home / chosen.folder
    fetched = [fetch(chosen.url + file, sha256, f"{name}/{file}") for file, sha256 in chosen.files]
    return _unpacked(fetched[0], chosen.folder) if chosen.folder else home


def fetch(url: str, sha256: str, name: str) -> Path:
    """The file at a url, kept in the cache as `sets/name`.

    `sha256` may be the first hex digits only, as in the names of published weights. What is in the cache with
    other bytes is fetched anew; what arrives with other bytes is refused.
    """
    import pooch  # 0.2 s that only a fetch needs

    target = cache_folder() / "sets" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and sha256_file(target).startswith(sha256.lower()):
        return target
    target.unlink(missing_ok=True)
    pooch.get_logger().setLevel("WARNING")
    downloader = functools.partial(_download, target=target, sha256=sha256)
    # No hash for pooch, which knows whole ones only: the downloader checks it before the file gets its name.
    pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent, downloader=downloader)
    return target


def _download(url: str, draft: str, _pooch: Any, *, target: Path, sha256: str) -> None:
    """Fill `draft`, which becomes the cached file, once the bytes are known to be the right ones."""
    import requests
    import urllib3

    part = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            _continue(url, part)
            break
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            answer = getattr(error, "response", None)
            refused = answer is not None and 400 <= answer.status_code < 500
            if refused or attempt == ATTEMPTS - 1:
                raise _offline(url, target, sha256, error) from error
    found = sha256_file(part)
    if not found.startswith(sha256.lower()):
        part.unlink()
        raise DataError(
            f"{url} sent a file with SHA-256 {found[: max(len(sha256), 8)]}…, expected {sha256}. It was thrown "
            f"away. Try again, or put the right file at {target}."
        )
    shutil.move(part, draft)


def _continue(url: str, part: Path) -> None:
    """Fetch what is missing of a partial file; what arrives stays there, also when the connection breaks."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == 416:  # nothing behind what is here, or another file than before
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise requests.RequestException("the file has changed on the server")
        answer.raise_for_status()
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if answer.status_code == 206 and goes_on else 0
        left = int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if start else "wb") as handle, _progress(part.stem, start, left) as advance:
            for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):
                handle.write(chunk)
                advance(len(chunk))


@contextmanager
def _progress(name: str, start: int, left: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, on stderr; nothing where stderr goes to a file."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=start + left or None, completed=start)
        yield lambda count: bar.advance(task, count)


def _offline(url: str, target: Path, sha256: str, trouble: Exception) -> OfflineError:
    return OfflineError(
        f"Cannot fetch {target.name} from {url}: {trouble}. Run again to go on where it stopped, or get the "
        f"file elsewhere and put it into {target.parent} (its SHA-256 begins with {sha256[:16]})."
    )


def _unpacked(archive: Path, folder: str) -> Path:
    """The folder that an archive holds, unpacked beside it: whole or not at all."""
    target = archive.parent / folder
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpack-") as draft:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(draft, filter="data")  # nothing outside the folder, no links out, no devices
            (Path(draft) / folder).replace(target)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{archive} cannot be unpacked: {error}. Remove it and run again.") from error
    return target
