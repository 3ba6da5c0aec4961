"""`pellucid train`: images in, a model and its report out."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.config import TrainConfig
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.training.slurm import Job

__all__ = ["train"]

DEFAULTS = TrainConfig()
CORES = 8


def train(
    data: str,
    settings: TrainConfig = DEFAULTS,
    *,
    out: str | None = None,
    resume: bool = False,
    slurm: bool = False,
    nodes: int = 1,
    gpus: int = 0,
    cores: int = CORES,
    submit: bool = False,
) -> int:
    """Train on your images; leaves the model, its figures and report.html in the run folder.

    Args:
        data: A folder of images (one subfolder a class), a CSV or TSV table, or the name of a set (fashion-mnist).
        settings: The settings.
        out: The run folder. Derived: runs/1, runs/2, …; several ranks are told, and see the same one.
        resume: Go on with the run in that folder, to the same bits as if it had never been stopped.
        slurm: Do not train now; write a job for Slurm beside the run folder, which trains and is queued again when it
            was stopped.
        nodes: With --slurm, on how many nodes.
        gpus: With --slurm, GPUs of each node, with a process apiece; 0 is one process a node, without a GPU.
        cores: With --slurm, processor cores of each process.
        submit: With --slurm, give the job to sbatch.
    """
    if slurm:
        from pellucid.training.slurm import Job

        return _as_job(data, settings, out, Job(nodes, gpus, cores), resume=resume, submit=submit)
    if (nodes, gpus, cores, submit) != (1, 0, CORES, False):
        raise UsageError("--nodes, --gpus, --cores and --submit are for a job: they go with --slurm.")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # several ranks would each warn of what is meant so
    from pellucid.ranks import joined
    from pellucid.terminal import StopSignals, TrainingView, figures, note
    from pellucid.training.run import train as train_run

    if out is None and resume:
        raise UsageError("--resume needs --out, the folder of the run to go on with.")
    stop = StopSignals()
    with joined() as ranks, TrainingView() as view:
        if out is None and ranks.count > 1:
            raise UsageError("Several ranks need --out, a run folder that all of them see.")
        folder = out or _new_run()
        outcome = train_run(
            *(data, folder, settings),
            resume=resume or ranks.again > 0,
            stop=stop,
            listen=view.hear,
            say=view.say,
            ranks=ranks,
        )
    if outcome.stopped:
        if ranks.main:
            note(f"Stopped by {outcome.stopped}. Go on with: pellucid train {data} --out {folder} --resume")
        return 128 + (stop.number or signal.SIGTERM)
    if not ranks.main:
        return 0
    for split, row in outcome.metrics.items():
        print(f"{split}: {figures(row)}")
    print(f"model:  {outcome.folder / 'model.safetensors'}\nreport: {outcome.folder / 'report.html'}")
    return 0


def _as_job(data: str, settings: TrainConfig, out: str | None, job: "Job", *, resume: bool, submit: bool) -> int:
    """Write the job, and submit it where that is wanted."""
    from pellucid.training.folder import RunFolder
    from pellucid.training.slurm import submitted, train_words, write_job

    if out is None:
        raise UsageError("--slurm needs --out, a run folder that all nodes see.")
    if not resume:  # better refused now than when its turn has come
        RunFolder(Path(out)).claim(settings, resume=False)
    script = write_job(train_words(data, out, settings, resume=resume), out, job)
    print(f"job: {script}")
    if submit:
        print(submitted(script))
    return 0


def _new_run() -> str:
    number = 1
    while Path(f"runs/{number}").exists():
        number += 1
    return f"runs/{number}"
