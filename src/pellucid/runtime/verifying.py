"""Whether an exported file is what was exported, and does here what it did there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import ModelError
from pellucid.runtime.agreement import Figure, agreement, worst
from pellucid.runtime.forms import AbstractExported, open_exported
from pellucid.runtime.selftest import expected_of, generated, pixels_digest

__all__ = ["Verified", "self_test", "verify"]


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer: `reason` says why the file is refused, and is empty where it is not."""

    path: str
    reason: str
    figures: tuple[Figure, ...] = ()
    facts: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether the file may be used."""
        return not self.reason

    def to_json(self) -> dict[str, Any]:
        """Plain values, of the facts without the self-test."""
        facts = {name: value for name, value in (self.facts or {}).items() if name != "selftest"}
        return {
            "file": self.path,
            "ok": self.ok,
            "reason": self.reason,
            "figures": [figure.to_json() for figure in self.figures],
            "facts": facts,
        }

    def text(self) -> str:
        """For people."""
        if not self.ok or self.facts is None:
            return self.reason
        lines = [f"{self.path}: whole, and its self-test gives what it must"]
        lines += [f"  {figure.text()}" for figure in self.figures]
        classes, task = len(self.facts["classes"]), self.facts["task"]
        return "\n".join([*lines, f"  {task}, {classes} classes, {self.facts['architecture']['name']}"])


def verify(path: str | Path) -> Verified:
    """Read every byte of a file against its digests, then run its self-test here."""
    try:
        exported = open_exported(path)
        figures = self_test(exported)
    except ModelError as error:
        return Verified(str(path), str(error))
    facts = exported.manifest.facts
    wrong = [figure.text() for figure in figures if not figure.ok]
    if wrong:
        return Verified(str(path), f"{path} is refused: in its self-test, {'; '.join(wrong)}.", tuple(figures), facts)
    return Verified(str(path), "", tuple(figures), facts)


def self_test(exported: AbstractExported) -> list[Figure]:
    """The figures of the self-test, the worst of all cases."""
    manifest = exported.manifest
    figures: list[Figure] = []
    bounds = manifest.facts["selftest"]["bounds"]
    for case in manifest.facts["selftest"]["cases"]:
        if pixels_digest(case, manifest.preprocess) != case["pixels"]:
            changed = "its preprocess does not give the network pixels that it was exported with"
            raise ModelError(f"{exported.path} is refused: {changed}.")
        threshold = case["inputs"].get("threshold")
        found = exported.results(generated(case), threshold)
        figures += agreement(expected_of(case), found, threshold or 0.0, bounds)
    return worst(figures)
