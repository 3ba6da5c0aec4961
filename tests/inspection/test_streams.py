"""The logit of a pixel is the sum of what each stride adds."""

import pytest
import torch

from pellucid.inspection.layering import account_layers
from pellucid.inspection.streams import streams_of
from pellucid.inspection.targets import Pixel
from tests.inspection.test_accounting import built, images

NAMES = [
    *(f"fcn{stride}s" for stride in (32, 16, 8)),
    *(f"fcn{stride}s_resnet18" for stride in (32, 16, 8)),
]


@pytest.mark.parametrize("name", NAMES)
def test_streams_add_up_at_every_pixel(name):
    model = built(name)
    x = images(model, 1)
    with torch.no_grad():
        logits = model.eval()(x)
    for target in (Pixel(10, 20, 2), Pixel(0, 31, 1, versus=4)):
        found = streams_of(model, x, target)
        assert found.badge == "EXACT"
        assert found.logit == pytest.approx(float(target.number(model, logits, ())), rel=1e-6)
        assert abs(found.residual) <= 1e-5 * max(abs(one.contribution) for one in found.streams)
        total = sum(one.plane for one in found.streams)
        assert torch.allclose(total, found.plane, atol=1e-4)
        for one in found.streams:
            assert float(one.plane[target.y, target.x]) == one.contribution
    assert len(found.streams) == {"32": 1, "16": 2, "8s": 3}[name[3:5]]


def test_a_stream_is_what_the_account_says_of_its_score():
    """The scores of a level, with the pattern fixed, give what the level adds."""
    model = built("fcn8s_resnet18")
    x, target = images(model, 1), Pixel(10, 20, 2)
    layers = {layer.step.name: layer for layer in account_layers(model, x, target).layers}
    for one in streams_of(model, x, target).streams:
        assert layers[f"classifier.score.{one.name}"].through == pytest.approx(one.contribution, abs=1e-5)


def test_what_has_no_streams_says_so():
    model = built("fcn_compact")
    assert streams_of(model, images(model, 1), Pixel(1, 1, 0)) is None


def test_a_wrong_stream_is_caught(monkeypatch):
    model = built("fcn8s_resnet18")
    honest = model.streams

    def planted(x):
        found = honest(x)
        return found | {"layer3": found["layer3"] * 1.01}

    monkeypatch.setattr(model, "streams", planted, raising=False)
    assert streams_of(model, images(model, 1), Pixel(10, 20, 2)).badge == "FIRST-ORDER"
