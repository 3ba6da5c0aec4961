"""The ledger: what was offered, what of it is used, and what was refused and why. Nothing is dropped in silence."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePath

from pellucid.errors import ImageError
from pellucid.image import SUFFIXES

__all__ = ["Ledger", "Note", "Refusal"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One offered file or label that is not used: what, where, why, and what would make it usable.

    `line` is 1-based in a text file of labels; `value` is the offending value as it stands there.
    """

    file: str
    reason: str
    cure: str
    line: int | None = None
    value: str | None = None

    @classmethod
    def of(cls, name: str, error: ImageError) -> "Refusal":
        """That of an image which, or whose mask, cannot be read."""
        return cls(name, error.reason, f"{error.cure[0].upper()}{error.cure[1:]}.")

    @property
    def is_stray(self) -> bool:
        """Whether nobody takes the file for an image or a label: a README, a hidden file."""
        path = PurePath(self.file)
        named_as_image = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        return not (named_as_image or self.line is not None or "#" in self.file)

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        value = "" if self.value is None else f" [{self.value}]"
        return f"{place}: {self.reason}{value}. {self.cure}"


@dataclass(frozen=True, slots=True)
class Note:
    """A file that is used, with something its owner should know: first of 12 frames, 16-bit reduced to 8."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Files that were offered, by fate. `used` maps a file to the number of images (or labels) taken from it."""

    used: dict[str, int] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def offered(self) -> int:
        """How many files and labels were offered: the used files and the refusals."""
        return len(self.used) + len(self.refused)

    def refuse(self, refusals: tuple[Refusal, ...], notes: tuple[Note, ...] = ()) -> "Ledger":
        """This ledger after some of the used files turned out to be unusable."""
        gone = {refusal.file for refusal in refusals if refusal.line is None}
        used = {file: count for file, count in self.used.items() if file not in gone}
        return Ledger(used, self.refused + refusals, self.notes + notes)

    def lines(self) -> str:
        """The ledger as JSON lines, one for each file or label offered."""
        rows = [{"file": file, "status": "used", "count": count} for file, count in self.used.items()]
        rows += [{"status": "refused", **asdict(refusal)} for refusal in self.refused]
        rows += [{"status": "note", **asdict(note)} for note in self.notes]
        return "".join(json.dumps(row) + "\n" for row in rows)
