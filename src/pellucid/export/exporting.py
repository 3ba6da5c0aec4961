"""From a model file to an exported one: built, compared with the network it is of, and only then written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.catalog import catalogue
from pellucid.checkpoint import versions
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.errors import ModelError, UsageError
from pellucid.evaluation import cut_of, match_classes
from pellucid.export.base import AbstractDraft, AbstractExporter
from pellucid.export.judging import Comparison, compared, metric_over, network_results, samples_of
from pellucid.export.onnx_graph import network_graph
from pellucid.export.quantising import IMAGES, Calibration, layers_in_fp32, quantised
from pellucid.export.repository import RepositoryExporter
from pellucid.files import atomic_folder, atomic_path, sha256_file
from pellucid.network import Predictor, load_predictor
from pellucid.runtime.agreement import BOUNDS, NARROW_BOUNDS, Figure, Results, agreement, worst
from pellucid.runtime.engines import ENGINES, OpenVino, has_bf16
from pellucid.runtime.manifest import SCHEMA
from pellucid.runtime.measuring import rate_apart
from pellucid.runtime.selftest import CASES, RULE, described, generated
from pellucid.runtime.verifying import self_test

__all__ = ["Exported", "export_model", "telling_threshold"]

BOXES = 20
"""About how many boxes the self-test of a detector is to give: its threshold is set by that."""
LEAST = 1e-6
"""A threshold that next to every box reaches."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how far it is from the network; `facts` are those of its manifest."""

    path: Path
    bytes: int
    comparison: Comparison
    data: str | None
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values, of the facts without the self-test."""
        facts = {name: value for name, value in self.facts.items() if name != "selftest"}
        return {"file": str(self.path), "bytes": self.bytes, "data": self.data, **self.comparison.to_json(), **facts}

    def text(self) -> str:
        """For people."""
        opset = f", opset {self.facts['opset']}" if "opset" in self.facts else ""
        made = ", ".join(f"{name} {number}" for name, number in self.facts["versions"].items())
        on = f"{self.comparison.images} images of {self.data}" if self.data else "generated images alone: give --data"
        lines = [f"Compared with the network on {on}"]
        lines += [f"  {figure.text()}" for figure in self.comparison.figures]
        lines += _lines_beside(self.facts["compared"])
        return "\n".join([*lines, f"{self.path}: {self.bytes / 1e6:.1f} MB{opset}; {made}"])


def _lines_beside(compared: Mapping[str, Any]) -> Iterator[str]:
    if "int8" in compared:
        found = compared["int8"]
        kept = ", ".join(found["fp32_layers"]) or "none"
        yield f"  layers in int8: {found['layers'] - len(found['fp32_layers'])} of {found['layers']}; in fp32: {kept}"
        for engine, rates in found["images_per_second"].items():
            yield f"  {engine}: {rates['fp32']:.1f} images/s before, {rates['int8']:.1f} in int8"
    if "bf16" in compared:
        found = compared["bf16"]
        what = "with the rest in bf16" if "int8" in compared else "in bf16"
        yield f"  {what} the metric is {found['metric']:.4f}: {'good' if found['ok'] else 'not good'} enough"


def export_model(
    model: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    int8: bool = False,
    repository: bool = False,
    licence: str | None = None,
) -> Exported:
    """Write a model file in the form that `out` names: `net.onnx`, or a folder for OpenVINO.

    Network and file are compared on the validation images of `data`, without it on generated ones; where they differ by
    more than the bounds allow, nothing is written and a ModelError says by how much. With `int8` the network is
    quantised, with scales from the training images, and the metric must not lose more than half a point. As a
    `repository`, `out` is the folder of a model of that name for Triton and KServe, with the ONNX file inside.
    """
    path = Path(out)
    exporter = RepositoryExporter(path) if repository else _exporter(path)
    predictor = load_predictor(model, "cpu")
    dataset = None if data is None else _dataset(predictor, data)
    network = network_graph(predictor.model, predictor.preprocess)
    narrow = _narrowed(predictor, network, dataset) if int8 else None
    draft = exporter.build(predictor, network if narrow is None else narrow.network)
    tests, on_generated = _self_test(predictor, draft, narrow=int8)
    comparison = on_generated if dataset is None else compared(predictor, draft, dataset, "val", narrow=int8)
    _refuse(path, model, (*on_generated.figures, *comparison.figures))
    facts = {**_facts(predictor, licence), **draft.facts, "selftest": tests, "model": sha256_file(Path(model))}
    facts["versions"] = {**versions(), **draft.facts["versions"]}
    facts["compared"] = {**comparison.to_json(), **_beside(predictor, draft, dataset, comparison, narrow)}
    with (atomic_folder if exporter.suffix == "" else atomic_path)(path) as sibling:
        draft.write(sibling, facts)
        _refuse(path, model, self_test(draft.read(sibling)))
    return Exported(path, _size(path), comparison, None if data is None else str(data), facts)


@dataclass(frozen=True, slots=True)
class _Narrow:
    """A quantised network, which layers of how many are not, and images a second by engine: of fp32, of int8."""

    network: ir.Model
    fp32_layers: tuple[str, ...]
    layers: int
    rates: Mapping[str, tuple[float, float]]


def _narrowed(predictor: Predictor, network: ir.Model, dataset: Dataset | None) -> _Narrow:
    if dataset is None:
        raise UsageError("--int8 needs --data: its scales come from training images, its loss from validation images.")
    preprocess = predictor.preprocess
    pixels = [pixels for pixels, _ in samples_of(predictor, dataset, "train", IMAGES)]
    samples = samples_of(predictor, dataset, "val")
    wide = ir.to_proto(network).SerializeToString()
    found = quantised(network, predictor.task, Calibration(pixels, samples))
    fp32_layers, layers = layers_in_fp32(found)
    small = ir.to_proto(found).SerializeToString()
    engines = [name for name in ENGINES if name == "onnxruntime" or has_bf16()]
    rates = {name: (rate_apart(wide, name, preprocess), rate_apart(small, name, preprocess)) for name in engines}
    return _Narrow(found, tuple(fp32_layers), layers, rates)


def _beside(
    predictor: Predictor,
    draft: AbstractDraft,
    dataset: Dataset | None,
    comparison: Comparison,
    narrow: _Narrow | None,
) -> dict[str, Any]:
    """What is said of other arithmetic than fp32, if anything."""
    bounds = BOUNDS if narrow is None else NARROW_BOUNDS
    found: dict[str, Any] = {"on": "generated images" if dataset is None else "validation images"}
    if narrow is not None:
        rates = {name: {"fp32": before, "int8": after} for name, (before, after) in narrow.rates.items()}
        found["int8"] = {"layers": narrow.layers, "fp32_layers": list(narrow.fp32_layers), "images_per_second": rates}
    if dataset is not None and comparison.metric is not None and has_bf16():
        engine = OpenVino(draft.network, precision="bf16")
        metric = metric_over(predictor.task, engine, samples_of(predictor, dataset, "val"))
        found["bf16"] = {"metric": metric, "ok": comparison.metric[1] - metric <= bounds["metric"]}
    return found


def _refuse(path: Path, model: str | Path, figures: Iterable[Figure]) -> None:
    wrong = [figure.text() for figure in figures if not figure.ok]
    if wrong:
        raise ModelError(f"{path} is not written, since it is not the network of {model}: {'; '.join(wrong)}.")


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    return sum(one.stat().st_size for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file())


def _exporter(path: Path) -> AbstractExporter:
    """The one whose files are called so."""
    if path.suffix == ".pt2":
        raise UsageError(
            f"{path}: no .pt2 is written, since whoever reads one with torch.export.load runs what is written in it. "
            "Export to net.onnx or to a folder; for torch, keep the model.safetensors."
        )
    exporters = {one.suffix: one for one in catalogue("EXPORTERS").values()}
    if path.suffix not in exporters:
        known = ", ".join(suffix or "a folder" for suffix in sorted(exporters))
        raise UsageError(f"{path}: networks are exported as {known}, not {path.suffix or 'a folder'}.")
    exporter: AbstractExporter = exporters[path.suffix]()
    return exporter


def _dataset(predictor: Predictor, data: str | Path) -> Dataset:
    dataset = open_dataset(data, **cut_of(predictor))
    if dataset.task != predictor.task.name:
        raise UsageError(f"The model is for {predictor.task.name!r}; {data} is labelled for {dataset.task!r}.")
    return match_classes(dataset, predictor.task)


def _facts(predictor: Predictor, licence: str | None) -> dict[str, Any]:
    """What the file says of the network; nothing of where it was trained, or by whom."""
    manifest, architecture = predictor.manifest, predictor.model.architecture
    trained = manifest.origin.get("trained", {})
    return {
        "schema": SCHEMA,
        "task": manifest.task,
        "classes": list(manifest.classes),
        "preprocess": manifest.preprocess.to_json(),
        "learnt": dict(predictor.task.learnt),
        "architecture": {**architecture, "name": Path(architecture["name"]).name},  # of a user's own file no folder
        "metrics": manifest.metrics,
        "data": manifest.data,
        "cut": {name: trained[name] for name in ("split_seed", "val", "test") if name in trained},
        "licence": licence or "not stated",
    }


def _self_test(predictor: Predictor, draft: AbstractDraft, *, narrow: bool) -> tuple[dict[str, Any], Comparison]:
    """The self-test as the manifest has it, and how the draft does in it.

    What it must give is what the network gives in fp32; of a `narrow` draft, what it gives here.
    """
    cases, figures, count = [], list[Figure](), 0
    bounds = NARROW_BOUNDS if narrow else BOUNDS
    for case in CASES:
        images = generated(case)
        threshold = telling_threshold(predictor, images) if predictor.task.name == "detect" else None
        found = draft.results(images, threshold)
        expected = [_told(photo) for photo in found] if narrow else network_results(predictor, images, threshold)
        figures += agreement(expected, found, threshold or 0.0, bounds)
        inputs = {} if threshold is None else {"threshold": threshold}
        cases.append(described(case, predictor.preprocess, expected, inputs))
        count += len(images)
    return {"rule": RULE, "bounds": bounds, "cases": cases}, Comparison(count, tuple(worst(figures)))


def _told(photo: Results) -> Results:
    """Those of a photo's results that are compared."""
    names = ("probs",) if "probs" in photo else ("xyxy", "scores", "labels") if "xyxy" in photo else ("labels",)
    return {name: photo[name] for name in names}


def telling_threshold(predictor: Predictor, images: UInt8[ndarray, "n h w 3"]) -> float:
    """A threshold at which generated images, on which a detector finds next to nothing, give about BOXES boxes.

    In the middle of the widest gap between their scores, so that no box is there or not by a rounding.
    """
    found = network_results(predictor, images, LEAST)
    scores = np.sort(np.concatenate([one["scores"] for one in found]))[::-1]
    some = np.append(scores, 0.0)[BOXES // 2 : 2 * BOXES + 1] if len(scores) > BOXES else np.append(scores[-1:], 0.0)
    if len(some) < 2:
        return float(np.float32(0.5))
    widest = int(np.argmax(some[:-1] - some[1:]))
    return float(np.float32((some[widest] + some[widest + 1]) / 2))
