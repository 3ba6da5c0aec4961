"""What an examination of a network finds, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "HealthReport", "useless"]

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `number` lies beyond `threshold`, at the layers or classes of `where`.

    An `error` makes the answer of the examination no; `kind` is a word that scripts can match; `command` finds it
    again.
    """

    level: Literal["error", "warning"]
    kind: str
    text: str
    number: float
    threshold: float
    where: tuple[str, ...]
    cure: str
    command: str = ""


def useless(kind: str, counts: Mapping[str, int], unit: str, said: str, cure: str) -> list[Finding]:
    """That layers have some of a `unit`, channels or filters, which are of no use; nothing where no layer has any.

    `counts` are those of the layers that have some; `said` ends the sentence of the layer with most.
    """
    if not counts:
        return []
    worst = max(counts, key=lambda name: counts[name])
    where = tuple(f"{name}: {count} {unit}" for name, count in counts.items())
    return [Finding("warning", kind, f"{counts[worst]} {unit} of {worst} {said}", counts[worst], 0, where, cure)]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What an examination did and found; `passed` says what was looked at and found well, with its numbers."""

    model: str
    data: str
    images: int
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that must be mended first."""
        return not any(finding.level == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "ok": self.ok,
            "model": self.model,
            "data": self.data,
            "images": self.images,
            "findings": [asdict(finding) for finding in self.findings],
            "passed": list(self.passed),
        }

    def text(self) -> str:
        """In lines for a terminal: the findings, the gravest first, and what is well."""
        looked = f", on {self.images:,} images of {self.data}" if self.data else ", its weights alone"
        lines = [f"{self.model}{looked}"]
        for finding in self.findings:
            lines.append(f"{finding.level}: {finding.text} {finding.cure}")
            lines += [f"    {place}" for place in _few(finding.where)]
            lines.append(f"    again: {finding.command}")
        lines += [f"well: {text}" for text in self.passed]
        return "\n".join([*lines, "ok" if self.ok else "not ok"])


def _few(names: Sequence[str]) -> list[str]:
    return [*names[:SHOWN], *([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])]
