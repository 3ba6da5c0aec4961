"""What an exported file says of itself: one JSON text with a digest of every part, of the network, and of itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pellucid import __version__
from pellucid.errors import ModelError
from pellucid.files import canonical_json, sha256_text
from pellucid.preprocess import Preprocess

__all__ = ["KEY", "SCHEMA", "ExportManifest", "opened", "sealed"]

KEY = "pellucid"
"""Under which name it stands in a file's metadata."""
SCHEMA = 1
NAMES = {"classes": "class list", "preprocess": "preprocess", "learnt": "thresholds", "selftest": "self-test"}


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """The facts of an exported file, as plain values, with those that running it needs by name."""

    facts: Mapping[str, Any]

    @property
    def task(self) -> str:
        """Its name."""
        return str(self.facts["task"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by index."""
        return tuple(self.facts["classes"])

    @property
    def preprocess(self) -> Preprocess:
        """What happens to a photo inside the file."""
        return Preprocess.from_json(self.facts["preprocess"])

    @property
    def origin(self) -> dict[str, Any]:
        """How training cut its data into splits, under the name that it has in a model file."""
        return {"trained": self.facts.get("cut", {})}

    @property
    def learnt(self) -> dict[str, float]:
        """Numbers of the task: of detection `threshold` and `overlap`."""
        return dict(self.facts["learnt"])


def sealed(facts: Mapping[str, Any], network: str) -> str:
    """The text for the file; `network` is the SHA-256 of everything else in it."""
    digests = {name: sha256_text(canonical_json(value)) for name, value in facts.items()}
    body = canonical_json({**facts, "digests": {**digests, "network": network}})
    return f"{sha256_text(body)} {body}"


def opened(text: str, network: str) -> ExportManifest:
    """The manifest of such a text; whatever has changed since it was sealed is refused by its name.

    White space and order do not count, so that a manifest may be laid out for people.
    """
    digest, _, body = text.partition(" ")
    try:
        facts = json.loads(body)
        body = canonical_json(facts)
        digests = facts.pop("digests")
        known = {name: sha256_text(canonical_json(value)) for name, value in facts.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"its manifest cannot be read: {error}") from error
    for name in sorted(digests.keys() - {"network"} | known.keys()):
        if digests.get(name) != known.get(name):
            raise ModelError(f"its {NAMES.get(name, name)} is not the one it was exported with")
    if digests.get("network") != network:
        raise ModelError("its network or weights are not those it was exported with")
    if sha256_text(body) != digest:
        raise ModelError("its manifest is not the one it was exported with")
    if facts["schema"] > SCHEMA:
        raise ModelError(f"it was written by pellucid {facts['versions']['pellucid']}, and this is {__version__}")
    return ExportManifest(facts)
