"""A model file from foreign weights: strict in names and shapes, with class names and preprocessing given."""

from collections.abc import Sequence
from pathlib import Path

import torch

from pellucid.checkpoint import Manifest, save_model
from pellucid.data.fetch import fetch
from pellucid.errors import UsageError
from pellucid.files import sha256_file
from pellucid.models.base import AbstractClassifier, AbstractModel, build_model
from pellucid.models.weights import PUBLISHED, fit_weights, read_weights
from pellucid.preprocess import Preprocess

__all__ = ["import_weights", "published_preprocess"]


def import_weights(
    weights: str | Path,
    *,
    model: str | None = None,
    classes: Sequence[str] = (),
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    size: int | None = None,
    crop: float | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write a model file of weights in a file (or of a published name, which is fetched), and give its path.

    `classes` are names in the order of the outputs; a single name with commas is split, a text file is read. `mean`
    and `std` are what the network was trained with. A square is cut from the centre of `crop` of the short side;
    without it, images are stretched to the square.
    """
    name = str(weights)
    if not Path(name).is_file() and name in PUBLISHED:
        return _published(name, model, classes, size, out)
    if model is None:
        raise UsageError(f"--model says which network the weights in {name} belong to, such as --model resnet20.")
    tensors = read_weights(Path(name))
    names = class_names(classes)
    if not names:
        raise UsageError("--classes gives the names of the classes in the order of the outputs: --classes cat,dog,...")
    network = build_model(model, len(names), in_channels=len(mean) or 3)
    fit_weights(network, tensors)
    preprocess = _preprocess(network, mean, std, size, crop)
    origin = {"imported": Path(name).name, "sha256": sha256_file(Path(name))}
    return _written(network, names, preprocess, origin, Path(out or Path(name).with_suffix(".safetensors").name))


def class_names(given: Sequence[str]) -> tuple[str, ...]:
    """Class names from `a,b,c`, from several words, or from a text file with one a line."""
    if len(given) == 1 and Path(given[0]).is_file():
        names = [line.strip() for line in Path(given[0]).read_text().splitlines()]
    elif len(given) == 1:
        names = [name.strip() for name in given[0].split(",")]
    else:
        names = [name.rstrip(",") for name in given]
    names = [name for name in names if name]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise UsageError(f"--classes names {sorted(doubled)[0]!r} twice. Every class has a name of its own.")
    return tuple(names)


def published_preprocess(name: str) -> Preprocess:
    """The input that published weights are used to."""
    published = PUBLISHED[name]
    side = (published.size, published.size)
    with torch.device("meta"):
        network = build_model(published.model, published.classes)
    rule = network.rule if published.crop is None else "crop"
    return Preprocess(side, rule, 3, published.mean, published.std, published.crop or 1.0)


def _published(name: str, model: str | None, classes: Sequence[str], size: int | None, out: str | Path | None) -> Path:
    published = PUBLISHED[name]
    if model not in (None, published.model):
        raise UsageError(f"{name} belongs to {published.model!r}, not to --model {model}. Leave --model out.")
    path = fetch(published.url, published.sha256, published.filename)
    names = class_names(classes) or tuple(str(place) for place in range(published.classes))
    network = build_model(published.model, len(names))
    fit_weights(network, read_weights(path))
    preprocess = published_preprocess(name)
    preprocess = preprocess if size is None else preprocess.resized(size)
    origin = {"imported": published.url, "sha256": sha256_file(path)}
    return _written(network, names, preprocess, origin, Path(out or f"{name}.safetensors"))


def _preprocess(
    network: AbstractModel, mean: tuple[float, ...], std: tuple[float, ...], size: int | None, crop: float | None
) -> Preprocess:
    if not mean or not std:
        raise UsageError(
            "--mean and --std are part of a network: give those it was trained with, of values from 0 to 1, "
            "such as --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225."
        )
    side = size or network.size
    if crop is not None and network.task != AbstractClassifier.task:
        raise UsageError(f"--crop has no effect on a network made to {network.task}, which sees whole photos.")
    rule = network.rule if crop is None else "crop"
    return Preprocess((side, side), rule, len(mean), mean, std, crop or 1.0)


def _written(
    network: AbstractModel, classes: tuple[str, ...], preprocess: Preprocess, origin: dict[str, str], out: Path
) -> Path:
    if out.is_dir():
        raise UsageError(f"{out} is a folder. Give a file name with --out, such as {out}/model.safetensors.")
    save_model(out, network, Manifest(network.task, classes, preprocess, origin=origin))
    return out
