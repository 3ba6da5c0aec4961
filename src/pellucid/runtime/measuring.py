"""Which engine is the fastest for a file on this machine: each measured for a moment, the answer kept in the cache.

Every engine is measured in a process of its own, since their threads get in each other's way.
"""

import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pellucid.cores import usable_cores
from pellucid.errors import ModelError
from pellucid.files import cache_folder, canonical_json, sha256_text, write_atomic
from pellucid.preprocess import Preprocess
from pellucid.runtime.engines import ENGINES, TOGETHER
from pellucid.runtime.forms import AbstractExported

__all__ = ["fastest", "rate_apart", "remembered"]

PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}
SECONDS = 0.7


def fastest(exported: AbstractExported) -> str:
    """The fastest engine that may be taken: bf16 only where export found that it costs no more than the bound."""
    known = remembered(exported)
    if known is not None:
        return known
    preprocess = exported.manifest.preprocess
    rates = {name: rate_apart(exported.network, name, preprocess) for name in _allowed(exported)}
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


def rate_apart(network: bytes | Path, engine: str, preprocess: Preprocess) -> float:
    """Images a second of a network alone, of batches of a few, in a process of its own: the best of a moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = network if isinstance(network, Path) else Path(folder) / "network.onnx"
        if isinstance(network, bytes):
            path.write_bytes(network)
        sizes = map(str, (*preprocess.size, preprocess.channels))
        command = [sys.executable, "-m", "pellucid.runtime.measuring", str(path), engine, *sizes]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"The network does not run in {engine}: {done.stderr.strip()[-200:]}")
    return float(done.stdout)


def _rate(path: Path, engine: str, shape: Sequence[int]) -> float:
    run = ENGINES[engine](path.read_bytes() if path.suffix == ".onnx" else path).decoded
    pixels = np.full((TOGETHER, *shape), 114, np.uint8)
    run(pixels)
    shortest, end = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end or not np.isfinite(shortest):
        start = time.perf_counter()
        run(pixels)
        shortest = min(shortest, time.perf_counter() - start)
    return float(TOGETHER / shortest)


def _allowed(exported: AbstractExported) -> list[str]:
    """Engines whose package is there, and whose arithmetic was found to be good enough."""
    narrow = exported.manifest.facts.get("compared", {}).get("bf16", {}).get("ok", False)
    here = [name for name in exported.engines if importlib.util.find_spec(PACKAGES[name]) is not None]
    return [name for name in here if narrow or not name.endswith("bf16")]


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
    sys.stdout.write(f"{_rate(Path(sys.argv[1]), sys.argv[2], tuple(map(int, sys.argv[3:])))}\n")
