"""Other ways to preprocess the same images: where one of them is much better, the file's own is not what it learnt."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pellucid.data.loader import Loader
from pellucid.errors import UsageError
from pellucid.inspection.findings import Finding
from pellucid.models.base import AbstractModel
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractMetric, AbstractTask
from pellucid.tiling import decoded

__all__ = ["Rival", "rival_findings", "rivals"]

BETTER = 0.05
"""Of the headline, from which on another way is a finding; the interval of the difference must lie above 0, too."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to normalise, in words and as a value; `swapped` hands the channels over from last to first."""

    name: str
    preprocess: Preprocess
    swapped: bool = False


def rivals(own: Preprocess, mean: tuple[float, ...], std: tuple[float, ...]) -> list[Rival]:
    """The usual other ways; mean and std are those of the images themselves, of values from 0 to 1."""
    channels = own.channels

    def scaled(name: str, mean: tuple[float, ...], std: tuple[float, ...], *, swapped: bool = False) -> Rival:
        return Rival(name, dataclasses.replace(own, mean=mean, std=std), swapped)

    zeros, ones, halves = (0.0,) * channels, (1.0,) * channels, (0.5,) * channels
    bytes_ = (1 / 255,) * channels
    found = [
        scaled("mean and std of these images", mean, std),
        scaled("mean 0.5, std 0.5", halves, halves),
        scaled("values from 0 to 1", zeros, ones),
        scaled("values from 0 to 255", zeros, bytes_),
        scaled("values divided by 255 once more", zeros, (255.0,) * channels),
        scaled("values divided by 255 once more, then its own mean and std", own.mean, tuple(255 * s for s in own.std)),
    ]
    if channels == 3:
        found += [
            Rival("channels in the order blue, green, red", own, swapped=True),
            scaled("mean and std of ImageNet", *IMAGENET),
            scaled("blue, green, red, with mean and std of ImageNet", *IMAGENET, swapped=True),
            scaled("blue, green, red to 255, less the mean of ImageNet", IMAGENET[0], bytes_, swapped=True),
        ]
    return [one for one in found if one.swapped or one.preprocess != own]


def rival_findings(
    model: AbstractModel, task: AbstractTask, loader: Loader, own: AbstractMetric, ways: Iterable[Rival]
) -> tuple[list[Finding], list[str]]:
    """Whether one of the ways is much better than the one that gave `own`."""
    try:
        name, value = own.headline()
    except UsageError:
        return [], []
    found = sorted(_judged(model, task, loader, ways), key=lambda pair: -pair[0])
    if not found:
        return [], []
    best, metric, rival = found[0][0], found[0][1], found[0][2]
    if best - value < BETTER or metric.compared(own).interval[0] <= 0:
        return [], [f"preprocessing fits: {name} {value:.3f}, and at most {best:.3f} in {len(found)} other ways"]
    better = tuple(f"{way.name}: {name} {other:.3f}" for other, _, way in found if other - value >= BETTER)
    text = f"{name} is {value:.3f} as the file preprocesses, and {best:.3f} with {rival.name}."
    return [Finding("error", "preprocessing", text, best - value, BETTER, better, _cure(rival))], []


def _cure(rival: Rival) -> str:
    """The same network for channels in the order red, green, blue: mean and std are turned round with the filters."""
    order = -1 if rival.swapped else 1
    mean, std = (
        ", ".join(f"{one:.3g}" for one in each[::order]) for each in (rival.preprocess.mean, rival.preprocess.std)
    )
    filters = ", and its first filters with their channels reversed" if rival.swapped else ""
    return f"Write the model file again, with mean ({mean}) and std ({std}){filters}."


def _judged(
    model: AbstractModel, task: AbstractTask, loader: Loader, ways: Iterable[Rival]
) -> Iterator[tuple[float, AbstractMetric, Rival]]:
    for rival in ways:
        metric = task.metric(brief=True)
        for batch in loader.in_order():
            images = batch.images.flip(1) if rival.swapped else batch.images
            metric.add(decoded(model, task, rival.preprocess, images, "fp32"), batch.targets)
        yield metric.headline()[1], metric, rival
