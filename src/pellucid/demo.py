"""The whole way on images that come with an installed package: train, evaluate, predict, report."""

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.answers import PredictionWriter
from pellucid.catalog import suggestion
from pellucid.config import TrainConfig
from pellucid.data.check import check
from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.evaluation import evaluate
from pellucid.image import write_image
from pellucid.network import Predictor, load_predictor
from pellucid.prediction import predict
from pellucid.results import free_path
from pellucid.scenes import write_boxed_scenes, write_scenes
from pellucid.terminal import TrainingView, figures
from pellucid.training.run import train

__all__ = ["DEMOS", "classify", "detect", "run_demos", "segment", "write_digits"]

DIGITS = TrainConfig(model="net", epochs=25, hflip=0)
SCENES = TrainConfig(minutes=0.5, color=0, zoom=1)
"""All scenes are of one scale and of the light that test scenes have: in half a minute, changes of both cost more than
they bring."""
BOXED = TrainConfig(model="yolo_n", size=96, minutes=0.5, color=0, zoom=1, mosaic=0)
"""As for segmentation; nor is there time for four images at once."""
SIDE = 96
COUNTS = {"train": 400, "val": 20, "test": 60}
SHOWN = 5


def run_demos(names: Sequence[str], folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """The lines of the result of each demo named, `classify` where none is."""
    for name in names:
        if name not in DEMOS:
            raise UsageError(f"No demo named {name!r}.{suggestion(name, DEMOS)} There are {', '.join(DEMOS)}.")
    for name in names or ["classify"]:
        yield from DEMOS[name](folder, say)


def classify(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Handwritten digits (UCI, by way of scikit-learn) through every verb; gives the lines of the result."""
    data, run = folder / "digits", folder / "run"
    say(f"1,797 real handwritten digits as a folder per class: {data}")
    write_digits(data)
    predictor = _trained(data, run, DIGITS, say)
    result = _judged(predictor, data, run, say)
    unseen = _unseen(data)
    say(f"$ pellucid predict {_model(run)} {' '.join(map(str, unseen))}")
    _predicted(predictor, unseen, say)
    return [result, f"model:  {_model(run)}", f"report: {run / 'report.html'}"]


def segment(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Drawn scenes with exact masks through every verb; gives the lines of the result."""
    return _shown(folder / "scenes", write_scenes, SCENES, say)


def detect(folder: Path, say: Callable[[str], None]) -> list[str]:
    """The same scenes with a box around every figure; gives the lines of the result."""
    return _shown(folder / "boxes", write_boxed_scenes, BOXED, say)


def _shown(data: Path, write: Callable[..., None], settings: TrainConfig, say: Callable[[str], None]) -> list[str]:
    """Scenes written to a folder, through every verb; what was found is drawn beside it."""
    run, drawn = data.with_name(f"{data.name}-run"), data.with_name(f"{data.name}-drawn")
    say(f"{sum(COUNTS.values())} scenes of {SIDE}x{SIDE} pixels, shapes and real digits over real photographs: {data}")
    write(data, COUNTS, (SIDE, SIDE))
    say(f"$ pellucid check {data}")
    say(check(open_dataset(data)).text())
    predictor = _trained(data, run, settings, say)
    result = _judged(predictor, data, run, say)
    unseen = _unseen(data)
    say(f"$ pellucid predict {_model(run)} {' '.join(map(str, unseen))} --draw {drawn}")
    _predicted(predictor, unseen, say, draw=drawn)
    return [result, f"model:  {_model(run)}", f"report: {run / 'report.html'}", f"drawn:  {drawn}"]


def _trained(data: Path, run: Path, settings: TrainConfig, say: Callable[[str], None]) -> Predictor:
    """The model of a new run."""
    say(f"$ pellucid train {data} --out {run} {_flags(settings)}")
    shutil.rmtree(run, ignore_errors=True)
    with TrainingView() as view:
        train(data, run, settings, listen=view.hear, say=view.say)
    return load_predictor(_model(run))


def _flags(settings: TrainConfig) -> str:
    """What stands on the command line for these settings."""
    usual, given = TrainConfig().to_json(), settings.to_json()
    flags = (f"--{name.replace('_', '-')} {value}" for name, value in given.items() if value != usual[name])
    return " ".join(flags)


def _model(run: Path) -> Path:
    return run / "model.safetensors"


def _judged(predictor: Predictor, data: Path, run: Path, say: Callable[[str], None]) -> str:
    """The first figures on the test images, on one line."""
    say(f"$ pellucid evaluate {_model(run)} {data} --split test")
    return f"test: {figures(evaluate(predictor, data).to_json())}"


def _unseen(data: Path) -> list[Path]:
    """A few of the test images, from the first to the last."""
    paths = [data / record.path for record in open_dataset(data).split("test")]
    return paths[:: max(1, len(paths) // SHOWN)][:SHOWN]


def _predicted(
    predictor: Predictor, images: Sequence[Path], say: Callable[[str], None], draw: Path | None = None
) -> None:
    """Say what the model says of images, as `pellucid predict` prints it, and draw it."""
    printed, taken = io.StringIO(), set[Path]()
    writer = PredictionWriter("text", predictor.postprocess.columns, printed)
    for found in predict(predictor, images):
        writer.write(found)
        if draw is not None and found.prediction is not None:
            drawn = predictor.postprocess.draw(found.pixels, found.prediction)
            write_image(free_path(draw, found.image, taken), drawn)
    say(printed.getvalue().rstrip())


def write_digits(folder: Path) -> None:
    """The digits as 8x8 PNG files, one subfolder a digit; what stands there already is kept."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("The demo's digits come with scikit-learn: pip install 'pellucid[demo]'.") from error
    digits: Any = load_digits()
    for place, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{place:04d}.png"
        if not path.exists():
            write_image(path, np.rint(image * (255 / 16)).astype(np.uint8)[:, :, None])


DEMOS = {"classify": classify, "segment": segment, "detect": detect}
