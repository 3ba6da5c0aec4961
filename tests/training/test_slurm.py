"""A job for Slurm: the script says what was asked, and stopped by a signal it is queued again and ends with the same
bits. The commands of Slurm are shell scripts that start real ranks with its variables."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import TrainConfig, cli
from pellucid.cli import main
from pellucid.training.slurm import Job, train_words, write_job
from tests.drawn import make_image_folder

SBATCH = """
value() { sed -n "s/^#SBATCH --$1=//p" "$script"; }
script=$1
export SLURM_JOB_ID=$((4000 + $$ % 10000)) SLURM_CPUS_PER_TASK=$(value cpus-per-task)
export SLURM_NTASKS=$(($(value nodes) * $(value ntasks-per-node))) SLURM_RESTART_COUNT=$(wc -l < requeued)
(bash "$script"; echo $? >> ended) >> "$(value output)" 2>&1 &
echo Submitted batch job $SLURM_JOB_ID
"""
SRUN = """
while [[ $1 == -* ]]; do shift; done
export SLURM_STEP_NODELIST=localhost SLURM_STEP_NUM_TASKS=$SLURM_NTASKS SLURM_LOCALID=0
for ((rank = 0; rank < SLURM_NTASKS; rank++)); do
    SLURM_PROCID=$rank "$@" &
    pids+=($!)
done
echo ${pids[@]} > pids
for pid in ${pids[@]}; do
    wait $pid
    code=$?
    ((code > worst)) && worst=$code
done
exit $((worst))
"""
DEFAULTS = TrainConfig()
SCONTROL = '[ "$1" = requeue ] && echo "$2" >> requeued\n'
FLAGS = ["--model", "net", "--epochs", "60", "--batch", "12", "--threads", "1", "--precision", "fp32"]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder in which sbatch, srun and scontrol are there."""
    for name, body in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "requeued").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    """For at most two minutes."""
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def codes() -> list[str]:
    """Of the jobs that have ended."""
    return Path("ended").read_text().split() if Path("ended").exists() else []


def last_step(run: Path) -> int:
    """That of the last event; 0 where there is none."""
    path = run / "events.jsonl"
    return max((json.loads(line)["step"] for line in path.read_text().splitlines()), default=0) if path.exists() else 0


def test_a_stopped_job_is_queued_again_and_ends_with_the_same_bits(cluster, capsys):
    """Once when its time is nearly up, and once when it is preempted."""
    make_image_folder(cluster / "data", per_class=16)
    whole, cut, log = (cluster / "runs" / name for name in ("whole", "cut", "cut.log"))
    job = ["--slurm", "--nodes", "2", "--cores", "1", "--submit"]
    assert main(["train", "data", "--out", "runs/whole", *FLAGS, *job]) == 0
    wait_for(lambda: codes() == ["0"], cluster / "runs" / "whole.log")
    assert main(["train", "data", "--out", "runs/cut", *FLAGS, *job]) == 0
    assert "job: runs/cut.sbatch\nSubmitted batch job " in capsys.readouterr().out
    for times, number in ((1, signal.SIGUSR1), (2, signal.SIGTERM)):
        before = last_step(cut)
        wait_for(lambda: last_step(cut) > before, log)  # noqa: B023  (called at once)
        for pid in Path("pids").read_text().split():
            os.kill(int(pid), number)
        wait_for(lambda: len(codes()) == times + 1, log)  # noqa: B023
        assert codes()[-1] == str(128 + number), log.read_text()
        assert len(Path("requeued").read_text().split()) == times
        assert last_step(cut) < last_step(whole)
        subprocess.run(["sbatch", "runs/cut.sbatch"], check=True)
    wait_for(lambda: len(codes()) == 4, log)
    assert codes()[-1] == "0", log.read_text()
    assert log.read_text().count("going on after step") == 2
    assert len(Path("requeued").read_text().split()) == 2
    for name in ("model.safetensors", "metrics.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_a_failed_job_is_not_queued_again(cluster):
    assert main(["train", "nothing", "--out", "runs/1", "--slurm", "--submit"]) == 0
    wait_for(lambda: codes() == ["2"], cluster / "runs" / "1.log")
    assert "There is no 'nothing'" in (cluster / "runs" / "1.log").read_text()
    assert not Path("requeued").read_text()


def test_the_script_asks_for_what_was_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_job(["pellucid", "train", "a b"], "runs/x", Job(nodes=3, gpus=4, cores=16)) == Path("runs/x.sbatch")
    text = Path("runs/x.sbatch").read_text()
    assert subprocess.run(["bash", "-n", "runs/x.sbatch"]).returncode == 0
    asked = {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert {"nodes=3", "ntasks-per-node=4", "gpus-per-node=4", "cpus-per-task=16", "requeue", "job-name=x"} <= asked
    assert {"signal=USR1@120", "output=runs/x.log", "open-mode=append"} <= asked
    assert "    pellucid train 'a b'\n" in text
    without = write_job(["pellucid"], "runs/y", Job(nodes=1, gpus=0, cores=1)).read_text()
    assert "ntasks-per-node=1" in without
    assert "gpus" not in without


def test_the_command_has_the_settings_that_were_given(monkeypatch):
    """Every kind of value: read again, the words are the same settings."""
    given = TrainConfig(
        model="resnet18", lr=0.05, freeze=("conv1", "layer1"), arguments=("grid=14", "boxes=3"), sync_batch_norm=True
    )
    words = train_words("photos", "runs/x", given, resume=True)
    assert words[:5] == ["pellucid", "train", "photos", "--out", "runs/x"]
    found = []

    def heard(data: str, settings: TrainConfig = DEFAULTS, *, out: str = "", resume: bool = False) -> int:
        found.append((data, settings, out, resume))
        return 0

    monkeypatch.setitem(cli.VERBS, "train", heard)
    assert main(words[1:]) == 0
    assert found == [("photos", given, "runs/x", True)]
    assert train_words("photos", "runs/x", TrainConfig(), resume=False) == words[:5]


def test_what_cannot_be_a_job_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "runs" / "old" / "letter.txt").touch()
    (tmp_path / "runs" / "edited.sbatch").write_text("mine")
    for words, said in {
        "--nodes 2": "they go with --slurm",
        "--slurm": "--slurm needs --out",
        "--slurm --out runs/x --nodes 0": "--nodes is 0; it must be at least 1",
        "--slurm --out runs/old": "runs/old is not empty (letter.txt",
        "--slurm --out runs/edited": "runs/edited.sbatch is there already, with other words",
        "--slurm --out runs/x --submit": "there is no sbatch on this machine. Submit runs/x.sbatch",
    }.items():
        assert main(["train", "photos", *words.split()]) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'no such partition' >&2; exit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    assert main(["train", "photos", "--slurm", "--out", "runs/x", "--submit"]) == 2
    assert "sbatch refused runs/x.sbatch: no such partition" in capsys.readouterr().err
