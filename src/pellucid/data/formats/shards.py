"""Tar shards as WebDataset reads them, with an index of where every sample lies; here or behind a URL."""

import json
from pathlib import Path

from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.data.remote import INDEX, LEDGER, origin_of
from pellucid.data.shard_index import ShardIndex
from pellucid.data.shard_writer import write_shards
from pellucid.data.spans import CURE, read_span, sha256_shard
from pellucid.errors import DataError, ImageError
from pellucid.files import sha256_file
from pellucid.image import Image, read_image
from pellucid.types import Record

__all__ = ["FORMATS", "ShardsFormat"]

SHARD_BYTES = 256_000_000


class ShardsFormat(AbstractFormat):
    """`train-000000.tar` and so on, `index.safetensors`, and `ledger.jsonl` with what was refused before.

    In a shard, a sample is `train-000000-000000.jpg` (or as the image's suffix is) with a file of that name and another
    suffix: `.cls`, the index of its class; `.json`, its boxes; or `.mask.png`, its classes pixel by pixel, 255 where
    ignored.
    """

    name = "shards"
    task = ""

    def __init__(self, shard_bytes: int = SHARD_BYTES) -> None:
        self.shard_bytes = shard_bytes

    def sniff(self, path: Path) -> bool:
        """A folder with the index."""
        return (path / INDEX).is_file()

    def read(self, path: Path) -> Dataset:
        """One record a sample, under the name that its image had. Shards that are here must have their size."""
        index = ShardIndex.open(path / INDEX)
        if origin_of(path) is None:
            for shard, size in zip(index.shards, index.sizes(), strict=True):
                _check_size(path / shard, size)
        used = dict(zip(index.shards, index.columns.mapped("shard_samples").tolist(), strict=True))
        ledger = _ledger(path / LEDGER, index.columns.facts["ledger"], used)
        return Dataset(index.task, index.classes, index.records(), path, ledger, self.name)

    def image(self, root: Path, record: Record) -> Image:
        """The decoded image, whose bytes are those that were written."""
        return read_image(self.encoded(root, record))

    def encoded(self, root: Path, record: Record) -> bytes:
        """Its bytes."""
        if record.span is None:
            raise ImageError(f"{record.name} is in no shard", "take the records from the opened dataset")
        return read_span(root, record.span)

    def verify(self, root: Path) -> None:
        """Compare the digest of every whole shard."""
        index = ShardIndex.open(root / INDEX)
        for shard, size, expected in zip(
            index.shards, index.sizes(), index.columns.mapped("shard_sha256"), strict=True
        ):
            if (found := sha256_shard(root, shard, size)) != expected.tobytes().hex():
                raise DataError(
                    f"{origin_of(root) or root}/{shard} is altered: it has the SHA-256 {found}, expected "
                    f"{expected.tobytes().hex()}. {CURE}"
                )

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Shards, index and ledger; images as they are, packed ones and masks as PNG."""
        claim_folder(folder)
        write_shards(dataset, folder, self.shard_bytes)


def _check_size(path: Path, size: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found is None:
        raise DataError(f"{path} is missing. {CURE}")
    if found != size:
        raise DataError(f"{path} is cut short or altered: {found:,} bytes, expected {size:,}. {CURE}")


def _ledger(path: Path, digest: str, used: dict[str, int]) -> Ledger:
    """What became of the files that the shards were made of."""
    if not path.is_file() or sha256_file(path) != digest:
        raise DataError(f"{path} is missing or altered (expected SHA-256 {digest}). Copy it anew.")
    refused, notes = [], []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row.pop("status") == "refused":
            refused.append(Refusal(**row))
        else:
            notes.append(Note(**row))
    return Ledger(used, tuple(refused), tuple(notes))


FORMATS = {"shards": ShardsFormat()}
