"""Reading foreign files safely and fitting them strictly."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pellucid.errors import ModelError
from pellucid.models.base import AbstractClassifier, build_model
from pellucid.models.weights import PUBLISHED, fit_weights, inherit_weights, read_weights


def saved(path, thing):
    torch.save(thing, path)
    return path


@pytest.fixture
def state():
    torch.manual_seed(3)
    return build_model("net", 10).state_dict()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".PTH"])
@pytest.mark.parametrize("old_format", [False, True])
def test_a_state_dict_is_read(tmp_path, state, suffix, old_format):
    path = tmp_path / f"net{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=not old_format)
    found = read_weights(path)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_safetensors_are_read(tmp_path, state):
    save_file(state, tmp_path / "net.safetensors")
    assert read_weights(tmp_path / "net.safetensors").keys() == state.keys()


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_nested_state_dict_is_found(tmp_path, state, key):
    path = saved(tmp_path / "net.pt", {"epoch": 3, "best": 0.9, key: OrderedDict(state)})
    assert read_weights(path).keys() == state.keys()


def test_prefixes_of_wrappers_are_cut(tmp_path, state):
    wrapped = {f"module.model._orig_mod.{name}": value for name, value in state.items()}
    path = saved(tmp_path / "net.pt", {"model": {"state_dict": wrapped}})
    assert read_weights(path).keys() == state.keys()


def test_a_prefix_that_only_some_names_have_stays(tmp_path):
    path = saved(tmp_path / "net.pt", {"model.a": torch.zeros(1), "b": torch.zeros(1)})
    assert set(read_weights(path)) == {"model.a", "b"}


class Trap:
    """Pickled, it would create a file when read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("old_format", [False, True])
def test_code_in_a_file_is_named_and_not_run(tmp_path, old_format):
    trace = tmp_path / "trace"
    path = tmp_path / "trap.pt"
    torch.save({"state_dict": Trap(trace)}, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(ModelError, match=r"run code for '(posix|nt)\.mkdir'. Nothing was executed"):
        read_weights(path)
    assert not trace.exists()


def test_a_plain_pickle_of_code_is_not_run(tmp_path):
    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "trace")))
    with pytest.raises(ModelError):
        read_weights(path)
    assert not (tmp_path / "trace").exists()


def test_a_whole_model_is_refused_by_the_name_of_its_class(tmp_path):
    with pytest.raises(ModelError, match=r"'torch\.nn\.modules\.linear\.Linear'"):
        read_weights(saved(tmp_path / "whole.pt", torch.nn.Linear(2, 2)))


def test_numpy_scalars_are_refused_with_the_cure(tmp_path):
    with pytest.raises(ModelError, match=r"numpy.*Ask its author for the state dict alone"):
        read_weights(saved(tmp_path / "numpy.pt", {"accuracy": np.float64(0.5)}))


@pytest.mark.parametrize("name", ["net.pkl", "net.bin", "net.npz", "net"])
def test_other_suffixes_are_refused_unread(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "trace")))
    with pytest.raises(ModelError, match="its suffix is"):
        read_weights(tmp_path / name)
    assert not (tmp_path / "trace").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"No weights at .*gone\.pt"):
        read_weights(tmp_path / "gone.pt")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_pytorch_file_is_refused_by_its_first_bytes(tmp_path, content):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ModelError, match="begins with"):
        read_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"<html>" * 10])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_weights(tmp_path / "net.safetensors")


