"""Everything before the first step: the data read and decoded, the plan made or taken up again, written down."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pellucid.catalog import find
from pellucid.checkpoint import versions
from pellucid.config import TrainConfig
from pellucid.data.cache import Decoded, decode
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.ledger import Ledger
from pellucid.data.loader import Loader
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic
from pellucid.machine import best_device, describe, keep_memory
from pellucid.models.base import AbstractModel, build_model
from pellucid.preprocess import Preprocess
from pellucid.ranks import Ranks
from pellucid.tasks.base import AbstractTask
from pellucid.training.budget import measure_rate
from pellucid.training.design import Draft, draft, settle, with_statistics
from pellucid.training.folder import RunFolder
from pellucid.training.plan import Plan
from pellucid.training.start import Origin, find_origin

__all__ = ["Prepared", "Say", "cache_cap", "prepare"]

Say = Callable[[str], None]

RESERVED_SECONDS = 4.0
"""Kept for the report and for starting up, where minutes were given."""
EVALUATION_PACE = 1.5
"""Images are judged in fp32 at about this many times the speed of a training step in bf16."""
GIGABYTE = 10**9
DEFAULTS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin or go on: data, plan and network, as config.json says them too.

    `splits` holds the images of each split that could be read.
    """

    folder: RunFolder
    dataset: Dataset
    splits: Mapping[str, Decoded]
    digest: str
    task: AbstractTask
    plan: Plan
    architecture: Mapping[str, Any]
    origin: Origin | None
    train: Loader
    val: Loader | None
    device: torch.device
    ranks: Ranks


@dataclass(frozen=True, slots=True)
class _Source:
    """The dataset with what is needed to decode it."""

    dataset: Dataset
    digests: Mapping[Path, str]
    cap: int | None

    def decoded(self, split: str, preprocess: Preprocess) -> Decoded:
        """A split as the run will see it; training crops are taken from a wider view than is judged."""
        if split == "train":
            return decode(self.dataset, split, preprocess.margin(), self.digests, judged=False, cap=self.cap)
        return decode(self.dataset, split, preprocess, self.digests, cap=self.cap)


def prepare(
    data: str | Path,
    folder: RunFolder,
    asked: TrainConfig,
    saved: Mapping[str, Any] | None,
    say: Say,
    ranks: Ranks,
) -> Prepared:
    """Read the data, choose or take up the plan, and write config.json and ledger.jsonl."""
    began = time.monotonic()
    keep_memory()
    settings = asked if saved is None else TrainConfig.from_json(saved["plan"]["settings"])
    torch.set_num_threads(settings.threads or ranks.cores())
    device = best_device(settings.device)
    dataset = open_dataset(data, settings.format, seed=settings.split_seed, val=settings.val, test=settings.test)
    task: AbstractTask = find("TASKS", dataset.task)(dataset.classes)
    if saved is None:
        _refuse_idle(asked, task)
    digests = dataset.digests()
    source = _Source(dataset, digests, cache_cap(settings))
    digest = dataset.digest(digests)
    _say_data(dataset, say)
    origin = None if settings.weights is None or folder.checkpoint.exists() else find_origin(settings.weights)
    if saved is None:
        plan, architecture = _new_plan(source, task, settings, origin, began, say)
    else:
        _compare(saved, digest, device, say)
        plan, architecture = Plan.from_json(saved["plan"]), saved["architecture"]
    _divide(plan.settings, ranks, device, say)
    splits = {name: source.decoded(name, plan.preprocess) for name, records in dataset.splits.items() if records}
    ledger = _complete(dataset.ledger, splits)
    _say_refused(ledger, say)
    if not splits["train"].records:
        raise DataError(f"No training image of {dataset.root} can be read. See `pellucid check {data}`.")
    if settings.patience is not None and "val" not in splits:
        raise UsageError("--patience needs a validation split, and there is none. Leave it out, or give --val 0.1.")
    if "val" in splits and splits["val"].records and not any(task.totals(splits["val"].records, splits["val"].marks)):
        raise DataError(
            f"The validation split of {dataset.root} has no {task.unit} of any class, so no model could be chosen by "
            "it. Move some images there, or leave the split out."
        )
    if saved is None:
        folder.path.mkdir(parents=True, exist_ok=True)
        config = {
            "asked": asked.to_json(),
            "plan": plan.to_json(),
            "architecture": dict(architecture),
            "data": _data_facts(dataset, data, digest),
            "machine": describe(device),
            "versions": versions(),
        }
        write_atomic(folder.ledger, ledger.lines())
        write_atomic(folder.config, json.dumps(config, indent=2) + "\n")
    task = task.counted(splits["train"].records, splits["train"].marks)
    batch, zoom = plan.settings.batch or 1, plan.settings.zoom or 1.0
    train = Loader(splits["train"], task, batch, plan.settings.seed, zoom)
    val = None
    if "val" in splits and splits["val"].records:
        val = Loader(splits["val"], task)
    dataset = dataclasses.replace(dataset, ledger=ledger)
    return Prepared(folder, dataset, splits, digest, task, plan, architecture, origin, train, val, device, ranks)


