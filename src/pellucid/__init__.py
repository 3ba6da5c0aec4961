"""pellucid: a convolutional vision toolkit that one can see through.

    import pellucid
    pellucid.train("photos/", "runs/1", pellucid.TrainConfig(minutes=5))
    for found in pellucid.predict("runs/1/model.safetensors", ["new.jpg"]): print(found.prediction)

Names are imported when they are first used, so `import pellucid` does not wait for torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

HOMES = {
    "Dataset": "data.dataset",
    "PellucidError": "errors",
    "Predictor": "network",
    "Preprocess": "preprocess",
    "TrainConfig": "config",
    "build_model": "models.base",
    "check": "data.check",
    "evaluate": "evaluation",
    "fit": "training.loop",
    "import_weights": "importing",
    "load": "prediction",
    "open_dataset": "data.dataset",
    "predict": "prediction",
    "read_image": "image",
    "train": "training.run",
}

__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    """The public name, from the module that has it."""
    if name not in HOMES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pellucid.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
