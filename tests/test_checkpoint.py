"""Model files: what was written is what is read, and a changed byte anywhere is found and named."""

import json
import struct

import numpy as np
import pytest
import torch

from pellucid.checkpoint import Manifest, load_model, load_tensors, read_facts, save_model, save_tensors
from pellucid.errors import ModelError, PellucidError, UsageError
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess

PREPROCESS = Preprocess((32, 32), "stretch", 3, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
MANIFEST = Manifest("classify", ("cat", "dog"), PREPROCESS, metrics={"test": {"top1": 0.5}}, data="ab", origin={"x": 1})


@pytest.fixture
def written(tmp_path):
    torch.manual_seed(0)
    model = build_model("net", 2)
    save_model(tmp_path / "model.safetensors", model, MANIFEST)
    return tmp_path / "model.safetensors", model


def test_round_trip(written):
    path, model = written
    read, manifest = load_model(path)
    assert manifest == MANIFEST
    assert dict(read.architecture) == dict(model.architecture)
    assert not read.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, read.state_dict()[name])


def test_two_saves_are_the_same_bytes(written, tmp_path):
    path, model = written
    save_model(tmp_path / "again.safetensors", model, MANIFEST)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_every_kind_of_tensor_survives(tmp_path):
    tensors = {
        "scalar": torch.tensor(3, dtype=torch.int64),
        "half": torch.randn(5).bfloat16(),
        "last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
    }
    save_tensors(tmp_path / "t.safetensors", tensors, {"kind": "test"})
    read, facts = load_tensors(tmp_path / "t.safetensors")
    assert facts["kind"] == "test"
    for name, value in tensors.items():
        assert torch.equal(value, read[name])
        assert value.dtype == read[name].dtype


def test_a_flipped_bit_anywhere_is_found(written):
    """A thousand places: the length field, the header, every tensor. A flip in a tensor names that tensor."""
    path, _ = written
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    places = {int(place) for place in np.random.default_rng(0).integers(header, len(whole), 700)}
    places |= set(range(8)) | {int(place) for place in np.random.default_rng(1).integers(8, header, 300)}
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(ModelError) as raised:
            load_model(path)
        if place >= header:
            assert _owner(whole, header, place) in str(raised.value)


def _owner(whole: bytes, header: int, place: int) -> str:
    for name, entry in json.loads(whole[8:header]).items():
        if name != "__metadata__" and entry["data_offsets"][0] <= place - header < entry["data_offsets"][1]:
            return name
    raise AssertionError(place)


def test_a_file_cut_short_is_refused(written):
    path, _ = written
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load_model(path)


def test_what_is_not_ours_is_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(UsageError, match=r"No file .*none\.safetensors"):
        load_model(tmp_path / "none.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelError, match=r"has no pellucid manifest.*pellucid import"):
        load_model(tmp_path / "foreign.safetensors")
    save_tensors(tmp_path / "checkpoint.safetensors", {"a": torch.ones(2)}, {"kind": "checkpoint"})
    with pytest.raises(ModelError, match="is a checkpoint, not a model"):
        load_model(tmp_path / "checkpoint.safetensors")


def test_a_file_of_a_later_version_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("pellucid.checkpoint.SCHEMA", 2)
    save_tensors(tmp_path / "later.safetensors", {}, {"kind": "model"})
    monkeypatch.setattr("pellucid.checkpoint.SCHEMA", 1)
    with pytest.raises(ModelError, match="was written by pellucid"):
        read_facts(tmp_path / "later.safetensors")


def test_weights_of_another_network_are_refused(written, tmp_path):
    _, model = written
    model.architecture = {"name": "resnet20", "classes": 2, "in_channels": 3}
    save_model(tmp_path / "odd.safetensors", model, MANIFEST)
    with pytest.raises(ModelError, match="does not fit the model 'resnet20'"):
        load_model(tmp_path / "odd.safetensors")


def test_a_failed_save_keeps_what_was_there(written, monkeypatch):
    path, model = written
    before = path.read_bytes()

    def full(*_words, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pellucid.checkpoint.save_file", full)
    with pytest.raises(PellucidError, match=r"No space left on device.*Free some space"):
        save_model(path, model, MANIFEST)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_others_may_read_the_file(written):
    path, _ = written
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