@pytest.mark.parametrize("old_format", [False, True])
def test_damage_is_a_model_error_or_unseen_never_another(tmp_path, state, old_format):
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not old_format)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for round_ in range(120):
        damaged = bytearray(whole)
        if round_ % 2:
            del damaged[int(rng.integers(len(damaged))) :]
        else:
            for at in rng.integers(min(len(damaged), 4000), size=5):
                damaged[at] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except ModelError:
            refused += 1
    assert refused > 60


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        ({"epoch": 3, "lr": 0.1}, "its entries are epoch, lr"),
        ({}, "its entries are none"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        ({"state_dict": {}}, "holds no state dict"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_holds(tmp_path, thing, says):
    with pytest.raises(ModelError, match=says):
        read_weights(saved(tmp_path / "other.pt", thing))


def test_fitting_makes_the_models_equal(state):
    model = build_model("net", 10)
    assert fit_weights(model, state) == []
    x = torch.randn(2, 3, 32, 32)
    twin = build_model("net", 10)
    twin.load_state_dict(state)
    assert torch.equal(model(x), twin(x))


def test_half_precision_weights_become_the_models_own(state):
    model = build_model("net", 10)
    fit_weights(model, {name: value.half() for name, value in state.items()})
    assert model.conv1.weight.dtype == torch.float32


def test_aliases_read_the_names_of_others():
    theirs = {
        name.replace("fc.", "linear.").replace("downsample", "shortcut"): value
        for name, value in build_model("resnet20", 10, shortcut="B").state_dict().items()
    }
    assert "linear.weight" in theirs
    assert fit_weights(build_model("resnet20", 10, shortcut="B"), theirs) == []


def test_a_name_and_its_alias_at_once_are_not_silently_one(state):
    theirs = build_model("resnet20", 10).state_dict()
    theirs["linear.weight"] = theirs["fc.weight"] + 1
    with pytest.raises(ModelError, match=r"1 unexpected: linear\.weight"):
        fit_weights(build_model("resnet20", 10), theirs)


def test_num_batches_tracked_may_be_absent():
    theirs = build_model("resnet20", 10).state_dict()
    slim = {name: value for name, value in theirs.items() if "num_batches" not in name}
    assert fit_weights(build_model("resnet20", 10), slim) == []


def test_every_misfit_is_listed_and_nothing_is_changed(state):
    model = build_model("net", 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    theirs = dict(state)
    del theirs["conv1.bias"]
    theirs["extra.weight"] = torch.zeros(1)
    theirs["fc1.weight"] = torch.zeros(120, 401)
    with pytest.raises(ModelError) as caught:
        fit_weights(model, theirs)
    message = str(caught.value)
    assert "do not fit net" in message
    assert "1 missing: conv1.bias" in message
    assert "1 unexpected: extra.weight" in message
    assert "fc1.weight (120x401, wanted 120x400)" in message
    assert "Choose the model" in message
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_at_most_ten_names_are_listed():
    with pytest.raises(ModelError, match=r"102 missing: .* and 92 more"):
        fit_weights(build_model("resnet18", 10), {})


def test_other_classes_ask_for_a_new_head(state):
    with pytest.raises(ModelError, match="ask for a new head"):
        fit_weights(build_model("net", 4), state)


@pytest.mark.parametrize("gone", [(), ("fc3.bias",), ("fc3.weight", "fc3.bias")])
def test_a_new_head_is_left_as_it_was_and_named(state, gone):
    model = build_model("net", 4)
    head = model.fc3.weight.detach().clone()
    theirs = {name: value for name, value in state.items() if name not in gone}
    assert fit_weights(model, theirs, new_head=True) == ["fc3.weight", "fc3.bias"]
    assert torch.equal(model.fc3.weight, head)
    assert torch.equal(model.conv1.weight, state["conv1.weight"])


def test_a_head_that_fits_is_used(state):
    model = build_model("net", 10)
    assert fit_weights(model, state, new_head=True) == []
    assert torch.equal(model.fc3.weight, state["fc3.weight"])


def test_a_new_head_excuses_no_other_layer(state):
    theirs = dict(state) | {"conv1.weight": torch.zeros(6, 1, 5, 5)}
    with pytest.raises(ModelError, match=r"conv1\.weight \(6x1x5x5, wanted 6x3x5x5\)"):
        fit_weights(build_model("net", 4), theirs, new_head=True)


def drawn_like(model):
    """Other weights for the same network."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }


def test_an_ancestors_weights_make_the_backbone_its_own():
    ancestor, model = build_model("resnet18", 10), build_model("fcn8s_resnet18", 3)
    head = {name: value.clone() for name, value in model.classifier.state_dict().items()}
    theirs = drawn_like(ancestor)
    ancestor.load_state_dict(theirs)
    assert inherit_weights(model, theirs) == [f"classifier.{name}" for name in head]
    assert all(torch.equal(value, head[name]) for name, value in model.classifier.state_dict().items())
    assert all(torch.equal(value, theirs[name]) for name, value in model.backbone.state_dict().items())
    x = torch.rand(1, 3, 32, 32)
    found, expected = model.eval().backbone.stages(x), ancestor.eval().stages(x)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_published_vgg_becomes_convolutional():
    model = build_model("fcn16s", 3, width=1)
    theirs = {
        name.replace("layers.", "features."): value
        for name, value in drawn_like(build_model("vgg16", 10, width=1)).items()
    }
    inherit_weights(model, theirs)
    assert torch.equal(model.backbone.layers[28].bias, theirs["features.28.bias"])
    assert torch.equal(model.backbone.fc6.weight, theirs["classifier.0.weight"].reshape(64, 8, 7, 7))
    assert torch.equal(model.backbone.fc7.weight[:, :, 0, 0], theirs["classifier.3.weight"])
    assert not model.classifier.score["fc7"].weight.any()


def test_what_does_not_fit_an_heir_is_listed_and_nothing_is_changed():
    model = build_model("fcn32s_resnet18", 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    theirs = drawn_like(build_model("resnet18", 10))
    theirs["layer1.7.conv1.weight"] = theirs.pop("layer1.1.conv1.weight")
    theirs["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    with pytest.raises(ModelError) as caught:
        inherit_weights(model, theirs)
    message = str(caught.value)
    assert "do not fit fcn32s_resnet18" in message
    assert "1 missing: backbone.layer1.1.conv1.weight" in message
    assert "1 unexpected: backbone.layer1.7.conv1.weight" in message
    assert "backbone.conv1.weight (64x1x7x7, wanted 64x3x7x7)" in message
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_thinner_vgg_does_not_fit():
    with pytest.raises(ModelError, match=r"backbone\.fc6\.weight \(64x392, wanted 128x16x7x7\)"):
        inherit_weights(build_model("fcn8s", 3, width=2), build_model("vgg16", 3, width=1).state_dict())


def test_a_new_head_may_have_several_places():
    """All of them are new where one does not fit."""
    model, theirs = TwoHeads(2), TwoHeads(2).state_dict() | {"b.weight": torch.zeros(5, 3)}
    with pytest.raises(ModelError, match="ask for a new head"):
        fit_weights(model, theirs)
    assert fit_weights(model, theirs, new_head=True) == ["a.weight", "b.weight"]
    assert torch.equal(model.body.weight, theirs["body.weight"])


class TwoHeads(AbstractClassifier):
    head = ("a", "b")

    def __init__(self, classes):
        super().__init__()
        self.body = torch.nn.Linear(3, 3, bias=False)
        self.a, self.b = (torch.nn.Linear(3, classes, bias=False) for _ in range(2))

    def forward(self, x):
        return self.a(self.body(x))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_weights_are_of_our_models(name):
    weights = PUBLISHED[name]
    with torch.device("meta"):
        task = build_model(weights.model, weights.classes).task
    data, classes, resized = {"classify": ("", 1000, (232, 256)), "segment": ("_coco", 21, (520,))}[task]
    assert weights.filename == f"{weights.model}{data}-{weights.sha256[:8]}.pth"
    assert weights.classes == classes
    assert len(weights.sha256) in (8, 64)
    assert round(weights.size / (weights.crop or 1.0)) in resized
    assert 0.5 < weights.figure < 0.9
