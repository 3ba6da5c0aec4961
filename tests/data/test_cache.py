"""Cached pixels are the pixels; an entry is whole or absent; what cannot be read is refused and moves nothing."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data import cache
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.data.pixels import FreshPixels, StoredPixels
from pellucid.errors import DataError, PellucidError
from pellucid.preprocess import Preprocess
from tests.drawn import make_image_folder

PREPROCESS = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
ENTRY = 36 * 8 * 8 * 3


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixels"


def decoded(folder, preprocess=PREPROCESS, **options):
    dataset = open_dataset(folder, val=0, test=0)
    return decode(dataset, "train", preprocess, dataset.digests(), **options)


def every(found) -> np.ndarray:
    return found.pixels.take(range(len(found.records)))


def entries(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


def refuse_decoding(monkeypatch) -> None:
    def fail(*_arguments):
        raise AssertionError("decoded again")

    monkeypatch.setattr(cache, "_developed", fail)


def test_cached_and_fresh_pixels_are_the_same(image_folder):
    stored, fresh = decoded(image_folder), decoded(image_folder, cap=0)
    assert isinstance(stored.pixels, StoredPixels)
    assert isinstance(fresh.pixels, FreshPixels)
    assert fresh.cached is None
    assert np.array_equal(every(stored), every(fresh))
    dataset = open_dataset(image_folder, val=0, test=0)
    for place in (0, 17, 35):
        expected = PREPROCESS.pixels(dataset.image(stored.records[place]).pixels)
        assert np.array_equal(stored.pixels.take([place])[0], expected)
        assert np.array_equal(fresh.pixels.take([place, 3])[0], expected)
    assert stored.records == fresh.records == dataset.split("train")
    assert np.array_equal(stored.sizes, np.full((36, 2), 32))
    assert stored.frames([5]) == [PREPROCESS.frame(32, 32)]


def test_a_second_time_nothing_is_decoded_and_the_file_is_mapped(image_folder, monkeypatch):
    first = decoded(image_folder)
    refuse_decoding(monkeypatch)
    again = decoded(image_folder)
    assert isinstance(again.pixels.array, np.memmap)
    assert not again.pixels.array.flags.writeable
    assert again.cached == first.cached
    taken = again.pixels.take([2, 2, 1])
    assert taken.flags.writeable  # a copy: nothing done to a batch reaches the disk
    taken[:] = 0
    assert np.array_equal(every(again), every(first))


def test_only_what_changes_pixels_is_in_the_name(image_folder, home):
    decoded(image_folder)
    decoded(image_folder, Preprocess((8, 8), "stretch", 3, (0.1,) * 3, (0.5,) * 3))
    assert len(entries(home)) == 1
    for change in (((8, 9), "stretch", 3), ((8, 8), "letterbox", 3), ((8, 8), "stretch", 1)):
        decoded(image_folder, Preprocess(*change, (0.5,) * change[2], (0.25,) * change[2]))
    assert len(entries(home)) == 4


def test_changed_bytes_of_the_same_size_and_time_are_another_entry(image_folder, home):
    victim = image_folder / "bars" / "003.png"
    before, facts = every(decoded(image_folder)), victim.stat()
    Image.fromarray(np.full((32, 32, 3), 77, np.uint8)).save(victim)
    victim.write_bytes(victim.read_bytes().ljust(facts.st_size, b"\0"))
    os.utime(victim, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (victim.stat().st_size, victim.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    after = every(decoded(image_folder))
    assert (after[3] == 77).all()
    assert np.array_equal(np.delete(after, 3, 0), np.delete(before, 3, 0))
    assert len(entries(home)) == 2


@pytest.mark.parametrize("cap", [None, 0])
def test_broken_images_are_refused_and_the_others_keep_their_labels(image_folder, cap):
    (image_folder / "bars" / "000.png").write_bytes(b"no image")
    (image_folder / "columns" / "011.png").write_bytes((image_folder / "columns" / "011.png").read_bytes()[:90])
    for _ in range(2):  # built, and read again
        found = decoded(image_folder, cap=cap)
        names = [refusal.file for refusal in found.refused]
        assert names == ["bars/000.png", "columns/011.png"]
        assert all(refusal.reason and refusal.cure for refusal in found.refused)
        assert len(found.records) == len(found.sizes) == 34
        assert not set(names) & {record.name for record in found.records}
        dataset = open_dataset(image_folder, val=0, test=0)
        for place, pixels in zip((0, 10, 22, 33), found.pixels.take([0, 10, 22, 33]), strict=True):
            record = found.records[place]
            assert np.array_equal(pixels, PREPROCESS.pixels(dataset.image(record).pixels))
            assert dataset.classes[record.label] == record.path.parent.name


def test_notes_are_kept(image_folder):
    Image.fromarray(np.full((32, 32), 900, np.uint16)).save(image_folder / "bars" / "000.png")
    for _ in range(2):
        assert [(note.file, "reduced" in note.text) for note in decoded(image_folder).notes] == [("bars/000.png", True)]


def test_larger_than_the_cap_is_decoded_each_time(image_folder, home):
    assert decoded(image_folder, cap=ENTRY - 1).cached is None
    assert not home.exists() or not entries(home)
    assert decoded(image_folder, cap=ENTRY).cached is not None


def test_the_entry_unused_for_longest_is_evicted(tmp_path, home):
    folders = [make_image_folder(tmp_path / str(seed), seed=seed) for seed in range(3)]
    names = []
    for age, folder in zip((300, 200), folders, strict=False):
        names.append(decoded(folder).cached.name)
        os.utime(home / names[-1], times=(time.time() - age,) * 2)
    decoded(folders[0])  # used again, so now the newer one
    names.append(decoded(folders[2], cap=2 * ENTRY + 3000).cached.name)
    assert entries(home) == {names[0], names[2]}


def test_an_entry_in_use_can_be_evicted(tmp_path):
    first = decoded(make_image_folder(tmp_path / "0"))
    expected = every(first)
    decoded(make_image_folder(tmp_path / "1", seed=1), cap=ENTRY)
    assert not first.cached.exists()
    assert np.array_equal(every(first), expected)


def test_drafts_of_others_are_left_alone_until_they_are_old(tmp_path, home):
    young, old = home / ".a.1.2.new", home / ".b.1.2.new"
    for draft in (young, old):
        draft.mkdir(parents=True)
        (draft / "images.bin").write_bytes(b"x" * 10 * ENTRY)
    for path in (old, old / "images.bin", young):
        os.utime(path, times=(time.time() - 90_000,) * 2)
    found = decoded(make_image_folder(tmp_path / "0"), cap=ENTRY + 3000)
    assert entries(home) == {young.name, found.cached.name}


class Killed(BaseException):
    pass


def test_nothing_half_written_is_left_or_believed(image_folder, home, monkeypatch):
    image = type(open_dataset(image_folder)).image
    left = iter(range(20))

    def dying(dataset, record):
        if next(left, None) is None:
            raise Killed
        return image(dataset, record)

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.data.dataset.Dataset.image", dying)
        with pytest.raises(Killed):
            decoded(image_folder)
    assert not entries(home)
    assert len(decoded(image_folder).records) == 36


@pytest.mark.parametrize("damage", ["images.bin", "facts.json", "cut", "both"])
def test_an_entry_that_lost_a_part_is_built_again(image_folder, damage):
    """As cleaners of temporary folders and killed evictions leave it."""
    found = decoded(image_folder)
    expected, entry = every(found), found.cached
    if damage == "cut":
        (entry / "images.bin").write_bytes((entry / "images.bin").read_bytes()[:-1])
    elif damage == "both":
        shutil.rmtree(entry)
        entry.mkdir()
    else:
        (entry / damage).unlink()
    again = decoded(image_folder)
    assert again.cached == entry
    assert np.array_equal(every(again), expected)
    assert entries(entry.parent) == {entry.name}


BUILDER = """
import sys, time
from pathlib import Path
from pellucid.data import cache
from pellucid.data.dataset import open_dataset
from pellucid.preprocess import Preprocess

