"""Training runs in processes that may be killed, started from a server that has torch imported already."""

import os
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.config import TrainConfig

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["pellucid.training.run", "tests.training.child"])


def run(data: Path, out: Path, settings: dict[str, Any], resume: bool, die_at_flush: int | None = None) -> None:
    """Train; with `die_at_flush`, die by SIGKILL at that flush to disk, which is in the middle of a save."""
    from pellucid.training.run import train

    if die_at_flush is not None:
        _arm(die_at_flush)
    train(data, out, TrainConfig(**settings), resume=resume)


def _arm(die_at_flush: int) -> None:
    flush, left = files._flush, [die_at_flush]

    def counted(path: Path) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    files._flush = counted


def start(data: Path, out: Path, settings: dict[str, Any], *, resume: bool = False, die_at_flush: int | None = None):
    """A process that trains."""
    process = SERVER.Process(target=run, args=(data, out, settings, resume, die_at_flush))
    process.start()
    return process
