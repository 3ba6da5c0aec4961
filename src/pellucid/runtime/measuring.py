"""Which engine is the fastest for a file on this machine: each measured for a moment, the answer kept in the cache.

Every engine is measured in a process of its own, since their threads get in each other's way.
"""

import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from pellucid.cores import usable_cores
from pellucid.errors import ModelError
from pellucid.files import cache_folder, canonical_json, sha256_text, write_atomic
from pellucid.runtime.engines import ENGINES
from pellucid.runtime.forms import AbstractExported, open_exported

__all__ = ["fastest", "rate", "remembered"]

PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}
SECONDS = 0.7
IMAGES = 4


def fastest(exported: AbstractExported) -> str:
    """The fastest engine that may be taken: bf16 only where export found that it costs no more than the bound."""
    known = remembered(exported)
    if known is not None:
        return known
    rates = {name: _rate_apart(exported.path, name) for name in _allowed(exported)}
    write_atomic(_note(exported), json.dumps(rates) + "\n")
    return max(rates, key=lambda name: rates[name])


def remembered(exported: AbstractExported) -> str | None:
    """The engine that was found to be the fastest, if that was measured on this machine as it is now."""
    try:
        rates: dict[str, float] = json.loads(_note(exported).read_text())
    except (OSError, ValueError):
        return None
    known = {name: rates[name] for name in _allowed(exported) if name in rates}
    return max(known, key=lambda name: known[name]) if known else None


def rate(path: str | Path, engine: str) -> float:
    """Images a second of the network alone, of batches of a few: the best of the time that there is."""
    exported = open_exported(path)
    preprocess = exported.manifest.preprocess
    run = ENGINES[engine](exported.network).decoded
    pixels = np.full((IMAGES, *preprocess.size, preprocess.channels), 114, np.uint8)
    shortest, end = np.inf, time.perf_counter() + SECONDS
    run(pixels)
    while time.perf_counter() < end or not np.isfinite(shortest):
        start = time.perf_counter()
        run(pixels)
        shortest = min(shortest, time.perf_counter() - start)
    return IMAGES / shortest


def _allowed(exported: AbstractExported) -> list[str]:
    """Engines whose package is there, and whose arithmetic was found to be good enough."""
    narrow = exported.manifest.facts.get("compared", {}).get("bf16", {}).get("ok", False)
    here = [name for name in exported.engines if importlib.util.find_spec(PACKAGES[name]) is not None]
    return [name for name in here if narrow or not name.endswith("bf16")]


def _rate_apart(path: Path, engine: str) -> float:
    """`rate` in a process of its own."""
    command = [sys.executable, "-m", "pellucid.runtime.measuring", str(path), engine]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"{path} does not run in {engine}: {done.stderr.strip()[-200:]}")
    return float(done.stdout)


def _note(exported: AbstractExported) -> Path:
    """Where rates are kept: named by all that they depend on."""
    versions = {
        package: importlib.metadata.version(package)
        for package in sorted(set(PACKAGES.values()))
        if importlib.util.find_spec(package) is not None
    }
    network = exported.manifest.facts["selftest"], exported.manifest.facts["model"]
    key = {"of": network, "versions": versions, "cores": usable_cores(), "machine": platform.uname()._asdict()}
    return cache_folder() / "engines" / f"{sha256_text(canonical_json(key))}.json"


if __name__ == "__main__":
    sys.stdout.write(f"{rate(sys.argv[1], sys.argv[2])}\n")
