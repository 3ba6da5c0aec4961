"""A run as a job of Slurm: a script for sbatch that starts it on its nodes, and queues it again when it was stopped."""

import dataclasses
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.config import TrainConfig
from pellucid.errors import PellucidError, UsageError
from pellucid.files import write_atomic

__all__ = ["Job", "submitted", "train_words", "write_job"]

NOTICE_SECONDS = 120
"""How long before its time is up a job is told: longer than a step and a checkpoint take."""

SCRIPT = """\
#!/bin/bash
# Written by pellucid train --slurm, and yours to edit. Submit it with: sbatch {script}
# Account, partition and time are your site's: add #SBATCH lines, or export SBATCH_ACCOUNT, SBATCH_PARTITION and
# SBATCH_TIMELIMIT.
#SBATCH --job-name={name}
{resources}
#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@{notice}

# USR1 reaches every rank {notice} seconds before the time is up, TERM when another job needs the nodes. The ranks then
# save a checkpoint and stop, and srun ends with 128 + the signal: 138 or 143. The job is queued again, and what it
# starts then goes on from the checkpoint.
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    {command}
code=$?
if [ $code -eq 138 ] || [ $code -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run asks of Slurm: nodes, the GPUs of each with a process apiece, and the cores of each process.

    Without GPUs a node has one process.
    """

    nodes: int
    gpus: int
    cores: int

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be meant."""
        for name, least in (("nodes", 1), ("gpus", 0), ("cores", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name} is {getattr(self, name)}; it must be at least {least}.")

    def directives(self) -> str:
        """Lines for sbatch."""
        asked = [f"nodes={self.nodes}", f"ntasks-per-node={max(1, self.gpus)}", f"cpus-per-task={self.cores}"]
        asked += [f"gpus-per-node={self.gpus}"] if self.gpus else []
        return "\n".join(f"#SBATCH --{word}" for word in asked)


def train_words(data: str, out: str, settings: TrainConfig, *, resume: bool) -> list[str]:
    """The command that trains with these settings, word by word."""
    words = ["pellucid", "train", data, "--out", out]
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            words += [flag, *map(str, () if value is True else value if isinstance(value, tuple) else (value,))]
    return [*words, "--resume"] if resume else words


def write_job(words: Sequence[str], out: str, job: Job) -> Path:
    """Write the script beside the run folder: `runs/1.sbatch` for `runs/1`, whose output goes to `runs/1.log`.

    One that was edited is refused, not overwritten.
    """
    script, log = (Path(f"{Path(out)}.{suffix}") for suffix in ("sbatch", "log"))
    text = SCRIPT.format(
        script=shlex.quote(str(script)),
        name=shlex.quote(script.stem),
        resources=job.directives(),
        log=shlex.quote(str(log).replace("%", "%%")),
        notice=NOTICE_SECONDS,
        command=shlex.join(words),
    )
    if script.exists() and script.read_text("utf-8") != text:
        raise UsageError(f"{script} is there already, with other words. Submit it with sbatch, or remove it first.")
    write_atomic(script, text)
    return script


def submitted(script: Path) -> str:
    """Give a script to sbatch; what it answers."""
    try:
        done = subprocess.run(["sbatch", str(script)], check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UsageError(
            f"--submit: there is no sbatch on this machine. Submit {script} where Slurm is, on a login node."
        ) from error
    if done.returncode:
        raise PellucidError(
            f"sbatch refused {script}: {' '.join(done.stderr.split())} Edit the script, or export SBATCH_ACCOUNT, "
            "SBATCH_PARTITION or SBATCH_TIMELIMIT, and submit it again."
        )
    return done.stdout.strip()
