"""How the kernels of the first layer grow: what they were at the start, and whenever the model was judged."""

from torch import Tensor, nn

from pellucid.checkpoint import load_tensors, save_tensors
from pellucid.training.events import Evaluated, Event, Finished, Started
from pellucid.training.folder import RunFolder

__all__ = ["first_kernels", "keep_kernels", "kernel_history"]


def first_kernels(model: nn.Module) -> Tensor | None:
    """The weight of the first convolution, O I H W; None of a network that has none."""
    layers = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    first = next(layers, None)
    return None if first is None else first.weight.detach()


def keep_kernels(folder: RunFolder, event: Event, model: nn.Module) -> None:
    """Add a moment to those of the run, if the event is one; at a start, cut off what a killed run had beyond it."""
    if not isinstance(event, Started | Evaluated | Finished):
        return
    if isinstance(event, Started):
        for path in folder.kernels.glob("*.safetensors"):
            if int(path.stem) > event.step:
                path.unlink()
    kernels = first_kernels(model)
    if kernels is not None:
        folder.kernels.mkdir(exist_ok=True)
        save_tensors(folder.kernels / f"{event.step:08d}.safetensors", {"kernels": kernels}, {"step": event.step})


def kernel_history(folder: RunFolder) -> dict[int, Tensor]:
    """The kernels by the step after which they were these, in order."""
    paths = sorted(folder.kernels.glob("*.safetensors"))
    return {int(path.stem): load_tensors(path)[0]["kernels"] for path in paths}
