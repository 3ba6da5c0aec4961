"""Heat maps that people know: where in the image a number comes from, by rules of thumb.

Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) and LayerCAM (Jiang et al. 2021, "LayerCAM: Exploring Hierarchical
Class Activation Maps", equation 3) weigh the channels of one map by gradients; integrated gradients (Sundararajan et
al. 2017, arXiv 1703.01365) average the gradient on the way from nothing to the image; occlusion (Zeiler & Fergus 2014,
arXiv 1311.2901) covers one square after the other and looks what the number falls by. Nothing is the value 0 of the
network's input: the mean colour of its preprocessing.

Maps keep their sign. The ReLU that ends Grad-CAM in the paper would hide what speaks against the target; what is
positive is the published map. Of a box, which a single cell gives, that part is weighed once more by how strongly the
number depends on each place (Yamauchi & Ishikawa 2022, "Spatial Sensitive Grad-CAM", ICIP); without it a detector's map
lights up wherever the same features are.

The first two look inside, where every operation is seen as `record` sees it, functional ReLUs and shared layers too;
hooks of modules, which captum uses, would miss them. Integrated gradients change the input alone, and are captum's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from pellucid.errors import UsageError
from pellucid.inspection.notebook import notebook, on_white
from pellucid.inspection.places import Places, evaluating, kind_of
from pellucid.inspection.targets import Box, Target

__all__ = ["METHODS", "HeatMap", "Method", "Subject", "heat_map"]

Method = Literal["grad-cam", "layer-cam", "occlusion", "integrated-gradients"]
METHODS: tuple[Method, ...] = get_args(Method)
HEURISTIC, MEASURED = "HEURISTIC", "MEASURED"
ACTIVATIONS = {"relu", "leaky_relu", "relu6", "hardtanh", "prelu", "elu", "gelu", "silu", "hardswish", "mish"}
SQUARES = 14
"""Squares of an occlusion along the longer side: as many as a map of stride 16 has cells at 224 pixels."""
STEPS = 32
"""Places on the way of integrated gradients."""
TOGETHER = 8 * 224 * 224
"""Pixels of the images of one pass, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is looked at: a network, an image of N 1 and the number to explain."""

    model: nn.Module
    x: Float[Tensor, "1 c h w"]
    target: Target
    classes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.x.shape[2], self.x.shape[3]

    def numbers(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The target's number of each image."""
        outputs = self.model(images)
        rows = (tree_map_only(Tensor, partial(_row, at), outputs) for at in range(len(images)))
        return torch.stack([self.target.number(self.model, row, self.classes) for row in rows])

    def numbers_of(self, images: Iterable[Float[Tensor, "1 c h w"]]) -> Float[Tensor, " n"]:
        """The same of many images, made and passed so many at once as fit a fixed memory."""
        at_once = max(1, TOGETHER // self.x[0, 0].numel())
        return torch.cat([self.numbers(torch.cat(some)) for some in batched(images, at_once)])


def _row(at: int, outputs: Tensor) -> Tensor:
    """That of one image of a batch, as a batch."""
    return outputs[at : at + 1]


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A signed map of a number: positive where the image speaks for it, as the method sees it.

    `cells` cover the image of `size` (height, width) evenly, whatever their number. `layer` is the operation whose map
    was weighed, empty where none was. `gap` is what is left to completeness: what the cells of integrated gradients are
    more than the number of the image less that of nothing, None of other methods.
    """

    method: Method
    target: str
    logit: float
    cells: Float[Tensor, "rows columns"]
    size: tuple[int, int]
    layer: str = ""
    gap: float | None = None

    @property
    def badge(self) -> str:
        """MEASURED of an occlusion, which says what happened; HEURISTIC of all others."""
        return MEASURED if self.method == "occlusion" else HEURISTIC

    @property
    def pixels(self) -> Float[Tensor, "h w"]:
        """The map at every pixel: of a layer's cells interpolated, of squares the value of the square."""
        plane = self.cells[None, None]
        if self.layer:
            return interpolate(plane, self.size, mode="bilinear", align_corners=False)[0, 0]
        return interpolate(plane, self.size, mode="nearest-exact")[0, 0]

    def to_json(self) -> dict[str, Any]:
        """Plain values; of a finer map than squares, the cells are summed to them."""
        return {
            "target": self.target,
            "logit": self.logit,
            "method": self.method,
            "badge": self.badge,
            "layer": self.layer or None,
            "completeness": self.gap,
            "map": self.coarse.tolist(),
        }

    @property
    def coarse(self) -> Float[Tensor, "rows columns"]:
        """The cells, or of a map of single pixels their sums over the squares of an occlusion."""
        if self.gap is None:
            return self.cells
        numbers, (rows, columns) = square_numbers(self.size)
        sums = torch.zeros(rows * columns, dtype=torch.float64)
        return sums.index_add(0, numbers.flatten(), self.cells.flatten()).view(rows, columns)

    def _repr_html_(self) -> str:
        return notebook(self.summary(), on_white(self.coarse.numpy(), self.size, smooth=bool(self.layer)))

    def summary(self) -> str:
        """In a line what was made of what."""
        parts = [f"{self.target}  {self.logit:.6g}", self.method]
        parts += [f"of {self.layer}, {self.cells.shape[0]}x{self.cells.shape[1]} cells"] if self.layer else []
        parts += [f"completeness {self.gap:+.2g}"] if self.gap is not None else []
        return "  ".join([*parts, self.badge])


def heat_map(
    model: nn.Module,
    x: Float[Tensor, "n c h w"],
    target: Target,
    classes: Sequence[str] = (),
    *,
    method: str = "grad-cam",
) -> HeatMap:
    """The map of one number of any torch module that takes one image, in evaluation mode; it is left as it was."""
    if x.shape[0] != 1:
        raise UsageError(f"A heat map is of one image, not of {x.shape[0]}.")
    if method not in MAKERS:
        raise UsageError(f"No heat map is called {method!r}. Take one of {', '.join(METHODS)}.")
    with evaluating(model):
        return MAKERS[method](Subject(model, x.detach(), target, tuple(classes)))


def _grad_cam(subject: Subject) -> HeatMap:
    """`Σ_k (mean of ∂number/∂A_k)·A_k` over the channels of a map A (equations 1 and 2, without the ReLU).

    Of a box the positive part is multiplied by `‖∂number/∂A‖` of its place, the largest being 1.
    """
    seen, logit = _layer_of(subject)
    weights = seen.gradient.mean(dim=(2, 3), keepdim=True)
    cells = (weights * seen.value).sum(1)[0]
    if isinstance(subject.target, Box):
        sizes = seen.gradient[0].norm(dim=0)
        cells = torch.where(cells > 0, cells * sizes / sizes.max(), cells)
    return _of_layer("grad-cam", subject, logit, (seen.name, cells))


def _layer_cam(subject: Subject) -> HeatMap:
    """`Σ_k relu(∂number/∂A_k)·A_k`, place by place."""
    seen, logit = _layer_of(subject)
    return _of_layer("layer-cam", subject, logit, (seen.name, (seen.gradient.clamp(min=0) * seen.value).sum(1)[0]))


def _of_layer(method: Method, subject: Subject, logit: float, found: tuple[str, Tensor]) -> HeatMap:
    name, cells = found
    text = subject.target.text(subject.classes)
    return HeatMap(method, text, logit, cells.double().cpu(), subject.size, name)


def _occlusion(subject: Subject) -> HeatMap:
    """What the number falls by when a square shows nothing."""
    numbers, (rows, columns) = square_numbers(subject.x.shape[2:])
    kept = [numbers != square for square in range(rows * columns)]
    with torch.no_grad():
        logit = float(subject.numbers(subject.x))
        falls = logit - subject.numbers_of(subject.x * mask for mask in kept)
    text = subject.target.text(subject.classes)
    return HeatMap("occlusion", text, logit, falls.double().cpu().view(rows, columns), subject.size)


def _integrated_gradients(subject: Subject) -> HeatMap:
    """`x · mean of ∂number/∂x` on the straight way from nothing to the image; every pixel a sum over its channels."""
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise UsageError("Integrated gradients are captum's: pip install 'pellucid[explain]'.") from error
    x = subject.x
    found = IntegratedGradients(subject.numbers).attribute(
        x, n_steps=STEPS, internal_batch_size=max(1, TOGETHER // x[0, 0].numel())
    )
    with torch.no_grad():
        logit, nothing = float(subject.numbers(x)), float(subject.numbers(torch.zeros_like(x)))
    cells = found[0].double().sum(0).cpu()
    text = subject.target.text(subject.classes)
    gap = float(cells.sum()) - (logit - nothing)
    return HeatMap("integrated-gradients", text, logit, cells, subject.size, gap=gap)


MAKERS: Mapping[str, Callable[[Subject], HeatMap]] = {
    "grad-cam": _grad_cam,
    "layer-cam": _layer_cam,
    "occlusion": _occlusion,
    "integrated-gradients": _integrated_gradients,
}


def square_numbers(size: Sequence[int]) -> tuple[Int[Tensor, "h w"], tuple[int, int]]:
    """The number of the square that each pixel lies in, row by row, and how many rows and columns of them there are.

    The longer side has 14, or fewer where it has fewer pixels.
    """
    step = max(1.0, max(size) / SQUARES)
    rows, columns = (max(1, round(side / step)) for side in size)
    row, column = (
        (torch.arange(side) * 2 + 1) * many // (2 * side) for side, many in zip(size, (rows, columns), strict=True)
    )
    return row[:, None] * columns + column, (rows, columns)


def batched(images: Iterable[Tensor], many: int) -> Iterator[list[Tensor]]:
    """Lists of so many, the last of what is left."""
    left = iter(images)
    while some := list(islice(left, many)):
        yield some


@dataclass(slots=True, eq=False)
class _Seen:
    """A map of the pass; the gradient comes with the backward pass."""

    name: str
    value: Tensor
    gradient: Tensor | None = None

    def take(self, gradient: Tensor) -> None:
        """Of every use of the map."""
        self.gradient = gradient


class _Activations(TorchFunctionMode):
    """Keeps what every activation function gives that is a map."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.found: list[_Seen] = []
        self._places = places

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, kind = func(*args, **(kwargs or {})), kind_of(func)
        if kind in ACTIVATIONS and isinstance(result, Tensor) and result.requires_grad:
            seen = _Seen(self._places.name(kind), result.detach().clone())
            result.register_hook(seen.take)
            self.found.append(seen)
        return result


def _layer_of(subject: Subject) -> tuple[Any, float]:
    """The map that is weighed: of those that the number depends on the coarsest, of equal ones the last.

    That is the last one before a global pool or a flattening. Of a box it is the last one altogether: that of the level
    which gives the box. What lies in the head of a network of ours is no candidate: there a number depends on a single
    cell.
    """
    image = subject.x.clone().requires_grad_()
    with torch.enable_grad(), Places(subject.model) as places, _Activations(places) as activations:
        number = subject.numbers(image.clone())[0]
    torch.autograd.grad(number, image)
    head = _head(subject.model)
    maps = [one for one in activations.found if one.gradient is not None and one.gradient.any()]
    maps = [
        one
        for one in maps
        if one.value.ndim == 4 and one.value[0, 0].numel() > 1 and one.name.partition(".")[0] not in head
    ]
    if not maps:
        raise UsageError("No map of an activation function leads to this number: take occlusion, or account.")
    chosen = (
        maps[-1] if isinstance(subject.target, Box) else min(reversed(maps), key=lambda one: one.value[0, 0].numel())
    )
    return chosen, float(number.detach())


def _head(model: nn.Module) -> set[str]:
    """The parts of a network of ours that only serve its task."""
    given = getattr(model, "head", ())
    prefixes = (given,) if isinstance(given, str) else given
    return {prefix.partition(".")[0] for prefix in prefixes if isinstance(prefix, str)}
