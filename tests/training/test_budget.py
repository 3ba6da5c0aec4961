"""The largest network that the minutes allow, by speeds that are given here instead of measured."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pellucid.config import TrainConfig
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.training.budget import choose, measure_rate
from pellucid.types import Record

LADDER = Classify(("a", "b")).ladder
IMAGES = 60_000


def macs(candidate) -> int:
    """Multiplications of one image, counted by hooks on the meta device."""
    with torch.device("meta"):
        model, total = build_model(candidate.model, 10, **candidate.arguments), []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(
                lambda module, _inputs, output: total.append(output.numel() * module.weight[0].numel())
            )
    model.eval()(torch.empty(1, 3, candidate.side, candidate.side, device="meta"))
    return sum(total)


@pytest.mark.parametrize("side", [3, 8, 28, 32, 63, 64, 65, 70, 90, 100, 129, 200, 224, 1000])
def test_candidates_ascend_in_work_and_fit_the_images(side):
    ladder = LADDER(side)
    work = [macs(candidate) for candidate in ladder]
    assert all(small < large for small, large in itertools.pairwise(work))
    assert len(ladder) >= 5
    assert all(candidate.side == candidate.arguments["side"] <= max(8, side) for candidate in ladder)


def rates(fitting: int, seconds: float):
    """Speeds at which exactly the first `fitting` candidates make their passes; and what was asked for."""
    asked = []

    def rate(candidate) -> float:
        asked.append(candidate)
        passes = 12.5 if len(asked) <= fitting else 5.0
        return passes * IMAGES / seconds

    return rate, asked


@given(fitting=st.integers(0, 7), seconds=st.floats(60, 1e5))
def test_the_largest_that_fits_is_chosen_and_no_larger_one_measured(fitting, seconds):
    ladder = LADDER(28)
    rate, asked = rates(fitting, seconds)
    offer, why = choose(rate, ladder, IMAGES, 12, seconds)
    place = max(fitting, 1)
    assert offer.candidate is ladder[place - 1]
    assert len(asked) == min(place + 1, len(ladder))
    assert offer.epochs == pytest.approx(12.5 if fitting else 5.0, rel=0.01)
    assert "about 12 are wanted" in why
    assert ("largest on offer" in why) == (place == len(ladder))


def test_what_measuring_takes_is_gone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("pellucid.training.budget.time.monotonic", lambda: now[0])

    def rate(_candidate) -> float:
        now[0] += 30
        return 12.5 * IMAGES / 100

    offer, _ = choose(rate, LADDER(28), IMAGES, 12, 100.0)
    assert offer.candidate == LADDER(28)[0]
    assert offer.epochs == pytest.approx(12.5 * 0.7)


@pytest.mark.parametrize(("batch", "accumulate"), [(8, 1), (24, 8)])
def test_a_measured_rate_is_that_of_whole_steps(batch, accumulate):
    """Six records and batches of 24 in eight parts: batches are always full."""
    task = Classify(("a", "b"))
    records = tuple(Record(Path(f"{place}.png"), place % 2) for place in range(6))
    preprocess = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    settings = TrainConfig(batch=batch, accumulate=accumulate, size=8, precision="fp32", device="cpu")
    model = build_model("compact", 2, width=4, side=8)
    before = model.fc.weight.detach().clone()
    assert 10 < measure_rate(model, task, settings, preprocess, records) < 1e7
    assert not torch.equal(model.fc.weight, before)  # real updates were timed
