"""Foreign weights: state dicts from files, fitted to a model by name, strictly; no code in a file is run."""

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pellucid.errors import ModelError
from pellucid.models.base import AbstractModel

__all__ = ["PUBLISHED", "Published", "fit_weights", "inherit_weights", "read_weights"]

PICKLED = (".pt", ".pth", ".th")
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")
PREFIXES = ("module.", "model.", "_orig_mod.")  # of DataParallel, of training frameworks, of torch.compile
LISTED = 10
DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    OSError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)  # what torch.load was seen to raise for damaged bytes, and their like


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, `.pt`, `.pth` or `.th` file by name, on the CPU.

    A state dict is also found one or two levels down (`state_dict`, `model`, …), and prefixes that every name
    shares (`module.conv1.weight`) are cut off.
    """
    if not path.is_file():
        raise ModelError(f"No weights at {path}. Give the path of a .safetensors, .pt, .pth or .th file.")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        found: Any = _read_safetensors(path)
    elif suffix in PICKLED:
        found = _read_pickled(path)
    else:
        raise ModelError(
            f"Cannot read weights from {path}: its suffix is {suffix!r}, not .safetensors, .pt, .pth or .th. "
            "Convert it to one of them."
        )
    return _without_prefixes(_state_dict(found, path))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: {error}. Fetch or save it again.") from error


def _read_pickled(path: Path) -> Any:
    """What the file holds, with PyTorch's restricted unpickler: tensors and plain containers, no code."""
    with path.open("rb") as handle:
        start = handle.read(16)
    if not start.startswith((b"PK\x03\x04", b"\x80")):
        raise ModelError(
            f"{path} begins with {start!r}, as no PyTorch file does; it may be a web page or a pointer to a "
            "file that was saved under this name. Fetch it again."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, of old storages: nothing the user could change
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise ModelError(_refusal(path, str(error))) from error


def _refusal(path: Path, message: str) -> str:
    wanted = re.search(r"(?:GLOBAL|class|function) ([\w.]+)", message)
    if wanted:
        return (
            f"{path} holds more than weights: reading it would run code for {wanted[1]!r}. "
            "Nothing was executed. Ask its author for the state dict alone, best as .safetensors."
        )
    reason = message.strip().splitlines()[0] if message.strip() else "unreadable"
    return f"{path} is damaged or no file of weights: {reason[:200]} Fetch or save it again."


def _state_dict(found: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors, at the top or under one of the usual keys."""
    if isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values()):
        return {str(name): value for name, value in found.items()}
    if isinstance(found, Mapping):
        for key in NESTED:
            if isinstance(found.get(key), Mapping):
                return _state_dict(found[key], path)
        raise ModelError(
            f"{path} holds no state dict: its entries are {_some(map(str, found)) or 'none'}, "
            f"and none of {', '.join(NESTED)} is a mapping of names to tensors. "
            "Save model.state_dict() alone."
        )
    raise ModelError(f"{path} holds a {type(found).__name__}, not named tensors. Save model.state_dict() alone.")


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without what all of them begin with: `module.model.fc.bias` -> `fc.bias`."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return _without_prefixes({name.removeprefix(prefix): value for name, value in tensors.items()})
    return tensors


def fit_weights(model: AbstractModel, tensors: Mapping[str, Tensor], *, new_head: bool = False) -> list[str]:
    """Copy named tensors into the model; all or nothing. Gives the names that were left as they were.

    Names and shapes must agree; only `num_batches_tracked`, which no result depends on, may be missing. With
    `new_head` a head of another shape (another number of classes) is left freshly initialised as a whole.
    """
    own = model.state_dict()
    given = {_own_name(name, own, tensors, model.aliases): value for name, value in tensors.items()}
    left = _unfit_head(model.head, own, given) if new_head else []
    given = {name: value for name, value in given.items() if not (left and _is_in(name, model.head))}
    _check_fit(model, own, given, left)
    model.load_state_dict({**own, **given}, strict=True)
    return left


def inherit_weights(model: AbstractModel, tensors: Mapping[str, Tensor]) -> list[str]:
    """Copy tensors of the model's ancestor into it; all or nothing. Gives the names that were left as they were.

    Every parameter of the inherited parts must be given and fit. A linear layer that became a convolution keeps its
    numbers: 4096x25088 fits 4096x512x7x7.
    """
    own = model.state_dict()
    heirs = {name: _heir(name, model.inherits) for name in tensors}
    given = {heir: _convolutional(tensors[name], own.get(heir)) for name, heir in heirs.items() if heir is not None}
    left = [name for name in own if not any(_is_in(name, part) for part in model.inherits.values())]
    _check_fit(model, own, given, left)
    model.load_state_dict({**own, **given}, strict=True)
    return left


def _heir(name: str, inherits: Mapping[str, str]) -> str | None:
    """What an ancestor's parameter is called in its heir; None for one that stays behind."""
    part = next((part for part in inherits if _is_in(name, part)), None)
    return None if part is None else inherits[part] + name.removeprefix(part)


def _convolutional(value: Tensor, own: Tensor | None) -> Tensor:
    """The weight of a linear layer as that of the convolution it became; anything else as it is."""
    if own is None or (value.ndim, own.ndim) != (2, 4) or value.numel() != own.numel():
        return value
    return value.reshape(own.shape)


def _own_name(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor], aliases: Mapping[str, str]) -> str:
    """The model's own name of a foreign one: `linear.weight` -> `fc.weight`, unless that is given too."""
    renamed = ".".join(aliases.get(part, part) for part in name.split("."))
    return name if name in own or renamed in given else renamed


def _is_in(name: str, parts: str | tuple[str, ...]) -> bool:
    """Whether a parameter belongs to a part, or to one of several: `fc.bias` is in `fc`."""
    parts = (parts,) if isinstance(parts, str) else parts
    return name in parts or name.startswith(tuple(part + "." for part in parts))


def _unfit_head(head: str | tuple[str, ...], own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """The names of the head if any of its tensors is absent or of another shape, else none."""
    names = [name for name in own if _is_in(name, head)]
    fits = all(name in given and given[name].shape == own[name].shape for name in names)
    return [] if fits else names


def _check_fit(model: AbstractModel, own: Mapping[str, Tensor], given: Mapping[str, Tensor], left: list[str]) -> None:
    missing = [name for name in own.keys() - given.keys() - set(left) if not name.endswith(".num_batches_tracked")]
    unexpected = list(given.keys() - own.keys())
    misshaped = [name for name in own.keys() & given.keys() if own[name].shape != given[name].shape]
    if not missing and not unexpected and not misshaped:
        return
    shapes = [f"{name} ({_size(given[name])}, wanted {_size(own[name])})" for name in sorted(misshaped)]
    parts = [("missing", sorted(missing)), ("unexpected", sorted(unexpected)), ("of another shape", shapes)]
    problems = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts if names)
    only_head = all(_is_in(name, model.head) for name in missing + unexpected + misshaped)
    cure = (
        "They are of other classes: ask for a new head to keep all other layers."
        if only_head
        else "Choose the model that they were trained with."
    )
    raise ModelError(f"These weights do not fit {_called(model)}: {problems}. {cure}")


def _called(model: AbstractModel) -> str:
    return str(model.architecture.get("name", type(model).__name__))


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _some(names: Iterable[str]) -> str:
    """At most ten names, then how many more there are."""
    listed = list(names)
    more = len(listed) - LISTED
    return ", ".join(listed[:LISTED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that others have published, with the preprocessing they were trained for.

    `sha256` is the whole digest, or its first eight digits (which the publisher puts into the file name).
    Preprocessing: the shorter side is resized to `size / crop` pixels, the centre of `size` pixels cut out, and `(rgb
    / 255 - mean) / std` taken; without `crop`, photos are shown whole. `figure` is the publisher's: of a classifier,
    top-1 accuracy on the 50,000 validation images of ImageNet; of a segmenter, mean IoU on the photos of COCO val2017
    that show one of PASCAL VOC's classes.
    """

    model: str
    url: str
    sha256: str
    size: int
    crop: float | None
    figure: float
    classes: int = 1000
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def _torchvision(model: str, sha256: str, figure: float, resized: int = 256) -> Published:
    url = f"https://download.pytorch.org/models/{model}-{sha256[:8]}.pth"
    return Published(model, url, sha256, size=224, crop=224 / resized, figure=figure)


def _torchvision_fcn(model: str, sha256: str, figure: float) -> Published:
    """Of the background and the 20 classes of PASCAL VOC, trained on COCO; photos are shown whole."""
    url = f"https://download.pytorch.org/models/{model}_coco-{sha256[:8]}.pth"
    return Published(model, url, sha256, size=520, crop=None, figure=figure, classes=21)


PUBLISHED = {
    "resnet18-imagenet": _torchvision(
        "resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 0.69758
    ),
    "resnet34-imagenet": _torchvision(
        "resnet34", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 0.73314
    ),
    "resnet50-imagenet": _torchvision(
        "resnet50", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 0.76130
    ),
    "resnet50-imagenet-v2": _torchvision(
        "resnet50", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", 0.80858, resized=232
    ),
    "resnet101-imagenet": _torchvision(
        "resnet101", "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a", 0.77374
    ),
    "resnet101-imagenet-v2": _torchvision("resnet101", "cd907fc2", 0.81886, resized=232),
    "resnet152-imagenet": _torchvision(
        "resnet152", "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58", 0.78312
    ),
    "resnet152-imagenet-v2": _torchvision("resnet152", "f82ba261", 0.82284, resized=232),
    "vgg16-imagenet": _torchvision("vgg16", "397923af", 0.71592),
    "fcn_resnet50-coco": _torchvision_fcn("fcn_resnet50", "1167a1af", 0.605),
    "fcn_resnet101-coco": _torchvision_fcn("fcn_resnet101", "7ecb50ca", 0.637),
}
