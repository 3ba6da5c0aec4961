"""Net: the small network of the course, two convolutions and three linear layers."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.models.base import AbstractClassifier

__all__ = ["MODELS", "Net"]


class Net(AbstractClassifier):
    """LeNet-like (LeCun et al. 1998) for 32x32 images.

    62,006 parameters and 651,720 MACs at 3 channels and 10 classes. It takes no other size, because `fc1`
    counts on 5x5 cells.
    """

    size: int = 32
    fixed_size: ClassVar[bool] = True
    head: ClassVar[str] = "fc3"

    def __init__(self, classes: int, *, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)  # has no weights, so one serves both places
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Float[Tensor, "n c 32 32"]) -> Float[Tensor, "n classes"]:
        """Logits for normalised images."""
        x = self.pool(functional.relu(self.conv1(x)))  # N 6 14 14
        x = self.pool(functional.relu(self.conv2(x)))  # N 16 5 5
        x = torch.flatten(x, 1)  # N 400
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        return self.fc3(x)


MODELS = {"net": Net}
