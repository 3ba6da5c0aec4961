"""How long an account and each heat map take, and what their trials take beside: ResNet-18 at 224 and the course's net.

python -m benchmarks.heatmaps [RUNS]
python -m benchmarks.heatmaps DETECTOR PHOTOS

The least of RUNS (3), after one that warms up. Weights are random: no figure but time is meant.

Of a trained detector and a folder of photos: what the trials say of the maps of the two surest boxes of each of 16
photos, in the mean.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.machine import header
from pellucid.image import read_image
from pellucid.inspection.accounting import account
from pellucid.inspection.heatmaps import METHODS, HeatMap, heat_map
from pellucid.inspection.layering import account_layers
from pellucid.inspection.targets import Box, Class
from pellucid.inspection.trials import try_map
from pellucid.models.base import build_model
from pellucid.network import Predictor, load_predictor


def least(call: Callable[[], object], runs: int) -> float:
    """Milliseconds of the quickest call."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def rows(name: str, side: int, runs: int) -> None:
    torch.manual_seed(0)
    model, x, target = build_model(name, 10).eval(), torch.randn(1, 3, side, side), Class(1)
    with torch.no_grad():
        print(f"{name} at {side}: forward {least(lambda: model(x), runs):.1f} ms")
    print(f"  account                     {least(lambda: account(model, x, target), runs):9.1f} ms")
    print(f"  account, layer by layer     {least(lambda: account_layers(model, x, target), runs):9.1f} ms")
    for method in METHODS:
        took = least(lambda method=method: heat_map(model, x, target, method=method), runs)
        print(f"  {method:27s} {took:9.1f} ms")
    found = heat_map(model, x, target)
    print(f"  trials of grad-cam          {least(lambda: try_map(model, x, target, (), found), 1):9.1f} ms")


def boxes(predictor: Predictor, photo: Path) -> Iterator[tuple[torch.Tensor, Box, tuple[float, ...]]]:
    """The network's input, and the two surest boxes with where they are in it (xyxy)."""
    pixels = predictor.preprocess.pixels(read_image(photo).pixels)
    x = predictor.preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    decoded = {name: value[0] for name, value in predictor.decoded(pixels[None]).items()}
    _, labels, candidates = predictor.postprocess.kept(decoded, predictor.postprocess.threshold)
    for label, candidate in zip(labels[:2].tolist(), candidates[:2].tolist(), strict=True):
        yield x, Box(candidate, label), decoded["xyxy"][candidate].tolist()


def inside(found: HeatMap, xyxy: tuple[float, ...]) -> float:
    """Share of what speaks for the box that lies in it."""
    heat = found.pixels.clamp(min=0)
    left, top, right, bottom = (max(0, round(side)) for side in xyxy)
    return float(heat[top:bottom, left:right].sum() / heat.sum().clamp(min=1e-12))


def trials(model: str, photos: str) -> None:
    predictor = load_predictor(model, "cpu")
    seen = [one for photo in sorted(Path(photos).glob("*.jpg"))[:16] for one in boxes(predictor, photo)]
    print(f"{model}: {len(seen)} boxes of {photos}")
    for method in ("grad-cam", "layer-cam"):
        kept: dict[str, list[float]] = {}
        for x, target, xyxy in seen:
            found = heat_map(predictor.model, x, target, method=method)
            areas = try_map(predictor.model, x, target, (), found).areas
            for name, value in (*areas.items(), ("inside the box", inside(found, xyxy))):
                kept.setdefault(name, []).append(value)
        print(f"  {method:10}", "  ".join(f"{name} {statistics.mean(each):.3f}" for name, each in kept.items()))


if __name__ == "__main__":
    print(header())
    if len(sys.argv) == 3:
        trials(*sys.argv[1:])
        sys.exit()
    many = int(sys.argv[1]) if sys.argv[1:] else 3
    rows("net", 32, many)
    rows("resnet18", 224, many)
