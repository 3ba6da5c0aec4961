"""The training loop: a plain loop that yields what happens.

Stopping is leaving it; resuming is entering it with a checkpoint. Everything random in a step is a pure function of
(seed, step), so a checkpoint holds tensors and a step number and no state of any generator.
"""

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from pellucid.catalog import suggestion
from pellucid.data.ahead import ReadAhead
from pellucid.data.loader import Loader, random_seed
from pellucid.errors import NonFiniteError, UsageError
from pellucid.evaluation import measure
from pellucid.models.base import AbstractModel
from pellucid.ranks import ALONE, Ranks
from pellucid.tasks.base import AbstractTask
from pellucid.training.events import Evaluated, Event, Finished, Replanned, Saved, Started, Stepped, Stopped
from pellucid.training.optim import make_optimizers, rate_factor, set_rate
from pellucid.training.plan import Plan
from pellucid.training.state import Progress, load_progress, save_progress
from pellucid.training.step import (
    augmented,
    average_into,
    backward,
    first_wrong_layer,
    gradient_norm,
    refuse_non_finite,
)

__all__ = ["fit", "never"]

LOOK_SECONDS = 2.0
LOOK_SHARE = 0.15
"""How often the pace is held against the minutes, and what a look counts in its running mean."""


def never() -> str:
    """Never asks to stop."""
    return ""


def fit(
    model: AbstractModel,
    task: AbstractTask,
    train: Loader,
    val: Loader | None,
    plan: Plan,
    *,
    device: torch.device | None = None,
    checkpoint: Path | None = None,
    stop: Callable[[], str] = never,
    ranks: Ranks = ALONE,
) -> Iterator[Event]:
    """Train `model` in place and yield what happens; goes on from `checkpoint` where that file exists.

    `stop` is asked before every step; what it answers is the reason to stop, and the run is saved first. At an
    `Evaluated` event and after the last one, the model given holds the weights that were judged: the averaged ones
    where there are any.

    Several `ranks` train together: each takes its part of every batch, all hear the same events, and the first one
    saves.
    """
    device = device or torch.device("cpu")
    progress = _begin(model, plan, device, ranks)
    if checkpoint is not None and checkpoint.exists():
        load_progress(checkpoint, progress)
    checkpoint = checkpoint if ranks.main else None
    clock = _Clock(progress.elapsed)
    yield Started(progress.step, progress.steps, len(train), sum(weight.numel() for weight in model.parameters()))

    with ReadAhead(train, ranks) as batches:
        while not (reason := _finished(progress, plan)):
            if asked := _asked(stop, ranks):
                yield from _save(checkpoint, progress)
                yield Stopped(progress.step, asked)
                return
            yield _step(progress, task, batches, plan, device, checkpoint, ranks=ranks)
            progress.elapsed = clock.elapsed()
            yield from _replan(progress, plan, clock, ranks)
            if val is not None and _evaluation_due(progress, train, plan):
                yield _evaluate(progress, task, train, val, plan, device, ranks=ranks)
                progress.elapsed = clock.elapsed()
            if clock.since_save() >= plan.settings.save_seconds:
                yield from _save(checkpoint, progress)
                clock.saved()

    yield from _save(checkpoint, progress)
    yield Finished(progress.step, reason, progress.best)


class _Clock:
    """Seconds since the run began, resumed runs included; since the last checkpoint; and the pace of late."""

    def __init__(self, before: float) -> None:
        self._start = self._save = self._look = time.monotonic()
        self._before = before
        self._looked_at = -1
        self._pace: float | None = None

    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._start

    def since_save(self) -> float:
        return time.monotonic() - self._save

    def saved(self) -> None:
        self._save = time.monotonic()

    def pace(self, step: int, left: float) -> float | None:
        """Steps a second of late, looked at every two seconds; None between the looks.

        A running mean over some fifteen seconds, so that a moment of other load does not bend the learning rate; over
        less where fewer seconds are left, so that the end is met.
        """
        now = time.monotonic()
        if self._looked_at < 0:
            self._look, self._looked_at = now, step
        seconds = now - self._look
        if seconds < LOOK_SECONDS:
            return None
        latest = (step - self._looked_at) / seconds
        share = min(1.0, max(LOOK_SHARE, 2 * seconds / max(left, seconds)))
        self._pace = latest if self._pace is None else self._pace + share * (latest - self._pace)
        self._look, self._looked_at = now, step
        return self._pace


def _asked(stop: Callable[[], str], ranks: Ranks) -> str:
    """Why to stop, which all ranks do when one of them is asked to."""
    reason = stop()
    any_asked = ranks.greatest(bool(reason))
    return reason or ("another rank was asked to" if any_asked else "")


def _begin(model: AbstractModel, plan: Plan, device: torch.device, ranks: Ranks) -> Progress:
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    _freeze(model, plan.settings.freeze)
    _set_training(model)
    if plan.settings.sync_batch_norm:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    averaged = None
    if plan.settings.ema:
        averaged, model = model, copy.deepcopy(model)
    return Progress(model, ranks.parallel(model), averaged, make_optimizers(model, plan.settings), plan.steps)


def _freeze(model: nn.Module, prefixes: tuple[str, ...]) -> None:
    names = [name for name, _ in model.named_parameters()]
    for prefix in prefixes:
        frozen = [name for name in names if name == prefix or name.startswith(f"{prefix}.")]
        if not frozen:
            heads = {name.split(".")[0] for name in names}
            raise UsageError(f"--freeze {prefix}: the model has no such part.{suggestion(prefix, heads)}")
        for name in frozen:
            model.get_parameter(name).requires_grad_(False)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError(f"--freeze {' '.join(prefixes)}: nothing is left to train.")


