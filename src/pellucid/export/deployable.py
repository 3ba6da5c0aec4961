"""What every exporter exports: a network from network pixels, as they come out of `Preprocess`, to decoded outputs."""

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from pellucid.models.base import AbstractModel
from pellucid.preprocess import Preprocess

__all__ = ["Deployable", "captured"]


class Deployable(nn.Module):
    """Normalisation, network and decoding.

    `forward` takes network pixels of one size, uint8 N H W C, and gives what `decode` gives.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, model: AbstractModel, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = model
        self.register_buffer("gain", 1 / (255 * torch.tensor(preprocess.std)))
        self.register_buffer("shift", torch.tensor(preprocess.mean) / torch.tensor(preprocess.std))

    def forward(self, pixels: UInt8[Tensor, "n h w c"]) -> dict[str, Tensor]:
        """Decoded outputs."""
        images = (pixels.float() * self.gain - self.shift).permute(0, 3, 1, 2)
        return self.network.decode(self.network(images))


def captured(model: AbstractModel, preprocess: Preprocess) -> torch.export.ExportedProgram:
    """The network as a program for batches of any length, and images of any size where it is not shown one size."""
    rows, columns = preprocess.size
    if not preprocess.one_size:
        rows, columns = 64, 96  # as an example: sides of two lengths, so that they are not taken for one
    pixels = torch.zeros(2, rows, columns, preprocess.channels, dtype=torch.uint8)
    dynamic = (0,) if preprocess.one_size else (0, 1, 2)
    sizes = dict.fromkeys(dynamic, torch.export.Dim.DYNAMIC)
    with torch.no_grad():
        return torch.export.export(
            Deployable(model, preprocess).eval(), (pixels,), dynamic_shapes={"pixels": sizes}, strict=False
        )
