"""Why there is no `.pt2`: torch runs what such an archive says while it reads it. Where this fails, think again."""

import zipfile
from pathlib import Path

import pytest
import torch

from pellucid.cli import main
from pellucid.export.deployable import captured
from tests.export.trained import model_file, predictor


def test_it_is_refused_with_the_reason_and_the_cure(tmp_path, capsys):
    assert main(["export", str(model_file(tmp_path, "net")), str(tmp_path / "net.pt2")]) == 2
    said = capsys.readouterr().err
    assert "net.pt2: no .pt2 is written, since whoever reads one with torch.export.load runs what is written" in said
    assert "Export to net.onnx or to a folder" in said
    assert not (tmp_path / "net.pt2").exists()


def test_torch_writes_pickles_into_it(tmp_path):
    members = archive(tmp_path / "net.pt2")
    assert members["data/sample_inputs/model.pt"].startswith(b"PK")  # what torch.save writes
    assert b"data.pkl" in members["data/sample_inputs/model.pt"]


def test_torch_evaluates_words_of_it_even_without_a_pickle(tmp_path):
    members = archive(tmp_path / "net.pt2")
    members["data/sample_inputs/model.pt"] = b""
    graph = members["models/model.json"].decode()
    begin = graph.index('"expr_str": "') + len('"expr_str": "')
    mark = tmp_path / "mark"
    words = f"__import__('pathlib').Path('{mark}').touch()"
    members["models/model.json"] = (graph[:begin] + words + graph[graph.index('"', begin) :]).encode()
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as written:
        for name, content in members.items():
            written.writestr(f"other/{name}", content)
    with pytest.raises((AttributeError, TypeError)):  # of what the words gave, which is no expression
        torch.export.load(tmp_path / "other.pt2")
    assert mark.exists()


def archive(path: Path) -> dict[str, bytes]:
    """The members of what torch writes for a network, by name."""
    one = predictor("net")
    torch.export.save(captured(one.model, one.preprocess), path)
    with zipfile.ZipFile(path) as found:
        return {name.partition("/")[2]: found.read(name) for name in found.namelist()}
