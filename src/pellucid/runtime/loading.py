"""From an exported file to its predictor, in the engine that is wanted, or was found to be the fastest here."""

from pathlib import Path

from pellucid.errors import UsageError
from pellucid.runtime.engines import ENGINES
from pellucid.runtime.forms import open_exported
from pellucid.runtime.measuring import fastest, remembered
from pellucid.runtime.predictor import ExportedPredictor

__all__ = ["FASTEST", "load_exported"]

FASTEST = "fastest"
"""In place of an engine's name: the fastest of those that may be taken, measured where that was not done yet."""


def load_exported(path: str | Path, engine: str | None = None, lanes: int = 1) -> ExportedPredictor:
    """The predictor of an exported file; damage, of any byte, is an error.

    Without `engine` it is the one that was found to be the fastest here; if none was measured, the one that starts
    fastest. `lanes` are those of the engine.
    """
    exported = open_exported(path)
    if engine is not None and engine not in (*exported.engines, FASTEST):
        raise UsageError(f"{path} runs in {', '.join(exported.engines)}, or {FASTEST}; not in {engine!r}.")
    if engine == FASTEST:
        engine = fastest(exported)
    name = engine or remembered(exported) or exported.engines[0]
    return ExportedPredictor.of(exported.manifest, ENGINES[name](exported.network, lanes))