def _set_training(model: nn.Module) -> None:
    """Training mode, except in parts whose every weight is frozen: their batch norms keep their statistics."""
    model.train()
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            module.eval()


def _finished(progress: Progress, plan: Plan) -> str:
    patience = plan.settings.patience
    if patience is not None and progress.behind >= patience:
        return f"no better figure on the validation split in {patience} evaluations"
    return "all steps done" if progress.step >= progress.steps else ""


def _step(
    progress: Progress,
    task: AbstractTask,
    batches: ReadAhead,
    plan: Plan,
    device: torch.device,
    checkpoint: Path | None,
    *,
    ranks: Ranks,
) -> Stepped:
    settings, train, start = plan.settings, batches.loader, time.perf_counter()
    place = (progress.step, ranks.rank) if ranks.rank else (progress.step,)
    generator = torch.Generator().manual_seed(random_seed(settings.seed, 2, *place))
    torch.manual_seed(random_seed(settings.seed, 3, *place))  # dropout draws from the global generator
    batch = batches.at(progress.step)
    images, targets = augmented(batch, task, plan, generator, device, progress.step / progress.steps)
    rate = set_rate(progress.optimizers, rate_factor(progress.step, progress.steps, settings))
    if not progress.model.training:
        _set_training(progress.model)
    statistics = [buffer.clone() for buffer in progress.model.buffers()]
    losses = backward(progress.model, images, targets, plan, ranks, progress.network)
    norm = gradient_norm(progress.model, settings.clip)
    try:
        refuse_non_finite(progress.model, losses, norm, images, plan)
    except NonFiniteError as error:
        for buffer, good in zip(progress.model.buffers(), statistics, strict=True):
            buffer.copy_(good)
        list(_save(checkpoint, progress))
        names = ", ".join(train.decoded.records[position].name for position in batch.positions[:4])
        raise NonFiniteError(
            f"Step {progress.step + 1}: {error} The batch: {names}{', …' if len(batch.positions) > 4 else ''}. "
            f"The state before this step is kept. Try a smaller --lr (it was {rate:g}), --clip 1 or --precision fp32."
        ) from error
    for optimizer in progress.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    progress.step += 1
    if progress.averaged is not None:
        average_into(progress.averages, progress.tensors, _decay(settings.ema or 0.0, progress.step))
    speed = train.batch / (time.perf_counter() - start)
    epoch = progress.step * train.batch / len(train)
    return Stepped(progress.step, progress.steps, epoch, losses, rate, norm, speed)


def _decay(decay: float, step: int) -> float:
    """Decay of the average, smaller in the first steps so that it forgets the initial weights."""
    return min(decay, step / (step + 10))


def _evaluation_due(progress: Progress, train: Loader, plan: Plan) -> bool:
    """At the end of every `evaluate_every`-th epoch, and after the last step."""
    if progress.step >= progress.steps:
        return True
    images = len(train) * (plan.settings.evaluate_every or 1)
    return progress.step * train.batch // images > (progress.step - 1) * train.batch // images


def _evaluate(
    progress: Progress,
    task: AbstractTask,
    train: Loader,
    val: Loader,
    plan: Plan,
    device: torch.device,
    *,
    ranks: Ranks,
) -> Evaluated:
    ranks.align(progress.judged)  # the first one's statistics are those that count
    try:
        metric = measure(progress.judged, task, val, plan.preprocess, plan.settings.precision, brief=True, ranks=ranks)
    except NonFiniteError as error:
        images = plan.preprocess.normalise(next(val.in_order()).images.to(device))
        layer = first_wrong_layer(progress.judged, images, plan)
        raise NonFiniteError(
            f"After step {progress.step}, on the validation split: {error} Of the network, {layer}. "
            "The last checkpoint is kept. Try a smaller --lr, --clip 1 or --precision fp32."
        ) from error
    name, value = metric.headline()
    # Of equal figures the later one is kept: it has seen more.
    best = value >= progress.best.get("value", -1.0)
    progress.behind = 0 if value > progress.best.get("value", -1.0) else progress.behind + 1
    epoch = progress.step * train.batch / len(train)
    if best:
        progress.best = {"step": progress.step, "epoch": epoch, "name": name, "value": value}
    return Evaluated(progress.step, epoch, name, value, best)


def _replan(progress: Progress, plan: Plan, clock: _Clock, ranks: Ranks) -> Iterator[Replanned]:
    """Change the number of steps so that the run ends with its minutes, at the pace of late."""
    if plan.seconds is None or progress.step >= progress.steps:
        return
    left = plan.seconds - progress.elapsed
    pace = clock.pace(progress.step, left)
    steps = progress.step + max(0, int(left * (pace or 0.0)))
    steps = ranks.of_main(progress.steps if left > 0 and pace is None else steps)
    if abs(steps - progress.steps) > 0.02 * (progress.steps - progress.step):
        progress.steps = steps
        yield Replanned(progress.step, steps)


def _save(checkpoint: Path | None, progress: Progress) -> Iterator[Saved]:
    if checkpoint is not None:
        save_progress(checkpoint, progress)
        yield Saved(progress.step, str(checkpoint))
