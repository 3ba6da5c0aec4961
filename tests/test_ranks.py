"""Several processes that torchrun starts are one run: the same figures, the same bits, whoever dies."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import TCPStore

from pellucid.checkpoint import Manifest, load_tensors, save_model
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.data.loader import Loader
from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.ranks import ALONE, Ranks, agreed, hosts_of, placed
from pellucid.tasks.classify import Classify
from pellucid.training.prepare import _divide
from pellucid.training.run import train
from tests import ranked
from tests.drawn import make_box_table, make_image_folder, make_mask_folder
from tests.ranked import alone, torchrun


def test_figures_are_the_same_for_any_number_of_ranks(tmp_path):
    """All three tasks, every figure to the last bit; 7 images are no multiple of anything."""
    makers = {"classify": make_image_folder, "segment": make_mask_folder, "detect": make_box_table}
    names = {"classify": "net", "segment": "fcn_compact", "detect": "yolo_n"}
    for task, make in makers.items():
        splits = {"train": 1, "test": 7}
        if task == "classify":
            make(tmp_path / task, splits=splits)
        else:
            make(tmp_path / task, splits)
        classes = open_dataset(tmp_path / task).classes
        rule = {"classify": "stretch", "segment": "scale", "detect": "letterbox"}[task]
        preprocess = Preprocess((32, 32), rule, 3, (0.5,) * 3, (0.25,) * 3)
        model = build_model(names[task], len(classes))
        save_model(tmp_path / f"{task}.safetensors", model, Manifest(task, classes, preprocess))
    alone("evaluate", tmp_path)
    torchrun(2, "evaluate", tmp_path)
    torchrun(4, "evaluate", tmp_path)
    first, *others = (json.loads((tmp_path / f"{count}.json").read_text()) for count in (1, 2, 4))
    assert first.keys() == makers.keys()
    assert first["detect"]["count"] == 7
    assert others == [first, first]


@pytest.mark.parametrize("count", [2, 4])
def test_a_killed_rank_changes_no_bit(tmp_path, count):
    data = make_image_folder(tmp_path / "data", per_class=16)
    torchrun(count, "train", data, tmp_path / "whole")
    torchrun(count, "train", data, tmp_path / "killed", "killed")
    whole, killed = (events(tmp_path / name) for name in ("whole", "killed"))
    assert killed == whole
    for name in ("model.safetensors", "metrics.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def events(run: Path) -> list[dict]:
    """What happened, without what depends on the clock and the folder, and without when it was gone on with."""
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    timeless = ({name: row[name] for name in row.keys() - {"images_per_second", "path"}} for row in rows)
    return [row for row in timeless if row["event"] != "started"]


def test_another_number_of_ranks_may_go_on(tmp_path):
    """The same images in the same steps; added up in another order, so the last bits differ."""
    data = make_image_folder(tmp_path / "data", per_class=16)
    torchrun(2, "train", data, tmp_path / "run", "stopped")
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert max(steps) == 7
    alone("train", data, tmp_path / "run", "again")
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_gradients_of_two_ranks_are_those_of_one(tmp_path):
    """Without augmentation a run of two ranks is, but for rounding, that of one with the same batches."""
    data = make_image_folder(tmp_path / "data", per_class=16)
    settings = ranked.settings(mixup=0.0)
    train(data, tmp_path / "one", settings)
    torchrun(2, "train", data, tmp_path / "two", "plain")
    one, two = (load_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    for name, value in one.items():
        if name.startswith("model/"):
            np.testing.assert_allclose(two[name].numpy(), value.numpy(), atol=2e-3, err_msg=name)


def test_parts_of_a_batch_are_the_batch(tmp_path):
    data = make_image_folder(tmp_path / "data", per_class=5)
    dataset = open_dataset(data, val=0, test=0)
    preprocess = Preprocess((32, 32), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    decoded = decode(dataset, "train", preprocess, dataset.digests())
    loader = Loader(decoded, Classify(dataset.classes), batch=6, seed=1)
    for step in range(4):
        whole = loader.at(step).positions
        assert sum((loader.at(step, rank, 3).positions for rank in range(3)), ()) == whole
    judged = [batch.positions for batch in loader.in_order()]
    assert [p for rank in range(4) for batch in loader.in_order(rank, 4) for p in [batch.positions]] == judged


def test_what_cannot_be_divided_is_refused():
    said: list[str] = []
    settings = ranked.settings()
    with pytest.raises(UsageError, match=r"A batch of 12 images over 5 ranks, .* Give --batch 10"):
        _divide(settings, Ranks(0, 5), torch.device("cpu"), said.append)
    _divide(settings, Ranks(0, 4), torch.device("cpu"), said.append)
    assert said == [
        "4 ranks: of every 12 images each takes 3, and gradients are averaged; rates and steps are those of one rank "
        "with that batch"
    ]
    with pytest.raises(UsageError, match="--sync-batch-norm is for several ranks on GPUs"):
        _divide(ranked.settings(sync_batch_norm=True), ALONE, torch.device("cpu"), said.append)


def test_who_and_where_from_torchrun_and_slurm():
    assert placed({}) is None
    torch_env = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    torch_env |= {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1", "TORCHELASTIC_RESTART_COUNT": "1"}
    assert placed(torch_env) == (Ranks(3, 4, 1, 2, again=1), "env://")
    slurm = {"SLURM_STEP_NODELIST": "gpu[07-08],x", "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8"}
    slurm |= {"SLURM_LOCALID": "2", "SLURM_JOB_ID": "1234567"}
    assert placed(slurm) == (Ranks(2, 8, 2, 1), "tcp://gpu07:34567")
    lonely = slurm | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_NUM_TASKS": "1"}
    assert placed(lonely | {"SLURM_RESTART_COUNT": "3"})[0] == Ranks(again=3)


def test_ranks_agree_whatever_earlier_starts_have_left():
    """Hosts count their restarts each for itself, and the store remembers ranks that have ended."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def start(delays: tuple[float, ...]) -> list[str]:
        def one(rank: int) -> str:
            time.sleep(delays[rank])
            return agreed(TCPStore("127.0.0.1", server.port, is_master=False), Ranks(rank, 3, again=rank))

        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(one, range(3)))

    names = [start(delays) for delays in ((0, 0.1, 0), (0.2, 0, 0.1), (0, 0.3, 0.4))]
    assert [len(set(found)) for found in names] == [1, 1, 1]
    assert len({found[0] for found in names}) == 3


@pytest.mark.parametrize(
    ("listed", "hosts"),
    [
        ("a", ["a"]),
        ("a,b7", ["a", "b7"]),
        ("a[01-03,7],b", ["a01", "a02", "a03", "a7", "b"]),
        ("r1i0n[9-11]", ["r1i0n9", "r1i0n10", "r1i0n11"]),
        ("c[1-2]-ib", ["c1-ib", "c2-ib"]),
    ],
)
def test_hosts_as_slurm_lists_them(listed, hosts):
    assert hosts_of(listed) == hosts


def test_alone_everything_is_ones_own():
    assert ALONE.mean({"a": 2.0}) == {"a": 2.0}
    assert ALONE.greatest(3) == ALONE.of_main(3) == 3
    arrays = {"x": np.arange(3)}
    assert np.array_equal(ALONE.gathered(arrays)[0]["x"], arrays["x"])
    with ALONE.main_first():
        ALONE.wait()
