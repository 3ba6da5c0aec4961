"""The first layer over time: a moment at the start and at every judgement, none that was undone."""

import torch

from pellucid import TrainConfig, train
from pellucid.checkpoint import load_model
from pellucid.training.events import Evaluated, Started, Stepped
from pellucid.training.folder import RunFolder, logged
from pellucid.training.kernels import first_kernels, keep_kernels, kernel_history
from tests.drawn import make_image_folder


def test_a_run_keeps_its_start_and_its_judgements(tmp_path):
    data = make_image_folder(tmp_path / "data", splits={"train": 8, "val": 4})
    train(data, tmp_path / "run", TrainConfig(model="net", epochs=2, batch=8, seed=1))
    folder = RunFolder(tmp_path / "run")
    found = kernel_history(folder)
    judged = [row for row in logged(folder) if row["event"] == "evaluated"]
    assert sorted(found) == sorted({0, *(row["step"] for row in judged)})
    best = [row["step"] for row in judged if row["best"]][-1]
    assert torch.equal(found[best], first_kernels(load_model(folder.model)[0]))
    assert not torch.equal(found[0], found[best])


def test_what_a_killed_run_had_beyond_its_checkpoint_is_cut_off(tmp_path):
    folder, layer = RunFolder(tmp_path), torch.nn.Conv2d(3, 2, 3)
    for step in (10, 20, 30):
        keep_kernels(folder, Evaluated(step, 1.0, "top1", 0.5, True), layer)
    keep_kernels(folder, Stepped(31, 40, 1.5, {}, 0.1, 1.0, 10.0), layer)
    assert list(kernel_history(folder)) == [10, 20, 30]
    keep_kernels(folder, Started(20, 40, 320, 5000), layer)
    assert list(kernel_history(folder)) == [10, 20]


def test_a_network_without_a_convolution_has_none(tmp_path):
    folder = RunFolder(tmp_path)
    keep_kernels(folder, Started(0, 40, 320, 5000), torch.nn.Linear(2, 2))
    assert kernel_history(folder) == {}
    assert not folder.kernels.exists()
