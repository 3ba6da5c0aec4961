"""A set of ten million images in shards: how fast its index opens, how much memory it takes, the first batch.

python -m benchmarks.shards prepare FOLDER      # one shard of 1,000 JPEGs under 10,020 names, and an index of them all
python -m benchmarks.shards open FOLDER         # in a process of its own, so that the memory is that of opening
python -m benchmarks.shards pass FOLDER         # what a training run does with all records before its first step
python -m benchmarks.shards read PHOTOS         # photos as files and as shards, read and decoded
"""

import functools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import header
from pellucid.catalog import find
from pellucid.cores import usable_cores
from pellucid.data.ahead import ReadAhead
from pellucid.data.cache import decode
from pellucid.data.columns import read_columns, write_columns
from pellucid.data.converting import convert
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.loader import Loader
from pellucid.data.shard_index import shard_name
from pellucid.image import write_image
from pellucid.preprocess import Preprocess
from pellucid.types import Record

CLASSES, EACH, BATCH = 1000, 1000, 256
SHARDS = {"train": 10_000, "val": 10, "test": 10}
PREPROCESS = Preprocess((224, 224), "crop", 3, (0.5,) * 3, (0.25,) * 3)
ROUNDS = 3
FED, STEPS = 32, 40


def prepare(folder: Path) -> None:
    """Ten million records, each thousand of which are the same thousand pictures."""
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        rng = np.random.default_rng(0)
        for at in range(EACH):
            ramp = np.linspace(rng.uniform(0, 90, 3), rng.uniform(160, 255, 3), 256)
            noise = rng.normal(0, 12, (256, 256, 3))
            write_image(photos / "x" / f"{at:04d}.jpg", np.clip(ramp[:, None] + noise, 0, 255).astype(np.uint8))
        (photos / "y").mkdir()
        convert(photos, "shards", Path(place) / "one", shard_mb=10_000)
        one = read_columns(Path(place) / "one" / "index.safetensors")
        folder.mkdir(parents=True)
        for split, count in SHARDS.items():
            for at in range(count):
                os.link(_source(folder, Path(place) / "one" / "train-000000.tar"), folder / shard_name(split, at))
        (folder / "ledger.jsonl").write_bytes(b"")
    facts = {**one.facts, "classes": [f"class {at}" for at in range(CLASSES)], "splits": list(SHARDS.items())}
    write_columns(folder / "index.safetensors", facts, _repeated({name: one.mapped(name) for name in one.places}))


def _source(folder: Path, tar: Path) -> Path:
    """The shard that all names are links to, on the same disk."""
    place = folder / "source"
    if not place.exists():
        place.write_bytes(tar.read_bytes())
    return place


def _repeated(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns again and again; labels and names are each sample's own."""
    times = sum(SHARDS.values())
    found = {
        name: np.tile(array, (times,) + (1,) * (array.ndim - 1))
        for name, array in arrays.items()
        if name not in ("names", "name_end", "label")
    }
    rows = np.arange(times * EACH)
    names = np.char.add(
        np.char.add(np.char.zfill((rows % CLASSES).astype("S4"), 4), b"/"), np.char.zfill(rows.astype("S12"), 12)
    )
    names = np.char.add(names, b".jpg")
    width = names.dtype.itemsize
    ends = np.arange(1, len(rows) + 1, dtype=np.uint64) * np.uint64(width)
    return found | {"names": names.view(np.uint8), "name_end": ends, "label": (rows % CLASSES).astype(np.int32)}


def timed(what: str, call: Callable[[], object]) -> object:
    start = time.perf_counter()
    found = call()
    print(f"{what:<44} {time.perf_counter() - start:6.2f} s   {peak():6.0f} MB at most so far", flush=True)
    return found


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def opened(folder: Path) -> Dataset:
    print(f"{'python, torch and pellucid':<44} {'':6}     {peak():6.0f} MB")
    dataset = timed("open_dataset", lambda: open_dataset(folder))
    assert isinstance(dataset, Dataset)
    return dataset


def open_index(folder: Path) -> None:
    """The figures of the issue: opening, memory, first batch."""
    dataset = opened(folder)
    count = sum(map(len, dataset.splits.values()))
    size = (folder / "index.safetensors").stat().st_size
    print(f"{count:,} records, {size / count:.1f} bytes each in the index")
    timed("digest", dataset.digest)
    decoded = timed("decode, beyond the cap", lambda: decode(dataset, "train", PREPROCESS, dataset.digests(), cap=0))
    loader = Loader(decoded, find("TASKS", "classify")(dataset.classes), BATCH)
    batch = timed(f"the first batch of {BATCH} at 224x224", lambda: loader.at(0))
    assert batch.images.shape == (BATCH, 3, 224, 224)
    timed("the second", lambda: loader.at(1))


def pass_over(folder: Path) -> None:
    """The passes over all records that a training run makes."""
    dataset = opened(folder)
    task = find("TASKS", "classify")(dataset.classes)
    timed("labels counted", lambda: task.totals(dataset.split("train"), np.zeros((0, 0), np.int64)))


def read(photos: Path) -> None:
    """Images a second, read and decoded: from files, and from shards of the same."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        counts = convert(photos, "shards", Path(place) / "shards").counts
        print(f"converted: {sum(counts.values()) / (time.perf_counter() - start):,.0f} images/s")
        sets = {
            "files": open_dataset(photos, val=0, test=0),
            "shards": open_dataset(Path(place) / "shards", val=0, test=0),
        }
        size = sum(path.stat().st_size for path in (Path(place) / "shards").glob("*.tar"))
        print(f"shards: {size / sum(counts.values()):,.0f} bytes an image")
        for name, dataset in sets.items():
            records = dataset.split("train")[:2000]
            for what, call in (("bytes", dataset.encoded), ("pixels", dataset.image)):
                seconds = best(functools.partial(_all, call, records))
                print(f"{name} {what}: {len(records) / seconds:,.0f} images/s")
        decoded = decode(sets["shards"], "train", PREPROCESS, {}, cap=0)
        loader = Loader(decoded, find("TASKS", "classify")(sets["shards"].classes), len(decoded.records))
        seconds = best(functools.partial(loader.at, 1))
        print(f"shards, batches of network pixels, {usable_cores()} cores: {loader.batch / seconds:,.0f} images/s")
        loader.batch = FED
        seconds = best(functools.partial(loader.at, 1))
        print(
            f"batches of {FED} beside a device that computes as long: {waiting(loader, seconds):.0%} of it is waiting"
        )


def waiting(loader: Loader, seconds: float) -> float:
    """The share of a training on another device, here a sleep of so many seconds a step, that waits for batches."""
    waited = 0.0
    with ReadAhead(loader) as batches:
        for step in range(STEPS):
            start = time.perf_counter()
            batches.at(step)
            waited += time.perf_counter() - start if step else 0.0  # nobody can read the first one ahead
            time.sleep(seconds)
    return waited / (waited + (STEPS - 1) * seconds)


def _all(call: Callable[[Record], object], records: Sequence[Record]) -> None:
    for record in records:
        call(record)


def best(call: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    print(header())
    {"prepare": prepare, "open": open_index, "pass": pass_over, "read": read}[sys.argv[1]](Path(sys.argv[2]))
