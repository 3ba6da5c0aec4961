"""The whole way on real images that come with an installed package: train, evaluate, predict, report."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.evaluation import evaluate
from pellucid.image import write_image
from pellucid.prediction import predict
from pellucid.terminal import TrainingView, figures
from pellucid.training.run import train

__all__ = ["classify", "write_digits"]

SHOWN = 5


def classify(folder: Path, say: Callable[[str], None]) -> int:
    """Handwritten digits (UCI, by way of scikit-learn) through every verb; gives the exit code."""
    data, run = folder / "digits", folder / "run"
    say(f"1,797 real handwritten digits as a folder per class: {data}")
    write_digits(data)
    say(f"$ pellucid train {data} --out {run} --model net --epochs 25 --hflip 0")
    shutil.rmtree(run, ignore_errors=True)
    settings = TrainConfig(model="net", epochs=25, hflip=0)
    with TrainingView() as view:
        train(data, run, settings, listen=view.hear, say=view.say)
    model = run / "model.safetensors"
    say(f"$ pellucid evaluate {model} {data} --split test")
    result = evaluate(model, data).to_json()
    some = sorted(data.glob("*/*.png"))[:: 1797 // SHOWN][:SHOWN]
    say(f"$ pellucid predict {model} {' '.join(str(path) for path in some[:2])} ...")
    for found in predict(model, some):
        say(f"  {found.image}: {found.prediction.to_row() if found.prediction else found.error}")
    print(f"test: {figures(result)}")
    print(f"model:  {model}\nreport: {run / 'report.html'}")
    return 0


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
