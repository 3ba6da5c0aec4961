"""The whole way on real images that come with an installed package: train, evaluate, predict, report."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.config import TrainConfig
from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.evaluation import evaluate
from pellucid.image import write_image
from pellucid.prediction import predict
from pellucid.terminal import TrainingView, figures
from pellucid.training.run import train

__all__ = ["classify", "write_digits"]

EPOCHS = 25
SHOWN = 5


def classify(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Handwritten digits (UCI, by way of scikit-learn) through every verb; gives the lines of the result."""
    data, run = folder / "digits", folder / "run"
    model = run / "model.safetensors"
    say(f"1,797 real handwritten digits as a folder per class: {data}")
    write_digits(data)

    say(f"$ pellucid train {data} --out {run} --model net --epochs {EPOCHS} --hflip 0")
    shutil.rmtree(run, ignore_errors=True)
    with TrainingView() as view:
        train(data, run, TrainConfig(model="net", epochs=EPOCHS, hflip=0), listen=view.hear, say=view.say)

    say(f"$ pellucid evaluate {model} {data} --split test")
    result = evaluate(model, data).to_json()

    unseen = [data / record.path for record in open_dataset(data).split("test")[:SHOWN]]
    say(f"$ pellucid predict {model} {' '.join(str(path) for path in unseen)}")
    for found in predict(model, unseen):
        say(f"{found.image}  {found.prediction and found.prediction.to_row()}")
    return [f"test: {figures(result)}", f"model:  {model}", f"report: {run / 'report.html'}"]


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
