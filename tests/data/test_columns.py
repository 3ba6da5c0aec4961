"""Columns come back as they were; a byte that is not as it was written is found."""

import json

import numpy as np
import pytest
import safetensors.numpy

from pellucid.data.columns import read_columns, write_columns
from pellucid.errors import DataError

ARRAYS = {
    "a": np.arange(12, dtype=np.int32).reshape(3, 4),
    "b": np.array([True, False]),
    "c": np.zeros((0, 4)),
    "d": np.arange(5, dtype=np.uint64)[::2],
    "e": np.frombuffer(b"names", np.uint8),
}
FACTS = {"task": "classify", "classes": ["é", "a\nb"]}


@pytest.fixture
def path(tmp_path):
    write_columns(tmp_path / "x.safetensors", FACTS, ARRAYS)
    return tmp_path / "x.safetensors"


def test_what_is_written_is_read_again(path):
    read = read_columns(path)
    assert read.facts == FACTS
    assert read.places.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        for found in (read.mapped(name), read.rows(name, 0, len(array))):
            assert found.dtype == array.dtype
            assert np.array_equal(found, array)
    assert np.array_equal(read.rows("a", 1, 2), ARRAYS["a"][1:2])
    assert np.array_equal(safetensors.numpy.load_file(path)["a"], ARRAYS["a"])  # anybody can read it
    with pytest.raises(ValueError, match="read-only"):
        read.mapped("a")[0, 0] = 1


def test_a_file_stays_what_it_was_when_another_takes_its_name(path):
    read = read_columns(path)
    write_columns(path, FACTS, {name: array[::-1] for name, array in ARRAYS.items()})
    for name, array in ARRAYS.items():
        assert np.array_equal(read.rows(name, 0, len(array)), array)
        assert np.array_equal(read.mapped(name), array)


def test_the_digest_is_that_of_all_that_is_in_it(path, tmp_path):
    first = read_columns(path).digest
    for at, (facts, arrays) in enumerate([(FACTS, {**ARRAYS, "b": ~ARRAYS["b"]}), ({**FACTS, "task": "x"}, ARRAYS)]):
        write_columns(tmp_path / f"{at}", facts, arrays)
        assert read_columns(tmp_path / f"{at}").digest != first
    write_columns(tmp_path / "same", FACTS, ARRAYS)
    assert (tmp_path / "same").read_bytes() == path.read_bytes()


def test_every_altered_byte_is_found(path):
    raw = path.read_bytes()
    header = 8 + int.from_bytes(raw[:8], "little")
    for place in range(header, len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(DataError, match=r"its column '[abde]' has the SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}"):
            read_columns(path)


def test_a_file_of_another_length_is_refused(path):
    raw = path.read_bytes()
    for other in (raw[:-1], raw + b"\0"):
        path.write_bytes(other)
        with pytest.raises(DataError, match=rf"cut short or altered: {len(other)} bytes, expected {len(raw)}. Copy it"):
            read_columns(path)


@pytest.mark.parametrize(
    "raw", [b"", b"\1", b"\xff" * 20, b"\2\0\0\0\0\0\0\0{}", b"\3\0\0\0\0\0\0\0[1]", b"<html>" * 9]
)
def test_what_is_no_such_file_is_refused(tmp_path, raw):
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(DataError, match=r"x cannot be read: its header is damaged"):
        read_columns(tmp_path / "x")


def test_a_shape_that_does_not_fit_is_refused(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header["a"]["shape"] = [3, 5]
    said = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    path.write_bytes(len(said).to_bytes(8, "little") + said + raw[8 + length :])
    with pytest.raises(DataError, match=r"its header is damaged \(a has 48 bytes\)"):
        read_columns(path)
