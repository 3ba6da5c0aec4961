"""Files are whole or absent, whatever happens while they are written."""

import hashlib
import json
import math
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import PellucidError
from pellucid.files import atomic_path, cache_folder, canonical_json, sha256_file, sha256_text, write_atomic


def python(code: str, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_takes_the_name_at_the_end(tmp_path):
    path = tmp_path / "new" / "deep" / "file.txt"
    with atomic_path(path) as draft:
        draft.write_text("new")
        assert not path.exists()
        assert draft.parent == path.parent
    assert path.read_text() == "new"
    assert names(path.parent) == ["file.txt"]


def test_text_and_bytes(tmp_path):
    write_atomic(tmp_path / "text", "naïve ✓")
    write_atomic(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == "naïve ✓".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), PellucidError("b")])
def test_an_exception_leaves_the_old_file_and_goes_on(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with atomic_path(path) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from pellucid.files import atomic_path
with atomic_path(Path(sys.argv[1])) as draft:
    draft.write_bytes(b"x" * 100_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    assert python(KILLED, path).returncode == -9
    assert path.read_text() == "old"
    write_atomic(path, "new")  # what the killed one left behind is in nobody's way
    assert path.read_text() == "new"


FULL = """
import resource, signal, sys
from pathlib import Path
from pellucid.errors import PellucidError
from pellucid.files import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_atomic(Path(sys.argv[1]), b"x" * 100_000)
except PellucidError as error:
    print(error)
"""


def test_no_room_for_the_file_is_told_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    told = python(FULL, path).stdout
    assert told.startswith(f"Cannot write {path}: File too large.")
    assert "unharmed" in told
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("number", "cure"), [(28, "Free some space"), (122, "Free some space"), (30, "you may write to")]
)
def test_a_failure_of_the_disk_names_the_cure(tmp_path, number, cure):
    with pytest.raises(PellucidError, match=cure) as caught, atomic_path(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError)


FORBIDDEN = """
import os, sys
from pathlib import Path
from pellucid.errors import PellucidError
from pellucid.files import write_atomic
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
try:
    write_atomic(Path("file"), "new")
except PellucidError as error:
    print(error)
"""


def test_a_folder_one_may_not_write_to(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "file").write_text("old")
    locked.chmod(0o555)
    told = python(FORBIDDEN, locked).stdout
    locked.chmod(0o755)
    assert told.startswith("Cannot write file: Permission denied. Choose a folder you may write to.")
    assert (locked / "file").read_text() == "old"


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PellucidError, match=r"Cannot write .*below: "):
        write_atomic(tmp_path / "file" / "below", "new")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_file_may_be_read_by_whom_the_mask_says(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "file") as draft:
            draft.unlink()
            draft.touch(mode=0o600)  # as some writers do
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_two_threads_that_write_one_file_leave_one_of_the_two(tmp_path):
    path, barrier = tmp_path / "file", threading.Barrier(2)

    def write(letter: str) -> None:
        with atomic_path(path) as draft, draft.open("w") as file:
            for _ in range(50):
                barrier.wait(20)
                file.write(letter)
                file.flush()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 50, "b" * 50)
    assert names(tmp_path) == ["file"]


def test_digests(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 1000)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert sha256_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_canonical_json_reads_back_and_is_one_ascii_line(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert len(text.splitlines()) == 1


def test_canonical_json_does_not_depend_on_order():
    assert canonical_json({"b": 1, "a": (2, 3)}) == canonical_json({"a": [2, 3], "b": 1}) == '{"a":[2,3],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(math.nan)


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("PELLUCID_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder().name == "pellucid"
    assert cache_folder() != Path()
