"""`pellucid import`: a model file of foreign weights."""

from collections.abc import Sequence

from pellucid.errors import UsageError

__all__ = ["import_"]


def import_(
    weights: str,
    *,
    model: str | None = None,
    classes: tuple[str, ...] = (),
    mean: tuple[str, ...] = (),
    std: tuple[str, ...] = (),
    size: int | None = None,
    crop: float | None = None,
    out: str | None = None,
) -> int:
    """Make a model file of foreign weights: .safetensors, .pt, .pth, .th, or a published name (resnet18-imagenet).

    Args:
        weights: The file, or the published name, which is fetched. No code in it is executed.
        model: The network these weights belong to.
        classes: Names of the classes in the order of the outputs, divided by commas; or a file with one a line.
        mean: Mean of the training images by channel, of values from 0 to 1.
        std: Standard deviation likewise.
        size: Side of the square image the network sees. Derived from the network.
        crop: Share of the short side that the square is cut from. Derived: all of it.
        out: The file to write. Derived: the name of the weights with .safetensors.
    """
    from pellucid.importing import import_weights

    means, deviations = _numbers("mean", mean), _numbers("std", std)
    path = import_weights(
        weights, model=model, classes=classes, mean=means, std=deviations, size=size, crop=crop, out=out
    )
    print(path)
    return 0


def _numbers(name: str, texts: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(part) for text in texts for part in text.split(",") if part)
    except ValueError as error:
        raise UsageError(f"--{name} {' '.join(texts)}: {error}. Give numbers such as 0.485,0.456,0.406.") from error
