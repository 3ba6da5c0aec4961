"""Shards behind a URL: read in parts, tried again, refused with a place; nothing is asked without a URL."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import numpy as np
import pytest

from pellucid.data import remote
from pellucid.data.cache import decode
from pellucid.data.check import check
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.shards import ShardsFormat
from pellucid.errors import DataError, OfflineError, UsageError
from pellucid.preprocess import Preprocess
from tests.drawn import make_image_folder, make_mask_folder

PREPROCESS = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)


@dataclass
class Served:
    """What a server was asked, and how it answers: with statuses that come first, and with ranges or not."""

    url: str
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers stop


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with ranges, which the standard library's own server does not know."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.served.asked.append((self.path.rpartition("/")[2], wanted))
        if self.served.statuses:
            return self.send_error(self.served.statuses.pop(0))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        raw = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        if found and self.served.ranges:
            first, last = int(found[1]), min(int(found[2]), len(raw) - 1)
            if first >= len(raw):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(raw)}")
            raw = raw[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: self.served.cuts.pop(0)] if self.served.cuts else raw)
        self.close_connection = True
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def here(tmp_path, monkeypatch) -> Dataset:
    """Shards on this machine, a cache of this test's own, and no waiting between attempts."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0)
    folder = make_image_folder(tmp_path / "photos", splits={"train": 6, "val": 2})
    (folder / "train" / "bars" / "notes.md").write_text("x")
    ShardsFormat(20_000).write(open_dataset(folder, val=0, test=0), tmp_path / "shards")
    return open_dataset(tmp_path / "shards", val=0, test=0)


