"""An exported file proves itself, and whatever was changed in it is refused by its name."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.export.exporting import export_model
from pellucid.files import canonical_json
from pellucid.runtime.manifest import KEY, sealed
from pellucid.runtime.onnx_file import with_manifest
from pellucid.runtime.script import SCRIPT
from pellucid.runtime.verifying import verify
from tests.export.trained import model_file


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """An exported file a task."""
    folder = tmp_path_factory.mktemp("exported")
    found = {}
    for task, name in (("classify", "net"), ("segment", "fcn_compact"), ("detect", "yolo_n")):
        found[task] = folder / f"{task}.onnx"
        export_model(model_file(folder, name), found[task])
    return found


TASKS = ("classify", "segment", "detect")


def changed(path: Path, folder: Path, edit, *, seal: bool = False) -> Path:
    """A copy whose manifest went through `edit`; with `seal` by someone who then sealed it anew."""
    model = onnx.load(path)
    entry = next(one for one in model.metadata_props if one.key == KEY)
    digest, _, body = entry.value.partition(" ")
    facts = json.loads(body)
    edit(facts)
    if seal:
        del facts["digests"]
        del model.metadata_props[:]
        content = with_manifest(model.SerializeToString(deterministic=True), facts)
    else:
        entry.value = f"{digest} {canonical_json(facts)}"
        content = model.SerializeToString(deterministic=True)
    target = folder / "changed.onnx"
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("task", TASKS)
def test_a_whole_file_passes(files, task, capsys):
    assert main(["verify", str(files[task]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["facts"]["classes"] == ["background", "bar", "disc"]
    assert {one["name"] for one in found["figures"]} <= {"probs", "pixels", "boxes", "scores", "unmatched"}


def test_verifying_needs_no_torch(files):
    code = (
        "import sys; from pellucid.cli import main\n"
        f"code = main(['verify', {str(files['detect'])!r}])\n"
        "sys.exit(code or 'torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("task", TASKS)
def test_the_script_repeats_the_self_test(files, task, tmp_path):
    assert len(SCRIPT.splitlines()) <= 30
    script = tmp_path / "selftest.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, files[task]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout
    assert not {"pellucid", "torch"} & set(SCRIPT.partition("import ")[2].partition("\n")[0].split())


def test_the_script_refuses_another_network(files, tmp_path):
    script = tmp_path / "selftest.py"
    script.write_text(SCRIPT)
    model = onnx.load(files["classify"])
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    values = np.frombuffer(largest.raw_data, np.float32) * np.float32(1.5)
    largest.raw_data = values.tobytes()
    onnx.save(model, tmp_path / "other.onnx")
    done = subprocess.run([sys.executable, script, tmp_path / "other.onnx"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "REFUSED" in done.stdout


def test_no_flipped_bit_is_overlooked(files, tmp_path):
    """Anywhere: in names, in weights, in the manifest, in what frames it."""
    data = files["classify"].read_bytes()
    places = np.random.default_rng(0).integers(0, len(data), 150).tolist()
    places += [0, 1, *range(len(data) - 20, len(data)), data.rindex(b"pellucid"), data.rindex(b"pellucid") - 5]
    overlooked = []
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        if "is refused: " not in verify(tmp_path / "damaged.onnx").reason:
            overlooked.append(place)
    assert overlooked == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda facts: facts["classes"].reverse(), "its class list is not the one"),
        (lambda facts: facts["preprocess"]["mean"].__setitem__(0, 0.1), "its preprocess is not the one"),
        (lambda facts: facts["learnt"].update(threshold=0.9), "its thresholds is not the one"),
        (lambda facts: facts["selftest"]["cases"].pop(), "its self-test is not the one"),
        (lambda facts: facts.update(more=1), "its more is not the one"),
        (lambda facts: facts.pop("classes"), "its class list is not the one"),
        (lambda facts: facts["digests"].update(network="0"), "its network or weights are not"),
    ],
)
def test_a_changed_manifest_is_refused_by_name(files, tmp_path, edit, said, capsys):
    path = changed(files["detect"], tmp_path, edit)
    assert main(["verify", str(path)]) == 1
    assert said in capsys.readouterr().out


def test_what_was_sealed_anew_is_refused_by_the_self_test(files, tmp_path):
    def other_size(facts):
        facts["preprocess"]["size"] = [48, 48]

    assert (
        "its preprocess does not give the network pixels"
        in verify(changed(files["classify"], tmp_path, other_size, seal=True)).reason
    )

    model = onnx.load(files["classify"])
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    largest.raw_data = (np.frombuffer(largest.raw_data, np.float32) * np.float32(1.5)).tobytes()
    facts = json.loads(model.metadata_props[0].value.partition(" ")[2])
    del facts["digests"], model.metadata_props[:]
    (tmp_path / "weights.onnx").write_bytes(with_manifest(model.SerializeToString(), facts))
    assert "in its self-test, probs differ" in verify(tmp_path / "weights.onnx").reason


def test_what_comes_behind_the_manifest_is_refused(files, tmp_path):
    path = tmp_path / "longer.onnx"
    path.write_bytes(files["classify"].read_bytes() + b"\x12\x01x")
    assert "something was added behind its manifest" in verify(path).reason


def foreign(tmp_path: Path, edit) -> str:
    """What is said of a sealed file with something in it that is no arithmetic."""
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]))
    edit(model)
    body = model.SerializeToString()
    facts = {"schema": 1, "versions": {"pellucid": "0"}}
    (tmp_path / "foreign.onnx").write_bytes(with_manifest(body, facts))
    return verify(tmp_path / "foreign.onnx").reason


def looped(model):
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Relu", ["x"], ["z"], body=body))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda model: model.graph.node.add(op_type="Loop"), "the operator Loop"),
        (lambda model: model.graph.node.add(op_type="If"), "the operator If"),
        (lambda model: model.graph.node.add(op_type="Relu", domain="evil"), "the operator evil.Relu"),
        (looped, "its operator Relu holds a graph of its own"),
        (lambda model: model.graph.initializer.add(name="w", data_location=1), "keeps weights in another file"),
        (lambda model: model.functions.add(name="f"), "functions of its own"),
    ],
)
def test_only_arithmetic_is_run(tmp_path, edit, said):
    assert said in foreign(tmp_path, edit)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x80" * 40, bytes(100), b"\x0a\xff\xff\xff\xff\x7f"])
def test_other_files_are_refused_in_a_line(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    assert "is refused: " in verify(path).reason


def test_no_file_and_other_forms(tmp_path):
    with pytest.raises(UsageError, match=r"No file none\.onnx"):
        verify("none.onnx")
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"another form")
    with pytest.raises(UsageError, match="is no exported file"):
        verify(other)


def test_a_newer_schema_says_so(tmp_path):
    facts = {"schema": 99, "versions": {"pellucid": "9.0"}}
    path = tmp_path / "newer.onnx"
    path.write_bytes(with_manifest(b"", facts))
    assert "it was written by pellucid 9.0" in verify(path).reason
    assert sealed(facts, hashlib.sha256(b"").hexdigest()).startswith(
        hashlib.sha256(sealed(facts, hashlib.sha256(b"").hexdigest()).partition(" ")[2].encode()).hexdigest()
    )
