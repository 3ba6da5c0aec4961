"""From a name to a thing: modules that end in a dict, a user's own `file.py:Name`, installed entry points.

There is no registry to keep in step. A catalogue is the union of the dicts called `MODELS`, `FORMATS`, `TASKS`,
`POSTPROCESSES` or `EXPORTERS` in the modules of one package, so adding a thing is adding a file.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pellucid.errors import LookupFailed

__all__ = ["catalogue", "find", "suggestion"]

HOMES = {
    "MODELS": "pellucid.models",
    "FORMATS": "pellucid.data.formats",
    "TASKS": "pellucid.tasks",
    "POSTPROCESSES": "pellucid.predictions",
    "EXPORTERS": "pellucid.export",
}


@functools.cache
def catalogue(kind: str) -> Mapping[str, Any]:
    """Every thing of a kind (`MODELS`, `FORMATS`, …) by name, installed plug-ins included."""
    package = importlib.import_module(HOMES[kind])
    things: dict[str, Any] = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        things |= getattr(importlib.import_module(module.name), kind, {})
    for entry in entry_points(group=f"pellucid.{kind.lower()}"):
        things[entry.name] = entry.load()
    return MappingProxyType(things)


def find(kind: str, name: str) -> Any:
    """The thing of that kind and name; `path/to/file.py:Name` reads a user's own file."""
    if ".py:" in name:
        return _from_file(name)
    things = catalogue(kind)
    if name not in things:
        singular = kind.lower().removesuffix("s")
        raise LookupFailed(f"No {singular} named {name!r}.{suggestion(name, things)}")
    return things[name]


def suggestion(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'resnet18'?`, or the list of what there is; begins with a space."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" There is: {', '.join(known)}." if known else ""


def _from_file(name: str) -> Any:
    path_text, _, symbol = name.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise LookupFailed(f"No file {path} (wanted for {name!r}). Give the path of your own Python file.")
    spec = importlib.util.spec_from_file_location(str(path.resolve()), path)
    if spec is None or spec.loader is None:
        raise LookupFailed(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and typing look a class's module up there
    spec.loader.exec_module(module)
    if not hasattr(module, symbol):
        public = [found for found in vars(module) if not found.startswith("_")]
        raise LookupFailed(f"{path} has no {symbol!r}.{suggestion(symbol, public)}")
    return getattr(module, symbol)
