"""What the ranks of a test do: started by torchrun, `python ranked.py evaluate | train | predict …`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pellucid import TrainConfig, answers
from pellucid.cli import main
from pellucid.data import loader
from pellucid.evaluation import evaluate
from pellucid.files import write_atomic
from pellucid.ranks import Ranks, joined, placed
from pellucid.training.run import train

ROOT = Path(__file__).parents[1]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--max-restarts", "1"]


def torchrun(count: int, *words: object) -> None:
    """Run this file on so many ranks, of one thread each."""
    _run(*TORCHRUN, "--nproc-per-node", count, "-m", "tests.ranked", *words)


def alone(*words: object) -> None:
    """The same without torchrun."""
    _run("-m", "tests.ranked", *words)


def _run(*words: object) -> None:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


def judge(ranks: Ranks, folder: Path) -> None:
    """Judge `TASK.safetensors` on the data `TASK`, of all tasks, in batches of two; the first rank writes."""
    loader.MOST_JUDGED = 2
    found = {
        path.stem: evaluate(path, folder / path.stem, ranks=ranks).to_json()
        for path in sorted(folder.glob("*.safetensors"))
    }
    if ranks.main:
        (folder / f"{ranks.count}.json").write_text(json.dumps(found))


def settings(**changed: Any) -> TrainConfig:
    """Of a short run; a save after every step."""
    given = {"model": "net", "epochs": 3, "batch": 12, "threads": 1, "seed": 3, "save_seconds": 0.0, "ema": 0.8}
    still = {"precision": "fp32", "optimizer": "sgd", "shift": 0.0, "zoom": 1.0, "color": 0.0, "hflip": 0.0}
    return TrainConfig(**{**given, **still, "mixup": 0.2, **changed})


def run(ranks: Ranks, data: Path, out: Path, words: list[str]) -> None:
    """Train for some steps; of `killed` the last rank kills itself once, of `stopped` it asks to stop."""
    asked = 0

    def stop() -> str:
        nonlocal asked
        asked += 1
        if asked != 8 or ranks.rank != ranks.count - 1:
            return ""
        if "killed" in words and not ranks.again:
            os.kill(os.getpid(), signal.SIGKILL)
        return "enough" if "stopped" in words else ""

    changed = {"mixup": 0.0} if "plain" in words else {}
    train(data, out, settings(**changed), resume=ranks.again > 0 or "again" in words, stop=stop, ranks=ranks)


def say(words: list[str]) -> int:
    """Predict in parts of 16, each of which is put down in `written` below the file's folder when it is written.

    With KILLED set, the second of two ranks kills itself behind its second part, once.
    """
    ranks, _ = placed(os.environ) or (Ranks(), "")
    answers.PART = 16

    def written(path: Path, content: bytes) -> None:
        write_atomic(path, content)
        with (path.parents[1] / "written").open("a") as log:
            log.write(f"{ranks.again} {ranks.rank} {path.name}\n")
        if "KILLED" in os.environ and path.name == "000007" and not ranks.again:
            os.kill(os.getpid(), signal.SIGKILL)

    answers.write_atomic = written
    return main(["predict", *words])


if __name__ == "__main__":
    if sys.argv[1] == "predict":
        sys.exit(say(sys.argv[2:]))
    with joined() as mine:
        if sys.argv[1] == "evaluate":
            judge(mine, Path(sys.argv[2]))
        else:
            run(mine, Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
