"""After the last step: the kept model judged as a user would judge it, its figures written into it, and the report."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from pellucid.checkpoint import save_model, versions
from pellucid.data.masks import AbstractMask
from pellucid.evaluation import Judged, evaluation_of, judge
from pellucid.files import sha256_file, write_atomic
from pellucid.machine import describe
from pellucid.network import Predictor, load_predictor
from pellucid.panels import Gallery, Panel, Picture
from pellucid.preprocess import resize
from pellucid.report import DataSummary, RunSummary, write_report
from pellucid.training.folder import history, logged
from pellucid.training.prepare import Prepared, cache_cap
from pellucid.types import Record

__all__ = ["finish"]

SHOWN = 24
THUMBNAIL, COMPARED = 160, 384
"""Longer sides of a picture by itself, and of views that are compared."""
HISTORY_ROWS = 500


def finish(run: Prepared) -> dict[str, Any]:
    """Judge the model file of a trained run on its splits; write metrics, model and report; give the metrics.

    metrics.json is written last: where it stands, the run is finished. Several ranks judge together, and the first one
    writes.
    """
    folder = run.folder
    predictor = load_predictor(folder.model, device=str(run.device))
    judged: dict[str, Judged] = {}
    for split in ("val", "test"):
        if run.dataset.splits.get(split):
            judged[split] = judge(predictor, run.dataset, split, cap=cache_cap(run.plan.settings), ranks=run.ranks)
            predictor = _taught(predictor, judged["val"]) if split == "val" else predictor
    metrics = {name: evaluation_of(run.dataset.task, name, found).to_json() for name, found in judged.items()}
    if not run.ranks.main:
        return metrics
    summary = {name: {**row["metrics"], "count": row["count"]} for name, row in metrics.items()}
    save_model(folder.model, predictor.model, dataclasses.replace(predictor.manifest, metrics=summary))
    write_report(folder.report, _summary(run, predictor, judged, metrics))
    write_atomic(folder.metrics, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _taught(predictor: Predictor, judged: Judged) -> Predictor:
    """The predictor with what its task learns from the validation split."""
    learnt = {**predictor.task.learnt, **judged.metric.learnt()}
    task = dataclasses.replace(predictor.task, learnt=learnt)
    return dataclasses.replace(predictor, task=task, manifest=dataclasses.replace(predictor.manifest, learnt=learnt))


def _summary(
    run: Prepared, predictor: Predictor, judged: Mapping[str, Judged], metrics: Mapping[str, Any]
) -> RunSummary:
    split = next((name for name in ("test", "val") if name in judged), "")
    plan = run.plan
    return RunSummary(
        title=run.folder.path.resolve().name,
        task=run.dataset.task,
        model=str(run.architecture["name"]),
        outcome=_outcome(split, metrics),
        figures=_figures(metrics.get(split, {"metrics": {}, "intervals": {}})),
        panels=_panels(run, predictor, judged[split]) if split else [],
        history=_thinned(history(logged(run.folder))),
        ledger=run.dataset.ledger,
        data=_data(run),
        settings=plan.settings.to_json() | {"steps": plan.steps},
        derived=plan.reasons,
        machine=describe(run.device),
        versions=versions(),
        digests={"data": run.digest, "model.safetensors": sha256_file(run.folder.model)},
        notes=[] if split else ["No image was held out, so nothing is known of how well this model does."],
    )


def _outcome(split: str, metrics: Mapping[str, Any]) -> str:
    if not split:
        return "Trained on every image; not judged."
    row = metrics[split]
    name, value = next(iter(row["metrics"].items()))
    interval = row["intervals"].get(name)
    between = f" (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    return f"{name} {value:.1%}{between} on {row['count']} {split} images."


def _figures(row: Mapping[str, Any]) -> list[tuple[str, float, tuple[float, float] | None]]:
    found = []
    for name, value in row["metrics"].items():
        interval = row["intervals"].get(name)
        found.append((name, value, (interval[0], interval[1]) if interval else None))
    return found


def _panels(run: Prepared, predictor: Predictor, judged: Judged) -> list[Panel]:
    pictures = tuple(
        _picture(run, predictor, judged.decoded.records[position], caption)
        for position, caption in judged.metric.mistakes(SHOWN)
    )
    return [*judged.metric.panels(), *([Gallery(run.task.mistakes_title, pictures)] if pictures else [])]


def _picture(run: Prepared, predictor: Predictor, record: Record, caption: str) -> Picture:
    """A mistake as its task shows it; the prediction is made again, for not all of them were kept."""
    photo = run.dataset.image(record).pixels
    target = record.label
    if isinstance(target, AbstractMask):
        target = target.read(run.dataset.root, photo.shape[:2])
    views = run.task.views(photo, target, predictor([photo])[0])
    most = THUMBNAIL if len(views) == 1 else COMPARED
    return Picture(tuple((name, _thumbnail(pixels, most)) for name, pixels in views), caption, record.name)


def _thumbnail(pixels: Any, most: int) -> Any:
    height, width = pixels.shape[:2]
    scale = min(1.0, most / max(height, width))
    return resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with a validation figure, and of the others evenly as many as a chart can show."""
    every = max(1, len(rows) // HISTORY_ROWS)
    return [row for place, row in enumerate(rows) if place % every == 0 or any(name.startswith("val_") for name in row)]


def _data(run: Prepared) -> DataSummary:
    dataset = run.dataset
    images = {name: len(split.records) for name, split in run.splits.items()}
    labels = {name: run.task.totals(split.records, split.marks) for name, split in run.splits.items()}
    facts = {
        "folder": str(dataset.root),
        "format": dataset.format,
        "cut from train": ", ".join(dataset.made) or "nothing",
    }
    return DataSummary(classes=dataset.classes, images=images, labels=labels, facts=facts)
