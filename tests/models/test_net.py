import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from pellucid.models.base import build_model


def test_it_has_the_parameters_of_the_course():
    sizes = [parameter.numel() for parameter in build_model("net", 10).parameters()]
    layers = [weight + bias for weight, bias in zip(sizes[::2], sizes[1::2], strict=True)]
    assert layers == [456, 2_416, 48_120, 10_164, 850]
    assert sum(layers) == 62_006


def test_it_does_the_work_of_the_course():
    with torch.device("meta"):
        model, x = build_model("net", 10), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert counter.get_total_flops() == 2 * 651_720


def test_it_is_the_composition_of_the_course():
    torch.manual_seed(0)
    model = build_model("net", 10)
    x = torch.randn(2, 3, 32, 32)
    w = dict(model.named_parameters())
    y = functional.max_pool2d(functional.conv2d(x, w["conv1.weight"], w["conv1.bias"]).clamp(min=0), 2)
    y = functional.max_pool2d(functional.conv2d(y, w["conv2.weight"], w["conv2.bias"]).clamp(min=0), 2)
    y = y.reshape(2, 400)
    y = (y @ w["fc1.weight"].T + w["fc1.bias"]).clamp(min=0)
    y = (y @ w["fc2.weight"].T + w["fc2.bias"]).clamp(min=0)
    torch.testing.assert_close(model(x), y @ w["fc3.weight"].T + w["fc3.bias"])


def test_it_says_that_32_is_its_only_size():
    model = build_model("net", 10)
    assert (model.size, model.fixed_size, model.head, model.task) == (32, True, "fc3", "classify")
