"""One training run, from a folder of images to a judged model and its report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.checkpoint import Manifest, save_model
from pellucid.config import TrainConfig
from pellucid.errors import PellucidError
from pellucid.models.base import AbstractModel
from pellucid.ranks import ALONE, Ranks
from pellucid.training.events import Evaluated, Event, Finished, Stopped
from pellucid.training.finish import finish
from pellucid.training.folder import RunFolder, RunLog, logged
from pellucid.training.kernels import keep_kernels
from pellucid.training.loop import fit, never
from pellucid.training.prepare import Prepared, Say, prepare
from pellucid.training.start import begin_model

__all__ = ["Outcome", "train"]


def _silent(_words: Any) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `stopped` is the reason when it can be resumed, empty when it is finished.

    `metrics` is what metrics.json holds: the figures of the validation and the test split.
    """

    folder: Path
    stopped: str
    metrics: Mapping[str, Any]


def train(
    data: str | Path,
    out: str | Path,
    settings: TrainConfig | None = None,
    *,
    resume: bool = False,
    stop: Callable[[], str] = never,
    listen: Callable[[Event], None] = _silent,
    say: Say = _silent,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train on a folder of images; leave model, figures and report in the run folder `out`.

    `listen` hears every event, `say` what was derived and found, in words; `stop` is asked before every step, and what
    it answers is the reason to stop. Several `ranks` train together, in a run folder that all of them see; the first
    one writes and speaks.
    """
    settings = settings or TrainConfig()
    folder = RunFolder(Path(out))
    if not ranks.main:
        listen = say = _silent
    with ranks.main_first():
        saved = folder.claim(settings, resume=resume) if ranks.main else folder.saved()
        if saved is not None and folder.metrics.is_file():
            say(f"{folder.path} is finished; nothing is left to do.")
            return Outcome(folder.path, "", json.loads(folder.metrics.read_text()))
        if resume and saved is None:
            say(f"There is no run in {folder.path} to go on with; this begins one.")
        run = prepare(data, folder, settings, saved, say, ranks)
    try:
        reason = _trained(run, stop, listen)
    except PellucidError:
        if ranks.main and saved is None and not any(row["event"] == "stepped" for row in logged(folder)):
            folder.abandon()
        raise
    ranks.wait()  # until the model file is written
    return Outcome(folder.path, reason, {} if reason else finish(run))


def _trained(run: Prepared, stop: Callable[[], str], listen: Callable[[Event], None]) -> str:
    """Run the loop to its end (gives an empty text) or until it was asked to stop (gives the reason)."""
    model = begin_model(run.architecture, len(run.dataset.classes), run.plan.settings.seed, run.origin)
    log = RunLog(run.folder) if run.ranks.main else None
    if log is not None:
        log.open()
    events = fit(
        model,
        run.task,
        run.train,
        run.val,
        run.plan,
        device=run.device,
        checkpoint=run.folder.checkpoint,
        stop=stop,
        ranks=run.ranks,
    )
    try:
        for event in events:
            if log is not None:
                log.add(event)
                keep_kernels(run.folder, event, model)
            listen(event)
            if _to_keep(event, run):
                save_model(run.folder.model, model, _manifest(run, model))
            if isinstance(event, Stopped):
                return event.reason
    finally:
        if log is not None:
            log.close()
    return ""


def _to_keep(event: Event, run: Prepared) -> bool:
    """The best weights on the validation split; without one, the last."""
    best = (isinstance(event, Evaluated) and event.best) or (isinstance(event, Finished) and run.val is None)
    return run.ranks.main and best


def _manifest(run: Prepared, model: AbstractModel) -> Manifest:
    settings = {name: value for name, value in run.plan.settings.to_json().items() if name != "save_seconds"}
    return Manifest(
        task=run.dataset.task,
        classes=run.dataset.classes,
        preprocess=run.plan.preprocess,
        data=run.digest,
        origin={"trained": settings},
    )
