import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.errors import LookupFailed, UsageError
from pellucid.models.base import build_model


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(LookupFailed, match=r"No model named 'resnt18'\. Did you mean 'resnet18'\?"):
        build_model("resnt18", 10)


def test_an_unknown_argument_is_an_error_that_shows_the_known_ones():
    with pytest.raises(UsageError, match=r"'resnet18': .*'shortcut'\. It takes \(classes: int, \*, in_channels"):
        build_model("resnet18", 10, shortcut="A")


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (10, 0), (-1, 3)])
def test_no_class_or_no_channel_is_refused(classes, channels):
    with pytest.raises(UsageError, match="at least one class and one channel"):
        build_model("net", classes, in_channels=channels)


OWN = """
import torch
from pellucid.models.base import AbstractClassifier


class Linear(AbstractClassifier):
    head = "fc"

    def __init__(self, classes, *, in_channels=3, width=1):
        super().__init__()
        self.fc = torch.nn.Linear(in_channels * width, classes)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


def broken(classes, *, in_channels=3):
    return None + 1


def foreign(classes, *, in_channels=3):
    return torch.nn.Linear(3, classes)


NUMBER = 3
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mynet.py"
    path.write_text(OWN)
    return path


def test_a_users_file_is_a_model(own):
    model = build_model(f"{own}:Linear", 4)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    assert model.architecture == {"name": f"{own}:Linear", "classes": 4, "in_channels": 3}


def test_a_mistake_inside_a_users_constructor_keeps_its_own_error(own):
    with pytest.raises(TypeError, match="NoneType"):
        build_model(f"{own}:broken", 4)


def test_what_is_no_model_is_refused(own):
    with pytest.raises(UsageError, match="builds a Linear, which is not an AbstractModel"):
        build_model(f"{own}:foreign", 4)
    with pytest.raises(UsageError, match="is a int; a model is a class or a function"):
        build_model(f"{own}:NUMBER", 4)


def test_loss_with_one_hot_rows_is_torchs_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 4, generator=generator), torch.tensor([0, 1, 2, 3, 1, 1])
    weights = torch.tensor([1.0, 0.5, 2.0, 3.0])
    model = build_model("net", 4)
    plain = model.loss(logits, functional.one_hot(labels, 4).float())
    weighted = model.loss(logits, functional.one_hot(labels, 4) * weights[labels, None])
    assert list(plain) == ["cross_entropy"]
    torch.testing.assert_close(plain["cross_entropy"], functional.cross_entropy(logits, labels))
    torch.testing.assert_close(weighted["cross_entropy"], functional.cross_entropy(logits, labels, weights))


def test_loss_of_smoothed_rows_is_torchs():
    logits, labels = (
        torch.randn(6, 4, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 1, 2, 3, 1, 1]),
    )
    rows = functional.one_hot(labels, 4) * 0.9 + 0.025
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(logits, labels)
    torch.testing.assert_close(build_model("net", 4).loss(logits, rows)["cross_entropy"], expected)


def test_loss_is_computed_in_float32_from_any_precision():
    logits = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    assert build_model("net", 2).loss(logits, torch.tensor([[0.0, 1.0]]))["cross_entropy"].dtype == torch.float32
