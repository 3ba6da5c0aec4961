"""What every stride of a fully convolutional network adds to a pixel's logit: fr + pool4 + pool3, exactly.

Behind the scores of FCN-16s and 8s stand only upsamplings, crops and sums without a bias (`models.skips`), so that the
logits are the sum of what each level gives alone. Networks with a ReLU behind the sums, as `fcn_compact`, have no
streams; what their levels give is in the account by layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.inspection.accounting import EXACT, FIRST_ORDER, TOLERANCE
from pellucid.inspection.notebook import notebook, on_white
from pellucid.inspection.places import evaluating
from pellucid.inspection.targets import Pixel
from pellucid.models.fcn import FCN
from pellucid.models.fcn_resnet import SkipFCN

__all__ = ["Stream", "Streams", "streams_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What one level adds: at the pixel, and as a map at every pixel."""

    name: str
    contribution: float
    plane: Float[Tensor, "h w"]


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """The levels from the coarsest to the finest, and their sum: the network's own logits, at the pixel `logit`."""

    target: str
    logit: float
    plane: Float[Tensor, "h w"]
    streams: tuple[Stream, ...]
    tolerance: float

    @property
    def sum(self) -> float:
        """Of all levels, in float64."""
        return sum(one.contribution for one in self.streams)

    @property
    def residual(self) -> float:
        """What the sum is more than the network's own number."""
        return self.sum - self.logit

    @property
    def badge(self) -> str:
        """EXACT where the residual is rounding."""
        size = max(abs(self.logit), *(abs(one.contribution) for one in self.streams))
        return EXACT if abs(self.residual) <= self.tolerance * size else FIRST_ORDER

    def _repr_html_(self) -> str:
        pictures = (on_white(one.plane.numpy(), one.plane.shape, smooth=True) for one in self.streams)
        return notebook(self.text(), *pictures)

    def text(self) -> str:
        """The sum in a line."""
        terms = " ".join(f"{one.contribution:+.6g} ({one.name})" for one in self.streams)
        return f"{self.target}  {self.logit:.6g} = {terms}   residual {self.residual:+.1e}  {self.badge}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, at the pixel."""
        rows = [{"name": one.name, "contribution": one.contribution} for one in self.streams]
        return {"streams": rows, "sum": self.sum, "residual": self.residual, "badge": self.badge}


def streams_of(
    model: nn.Module, x: Float[Tensor, "1 c h w"], target: Pixel, classes: Sequence[str] = ()
) -> Streams | None:
    """The streams of a pixel's logit, or of what it is more than another; None of networks that have none."""
    if not isinstance(model, FCN | SkipFCN):
        return None
    with evaluating(model), torch.no_grad():
        logits, levels = model(x), model.streams(x)
    streams = tuple(
        Stream(name, float(target.number(model, level, classes)), target.plane(level, classes))
        for name, level in levels.items()
    )
    whole = target.plane(logits, classes)
    logit = float(target.number(model, logits, classes))
    return Streams(target.text(classes), logit, whole, streams, TOLERANCE[x.dtype])
