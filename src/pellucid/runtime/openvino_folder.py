"""A folder of OpenVINO's: `model.xml` and `model.bin`, a network from network pixels to decoded outputs, and
`manifest.json`, which says what belongs before and behind it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import ModelError, UsageError
from pellucid.files import sha256_file
from pellucid.runtime.agreement import Results
from pellucid.runtime.engines import OpenVino
from pellucid.runtime.forms import AbstractExported
from pellucid.runtime.manifest import ExportManifest, opened, sealed
from pellucid.runtime.predictor import ExportedPredictor, results_by

__all__ = ["OpenVinoFolder", "write_manifest"]

MODEL, WEIGHTS, MANIFEST = "model.xml", "model.bin", "manifest.json"


@dataclass(frozen=True)
class OpenVinoFolder(AbstractExported):
    """A folder that was found whole."""

    engines: ClassVar[tuple[str, ...]] = ("openvino", "openvino-bf16")
    path: Path
    manifest: ExportManifest

    @classmethod
    def read(cls, path: str | Path) -> "OpenVinoFolder":
        """The folder, once every byte of it was found to be what was exported; a ModelError says what is not."""
        folder = Path(path)
        missing = [name for name in (MODEL, WEIGHTS, MANIFEST) if not (folder / name).is_file()]
        if missing:
            raise UsageError(f"{path} has no {missing[0]}. Give a folder that `pellucid export` has written.")
        try:
            text = dict(json.loads((folder / MANIFEST).read_text()))
            manifest = opened(f"{text.pop('sha256')} {json.dumps(text)}", _digest(folder))
        except (ModelError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is refused: {error}. Use another copy, or export the model again.") from error
        return cls(folder, manifest)

    @property
    def network(self) -> Path:
        """The model, beside which its weights lie."""
        return self.path / MODEL

    @cached_property
    def engine(self) -> OpenVino:
        """It runs the network in float32."""
        return OpenVino(self.network)

    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """What the network and pellucid's own way before and behind it give."""
        return results_by(ExportedPredictor.of(self.manifest, self.engine), images, threshold)


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Seal what is in a folder with its manifest, as JSON that people can read."""
    digest, _, body = sealed(facts, _digest(folder)).partition(" ")
    text = json.dumps({"sha256": digest, **json.loads(body)}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n")


def _digest(folder: Path) -> str:
    """Of both files."""
    both = sha256_file(folder / MODEL) + sha256_file(folder / WEIGHTS)
    return hashlib.sha256(both.encode()).hexdigest()