def _divide(settings: TrainConfig, ranks: Ranks, device: torch.device, say: Say) -> None:
    """Say what each rank does; refuse what cannot be divided."""
    if settings.sync_batch_norm and (ranks.count == 1 or device.type != "cuda"):
        raise UsageError("--sync-batch-norm is for several ranks on GPUs. Leave it out.")
    if ranks.count == 1:
        return
    batch, parts = settings.batch or 1, ranks.count * settings.accumulate
    if batch % parts:
        raise UsageError(
            f"A batch of {batch} images over {ranks.count} ranks, in {settings.accumulate} parts each: it must be a "
            f"multiple of {parts}. Give --batch {max(1, round(batch / parts)) * parts}."
        )
    say(
        f"{ranks.count} ranks: of every {batch} images each takes {batch // ranks.count}, and gradients are averaged; "
        "rates and steps are those of one rank with that batch"
    )


def cache_cap(settings: TrainConfig) -> int | None:
    """The largest size of the cached images in bytes, where it was given."""
    return None if settings.cache_gb is None else int(settings.cache_gb * GIGABYTE)


def _refuse_idle(settings: TrainConfig, task: AbstractTask) -> None:
    """A setting that would have no effect is an error."""
    for name in task.idle:
        if getattr(settings, name) != getattr(DEFAULTS, name):
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} has no effect where the task is to {task.name}. Leave it out.")


def _new_plan(
    source: _Source, task: AbstractTask, settings: TrainConfig, origin: Origin | None, began: float, say: Say
) -> tuple[Plan, Mapping[str, Any]]:
    dataset = source.dataset
    budget = None if settings.minutes is None else settings.minutes * 60 - RESERVED_SECONDS
    left = None if budget is None else budget - (time.monotonic() - began)
    drafted = draft(dataset, task, settings, origin, left)
    train = source.decoded("train", drafted.preprocess)
    for name in ("val", "test"):
        if dataset.splits.get(name):
            source.decoded(name, drafted.preprocess)
    preprocess = drafted.preprocess if origin is not None else with_statistics(drafted.preprocess, train)
    model, rate = _measured(dataset, task, drafted, preprocess, timed=budget is not None)
    pace = None
    if budget is not None:
        judged = sum(len(dataset.splits.get(name, ())) for name in ("val", "test"))
        pace = budget - (time.monotonic() - began) - judged / (EVALUATION_PACE * rate), rate
        if pace[0] < 1:
            raise UsageError(f"--minutes {settings.minutes:g} is over before training could begin. Give more.")
    plan = settle(drafted, task, preprocess, len(train.records), model, pace=pace)
    for name, reason in plan.reasons.items():
        say(f"{name} = {reason}")
    return plan, drafted.architecture


def _measured(
    dataset: Dataset, task: AbstractTask, drafted: Draft, preprocess: Preprocess, *, timed: bool
) -> tuple[AbstractModel, float]:
    """The drafted network and, where wanted, its images a second in training."""
    arguments = {name: value for name, value in drafted.architecture.items() if name != "name"}
    model = build_model(drafted.architecture["name"], len(dataset.classes), **arguments)
    if not timed:
        return model, 0.0
    return model, measure_rate(model, task, drafted.settings, preprocess, dataset.split("train"))


def _compare(saved: Mapping[str, Any], digest: str, device: torch.device, say: Say) -> None:
    """Refuse other data; say what else differs from where the run was begun."""
    if saved["data"]["digest"] != digest:
        raise UsageError(
            f"The data has changed since the run was begun (digest {digest[:12]}, was {saved['data']['digest'][:12]}). "
            "Begin a new run with another --out."
        )
    here = describe(device)
    for name, value in saved["machine"].items():
        if here.get(name) != value:
            say(f"{name} is {here.get(name)}, the run was begun with {value}: the last bits of the result may differ.")


def _complete(ledger: Ledger, splits: Mapping[str, Decoded]) -> Ledger:
    for decoded in splits.values():
        ledger = ledger.refuse(decoded.refused, decoded.notes)
    return ledger


def _say_data(dataset: Dataset, say: Say) -> None:
    counts = ", ".join(f"{len(records)} {name}" for name, records in dataset.splits.items())
    made = f" ({' and '.join(dataset.made)} cut from train)" if dataset.made else ""
    say(f"{dataset.root}: {dataset.format}, {len(dataset.classes)} classes, {counts}{made}")


def _say_refused(ledger: Ledger, say: Say) -> None:
    if ledger.refused:
        say(f"{len(ledger.refused)} of {ledger.offered} files and labels are refused; ledger.jsonl says why. First:")
        for refusal in ledger.refused[:3]:
            say(f"  {refusal}")


def _data_facts(dataset: Dataset, path: str | Path, digest: str) -> dict[str, Any]:
    counts = {name: len(records) for name, records in dataset.splits.items()}
    return {"path": str(path), "digest": digest, "format": dataset.format, "made": dataset.made, "counts": counts}
