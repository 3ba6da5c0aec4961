import gzip
import hashlib
import io
import struct
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pellucid.data import fetch as fetching
from pellucid.data.dataset import open_dataset
from pellucid.data.fetch import SETS, NamedSet, fetch, fetch_set
from pellucid.errors import DataError, OfflineError

CONTENT = np.random.default_rng(0).bytes(1_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Files by name on the loopback address, with the headers that were asked for and connections that can be cut."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str | None] = []
        self.cut_after: list[int] = []  # bytes after which the next answers stop
        self.ranges = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        content = self.files.get(request.path.removeprefix("/"))
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if wanted and self.ranges and start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if wanted and self.ranges else 200)
        if wanted and self.ranges:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        most = self.cut_after.pop(0) if self.cut_after else len(content)
        request.wfile.write(content[start : start + most])
        request.wfile.flush()
        request.close_connection = True


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    running = Server()
    running.files["a.bin"] = CONTENT
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_a_fresh_file_is_fetched_once(server, tmp_path, capfd):
    path = fetch(server.url + "a.bin", DIGEST, "some/a.bin")
    assert path == tmp_path / "cache" / "sets" / "some" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(server.url + "a.bin", DIGEST, "some/a.bin") == path
    assert server.asked == [None]
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sha256", [DIGEST[:8], DIGEST[:8].upper(), DIGEST])
def test_the_first_digits_of_the_digest_suffice(server, sha256):
    assert fetch(server.url + "a.bin", sha256, "a.bin").read_bytes() == CONTENT


def test_a_cut_download_goes_on_where_it_stopped(server):
    server.cut_after = [300_000, 200_000]
    assert fetch(server.url + "a.bin", DIGEST, "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_too(server):
    server.cut_after = [100_000] * 5
    with pytest.raises(OfflineError, match="go on where it stopped"):
        fetch(server.url + "a.bin", DIGEST, "a.bin")
    assert fetch(server.url + "a.bin", DIGEST, "a.bin").read_bytes() == CONTENT
    assert server.asked[5] == "bytes=500000-"


def test_a_server_without_ranges_sends_all_of_it_again(server):
    server.ranges = False
    server.cut_after = [300_000]
    assert fetch(server.url + "a.bin", DIGEST, "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize("stale", [CONTENT, CONTENT + b"more", b"x" * 500])
def test_what_is_left_of_another_download_does_no_harm(server, tmp_path, stale):
    part = tmp_path / "cache" / "sets" / "a.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(stale)
    if stale.startswith(b"x"):
        with pytest.raises(DataError, match="thrown away"):
            fetch(server.url + "a.bin", DIGEST, "a.bin")
    assert fetch(server.url + "a.bin", DIGEST, "a.bin").read_bytes() == CONTENT


def test_other_bytes_are_refused_and_not_kept(server, tmp_path):
    server.files["a.bin"] = b"something else"
    with pytest.raises(DataError, match=rf"sent a file with SHA-256 \w+…, expected {DIGEST}") as caught:
        fetch(server.url + "a.bin", DIGEST, "a.bin")
    assert not isinstance(caught.value, OfflineError)
    assert list((tmp_path / "cache" / "sets").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_anew(server):
    path = fetch(server.url + "a.bin", DIGEST, "a.bin")
    path.write_bytes(CONTENT[:-1] + b"x")
    assert fetch(server.url + "a.bin", DIGEST, "a.bin").read_bytes() == CONTENT


def test_without_a_network_the_message_says_what_goes_where(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    with pytest.raises(OfflineError) as caught:
        fetch("http://127.0.0.1:9/a.bin", DIGEST, "weights/a.bin")
    assert str(caught.value).startswith("Cannot fetch a.bin from http://127.0.0.1:9/a.bin: ")
    assert f"put it into {tmp_path / 'sets' / 'weights'} (its SHA-256 begins with {DIGEST[:16]})" in str(caught.value)


def test_a_file_that_does_not_exist_is_an_offline_error(server):
    with pytest.raises(OfflineError, match="404"):
        fetch(server.url + "absent.bin", DIGEST, "absent.bin")
    assert len(server.asked) == 1


def test_a_file_put_there_by_hand_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "a.bin").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/a.bin", DIGEST, "a.bin").read_bytes() == CONTENT


def test_progress_is_shown_on_a_terminal_only(server, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch(server.url + "a.bin", DIGEST, "a.bin")
    assert "a.bin" in terminal.getvalue()


# Named sets


def test_named_sets_are_whole_and_encrypted_or_digested():
    assert set(SETS) == {"mnist", "fashion-mnist", "cifar10"}
    for named in SETS.values():
        assert named.url.endswith("/")
        assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for _, digest in named.files)


def serve_set(server: Server, monkeypatch, name: str, files: dict[str, bytes], folder: str | None = None) -> None:
    server.files |= files
    digests = tuple((file, hashlib.sha256(content).hexdigest()) for file, content in files.items())
    monkeypatch.setitem(fetching.SETS, name, NamedSet(server.url, digests, folder))


def idx(values: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return gzip.compress(head + values.tobytes())


def test_a_named_set_of_idx_files_opens(server, monkeypatch):
    images, labels = np.zeros((30, 28, 28), np.uint8), np.arange(30, dtype=np.uint8) % 10
    content = {}
    for stem in ("train", "t10k"):
        content[f"{stem}-images-idx3-ubyte.gz"] = idx(images)
        content[f"{stem}-labels-idx1-ubyte.gz"] = idx(labels)
    serve_set(server, monkeypatch, "mnist", content)
    dataset = open_dataset("mnist")
    assert dataset.format == "idx"
    assert len(dataset.splits["test"]) == 30
    assert open_dataset("mnist").digest() == dataset.digest()
    assert len(server.asked) == 4


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_an_archive_is_unpacked_once(server, monkeypatch):
    inside = {"data_batch_1.bin": bytes(3073 * 20), "test_batch.bin": bytes(3073 * 2)}
    packed = archive({f"cifar-10-batches-bin/{name}": content for name, content in inside.items()})
    serve_set(server, monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": packed}, "cifar-10-batches-bin")
    folder = fetch_set("cifar10")
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(inside)
    assert fetch_set("cifar10") == folder
    assert len(server.asked) == 1
    assert open_dataset("cifar10").format == "cifar"


@pytest.mark.parametrize("name", ["../../evil.bin", "/tmp/evil.bin"])
def test_an_archive_cannot_write_elsewhere(server, monkeypatch, tmp_path, name):
    packed = archive({name: b"x"})
    serve_set(server, monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": packed}, "cifar-10-batches-bin")
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch_set("cifar10")
    assert not Path("/tmp/evil.bin").exists()
    assert not list(tmp_path.rglob("evil.bin"))


def test_a_folder_here_comes_before_a_named_set(tmp_path, monkeypatch, make_image_folder):
    make_image_folder(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    assert open_dataset("mnist").format == "folder"