folder, log, slow = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
build, developed = cache._build, cache._developed

def told(*arguments):
    with log.open("a") as handle:
        handle.write("build\\n")
    build(*arguments)

def slowly(*arguments):
    for at, view in enumerate(developed(*arguments)):
        time.sleep(slow if at else 0)
        yield view

cache._build, cache._developed = told, slowly
dataset = open_dataset(folder, val=0, test=0)
preprocess = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
found = cache.decode(dataset, "train", preprocess, dataset.digests())
print(int(found.pixels.take(range(36)).sum()))
"""


def builder(folder: Path, log: Path, slow: float) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILDER, str(folder), str(log), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_of_several_processes_one_builds_and_all_read(image_folder, home, tmp_path):
    log = tmp_path / "log"
    many = [builder(image_folder, log, 0.02) for _ in range(3)]
    said = [one.communicate(timeout=120)[0] for one in many]
    assert log.read_text() == "build\n"
    assert len(entries(home)) == 1
    assert {int(text) for text in said} == {int(every(decoded(image_folder, cap=0)).sum())}


def test_another_goes_on_where_a_builder_was_killed(image_folder, home, tmp_path):
    """The killed one leaves a draft that nobody takes for an entry, and who waited for it builds."""
    logs = tmp_path / "a", tmp_path / "b"
    first = builder(image_folder, logs[0], 60)
    until(lambda: logs[0].is_file() and any(name.endswith(".new") for name in entries(home)))
    second = builder(image_folder, logs[1], 0)
    until(lambda: waits(second.pid))
    assert not logs[1].exists()
    first.kill()
    first.communicate()
    assert int(second.communicate(timeout=60)[0]) == int(every(decoded(image_folder, cap=0)).sum())
    assert logs[1].read_text() == "build\n"
    assert sorted(name.rpartition(".")[2] for name in entries(home) if name.startswith(".")) == ["new"]
    assert every(decoded(image_folder)).shape == (36, 8, 8, 3)


def waits(pid: int) -> bool:
    """Whether a process waits for a lock on a file, as Linux says it."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_builders_that_cannot_lock_do_no_harm(image_folder, home, monkeypatch):
    """Both begin before either is done; both get whole pixels, and one entry stays."""
    build, barrier, found, errors = cache._build, threading.Barrier(2), [], []

    def together(*arguments):
        barrier.wait(20)
        build(*arguments)

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(cache, "_build", together)
    monkeypatch.setattr(fcntl, "flock", refuse)

    def work():
        try:
            found.append(every(decoded(image_folder)))
        except (PellucidError, OSError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert np.array_equal(found[0], found[1])
    assert len(entries(home)) == 1
    monkeypatch.undo()
    fresh = every(decoded(image_folder, cap=0))
    assert np.array_equal(found[0], fresh)


def test_a_slower_builder_takes_the_entry_of_the_faster(image_folder, monkeypatch):
    """The other's rename comes between the look and one's own."""
    place = cache._place

    def late(draft, entry):
        shutil.copytree(draft, entry)
        place(draft, entry)

    monkeypatch.setattr(cache, "_place", late)
    assert len(decoded(image_folder).records) == 36


def test_a_place_that_cannot_be_written_is_named_with_a_way_out(image_folder, tmp_path, home):
    (tmp_path / "cache").mkdir()
    home.write_text("a file")
    with pytest.raises(PellucidError, match=r"Cannot keep decoded images in .*--cache-gb 0"):
        decoded(image_folder, cap=10**9)


def test_a_photo_that_is_damaged_during_training_is_named(image_folder):
    found = decoded(image_folder, cap=0)
    (image_folder / "bars" / "002.png").write_bytes(b"gone bad")
    with pytest.raises(DataError, match=r"bars/002\.png could be read before"):
        found.pixels.take([1, 2])


def test_facts_are_plain_json(image_folder):
    facts = json.loads((decoded(image_folder).cached / "facts.json").read_text())
    assert facts == {
        "kept": list(range(36)),
        "sizes": [[32, 32]] * 36,
        "marks": [[]] * 36,
        "refused": [],
        "notes": [],
        "length": {"images": ENTRY, "masks": 0},
    }