@pytest.fixture
def served(here) -> Iterator[Served]:
    handler = functools.partial(type("Own", (Handler,), {}), directory=str(here.root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.func.served = Served(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler.func.served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_set_behind_http_is_the_set(here, served):
    there = open_dataset(served.url, val=0, test=0)
    assert there.digest() == here.digest()
    assert there.ledger == here.ledger
    assert {name for name, _ in served.asked} == {"index.safetensors", "ledger.jsonl"}
    served.asked.clear()
    record = there.splits["train"][7]
    assert record == here.splits["train"][7]
    assert np.array_equal(there.image(record).pixels, here.image(record).pixels)
    span = record.span
    assert served.asked == [(span.file, f"bytes={span.start}-{span.start + span.size - 1}")]
    assert check(there).to_json()["counts"] == check(here).to_json()["counts"]
    found = decode(there, "val", PREPROCESS, there.digests(), cap=0)
    wanted = decode(here, "val", PREPROCESS, here.digests(), cap=0)
    assert np.array_equal(found.pixels.take(range(6)), wanted.pixels.take(range(6)))


def test_the_index_is_kept_until_it_changes(here, served, tmp_path):
    open_dataset(served.url)
    served.asked.clear()
    assert open_dataset(served.url + "/").digest()
    assert [name for name, _ in served.asked] == ["index.safetensors"] * 2  # its length and its header
    folder = make_mask_folder(tmp_path / "masks", {"train": 3, "val": 1})
    for path in here.root.iterdir():
        path.unlink()
    ShardsFormat().write(open_dataset(folder, val=0, test=0), here.root)
    assert open_dataset(served.url).task == "segment"


def test_masks_come_from_there_too(served, here, tmp_path):
    for path in here.root.iterdir():
        path.unlink()
    before = open_dataset(make_mask_folder(tmp_path / "masks", {"train": 3}), val=0, test=0)
    ShardsFormat().write(before, here.root)
    there = open_dataset(served.url, val=0, test=0)
    for old, new in zip(before.splits["train"], there.splits["train"], strict=True):
        assert np.array_equal(old.label.read(before.root, (32, 32)), new.label.read(there.root, (32, 32)))


def test_what_fails_for_a_while_is_asked_again(served):
    served.statuses += [503, 500, 429]
    there = open_dataset(served.url)
    served.statuses += [502] * 2
    served.cuts += [100, 0]  # connections that break
    assert there.image(there.splits["train"][0]).pixels.shape == (32, 32, 3)
    assert not served.cuts


def test_what_goes_on_failing_is_an_error_that_names_it(served):
    there = open_dataset(served.url)
    record = there.splits["train"][0]
    served.statuses += [503] * 5
    with pytest.raises(
        OfflineError, match=rf"Cannot read {served.url}/train-000000.tar after 5 attempts: 503.*Run again"
    ):
        there.image(record)
    served.statuses += [403]
    with pytest.raises(OfflineError, match=r"Cannot read \S+/train-000000.tar: 403"):
        there.image(record)
    assert not served.statuses
    with pytest.raises(DataError, match=rf"There is no {served.url}/gone/index.safetensors. Look whether"):
        open_dataset(f"{served.url}/gone")


def test_a_server_that_cannot_be_reached_is_named(here):
    with pytest.raises(OfflineError, match=r"Cannot read http://127.0.0.1:9/index.safetensors after 5 attempts"):
        open_dataset("http://127.0.0.1:9")


def test_a_server_without_ranges_is_named(served):
    there = open_dataset(served.url)
    served.ranges = False
    with pytest.raises(
        DataError, match=r"sent [\d,]+ bytes where [\d,]+ were asked for: it does not answer range requ"
    ):
        there.image(there.splits["train"][0])


def test_altered_and_cut_shards_are_named_with_their_url(here, served):
    there = open_dataset(served.url, val=0, test=0)
    first, last = there.splits["train"][0], there.splits["train"][-1]
    raw = bytearray((here.root / first.span.file).read_bytes())
    raw[first.span.start + 9] ^= 1
    (here.root / first.span.file).write_bytes(raw)
    said = (
        rf"{served.url}/{first.span.file} is altered: the [\d,]+ bytes from offset {first.span.start:,} on have the SHA"
    )
    with pytest.raises(DataError, match=said):
        there.image(first)
    with pytest.raises(DataError, match=rf"{served.url}/{first.span.file} is altered: it has the SHA-256"):
        check(there)
    cut = (here.root / last.span.file).read_bytes()[: last.span.start + 7]
    (here.root / last.span.file).write_bytes(cut)
    with pytest.raises(DataError, match=rf"{last.span.file} is cut short: 7 bytes from offset {last.span.start:,} on"):
        there.image(last)


def test_an_object_store_is_read_through_fsspec(here):
    """fsspec's store in memory stands for those of clouds: the same calls, and no network."""
    store = fsspec.filesystem("memory")
    for path in here.root.iterdir():
        store.pipe_file(f"/bucket/set/{path.name}", path.read_bytes())
    try:
        there = open_dataset("memory://bucket/set", val=0, test=0)
        assert list(there.splits["val"]) == list(here.splits["val"])
        assert check(there).ok == check(here).ok
    finally:
        store.rm("/bucket", recursive=True)


def test_what_is_no_index_and_what_is_no_store(here, tmp_path):
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "index.safetensors").write_bytes(b"<html>" * 40)
    with pytest.raises(
        DataError, match=r"junk/index.safetensors is no index of shards: it would have .* bytes. Give the"
    ):
        open_dataset(f"file://{tmp_path}/junk")
    with pytest.raises(
        UsageError, match=r"nothing://x/index.safetensors cannot be opened: .*pip install 'pellucid\[remote\]'"
    ):
        open_dataset("nothing://x")


def test_a_folder_that_names_a_url_is_not_believed(here):
    """Only what this program put into its cache leads anywhere."""
    (here.root / "origin.txt").write_text("http://127.0.0.1:9")
    again = open_dataset(here.root)
    assert remote.origin_of(here.root) is None
    assert again.image(again.splits["train"][0]).pixels.shape == (32, 32, 3)
