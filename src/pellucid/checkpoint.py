"""Model files and checkpoints: safetensors with a JSON manifest in the header and a SHA-256 for every tensor.

Neither safetensors nor torch notices a flipped bit, so each tensor's digest is kept and compared at every load, and the
manifest, which holds the digests, has one of its own. No pickle anywhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pellucid import __version__
from pellucid.errors import ModelError, UsageError
from pellucid.files import atomic_path, canonical_json, sha256_file, sha256_text
from pellucid.models.base import AbstractModel, build_model
from pellucid.preprocess import Preprocess

__all__ = ["Manifest", "load_model", "load_tensors", "read_facts", "save_model", "save_tensors", "versions"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model file says of itself.

    `learnt` are numbers of the task found on the validation split, `metrics` maps a split to its figures, `data` is the
    digest of the dataset it was trained on (empty for weights that came from elsewhere), `origin` says where it came
    from: settings of the run, or the imported file.
    """

    task: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    learnt: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    origin: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the header."""
        return {
            "task": self.task,
            "classes": list(self.classes),
            "preprocess": self.preprocess.to_json(),
            "learnt": self.learnt,
            "metrics": self.metrics,
            "data": self.data,
            "origin": self.origin,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Manifest":
        """The manifest that `to_json` gave."""
        return cls(
            task=values["task"],
            classes=tuple(values["classes"]),
            preprocess=Preprocess.from_json(values["preprocess"]),
            learnt=values.get("learnt", {}),
            metrics=values["metrics"],
            data=values["data"],
            origin=values["origin"],
        )


def versions() -> dict[str, str]:
    """Versions that decide what a file means."""
    return {"pellucid": __version__, "torch": torch.__version__}


def save_model(path: Path, model: AbstractModel, manifest: Manifest) -> None:
    """Write the model file: weights, architecture and manifest, whole or not at all."""
    facts = {"kind": "model", "architecture": dict(model.architecture), **manifest.to_json()}
    source = _source(model.architecture["name"])
    if source is not None:
        facts["source"] = sha256_file(source)
    save_tensors(path, model.state_dict(), facts)


def load_model(path: str | Path) -> tuple[AbstractModel, Manifest]:
    """The network in evaluation mode and its manifest; every tensor is compared with its digest."""
    tensors, facts = load_tensors(path)
    if facts.get("kind") != "model":
        raise ModelError(f"{path} is a {facts.get('kind')}, not a model. Its run folder has a model.safetensors.")
    architecture = facts["architecture"]
    _refuse_other_source(path, architecture["name"], facts.get("source"))
    model = build_model(architecture["name"], **{key: v for key, v in architecture.items() if key != "name"})
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit the model {architecture['name']!r} it names: {error}") from error
    return model.eval(), Manifest.from_json(facts)


def _source(name: str) -> Path | None:
    """The user's own file that a model comes from (`mynet.py:MyNet`)."""
    return Path(name.rpartition(":")[0]) if ".py:" in name else None


def _refuse_other_source(path: str | Path, name: str, digest: str | None) -> None:
    """A model file runs no code but the very file the model was saved from."""
    source = _source(name)
    if source is None:
        return
    if not source.is_file():
        raise ModelError(f"{path} needs {source}, which its network was built from. Put it there.")
    if sha256_file(source) != digest:
        raise ModelError(f"{path} was saved from another {source}; this one is not run. Restore the file it came from.")


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors with facts (plain JSON values) and digests in the header, whole or not at all."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digests = {name: _digest(tensor) for name, tensor in stored.items()}
    manifest = canonical_json({"schema": SCHEMA, "versions": versions(), "digests": digests, **facts})
    # One entry only: safetensors writes several in an order that changes from process to process.
    header = {"pellucid": f"{sha256_text(manifest)} {manifest}"}
    with atomic_path(path) as draft:
        try:
            save_file(stored, draft, metadata=header)
        except SafetensorError as error:
            raise OSError(_error_number(error), str(error)) from error


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file written by `save_tensors`; a changed byte anywhere is an error that names it."""
    facts = read_facts(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}. Use another copy.") from error
    digests = facts["digests"]
    if digests.keys() != tensors.keys():
        odd = sorted(digests.keys() ^ tensors.keys())[0]
        raise ModelError(f"{path} is damaged: tensor {odd!r} is missing or was added. Use another copy.")
    for name, tensor in tensors.items():
        if _digest(tensor) != digests[name]:
            raise ModelError(f"{path} is damaged: the bytes of {name!r} have changed. Use another copy.")
    return tensors, facts


def read_facts(path: str | Path) -> dict[str, Any]:
    """The facts in a file's header, without its tensors."""
    if not Path(path).is_file():
        raise UsageError(f"No file {path}. Give a model.safetensors, or make one with `pellucid train`.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}.") from error
    if "pellucid" not in header:
        raise ModelError(f"{path} has no pellucid manifest. Bring foreign weights in with `pellucid import`.")
    digest, _, manifest = header["pellucid"].partition(" ")
    if sha256_text(manifest) != digest:
        raise ModelError(f"{path} is damaged: its manifest has changed. Use another copy.")
    facts = json.loads(manifest)
    if facts["schema"] > SCHEMA:
        raise ModelError(f"{path} was written by pellucid {facts['versions']['pellucid']}; this is {__version__}.")
    return facts


def _digest(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _error_number(error: SafetensorError) -> int:
    """safetensors reports a full disk only in words: `No space left on device (os error 28)`."""
    _, _, tail = str(error).rpartition("os error ")
    digits = tail.split(")")[0]
    return int(digits) if digits.isdigit() else 0
