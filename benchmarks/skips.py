"""FCN-32s, 16s and 8s on one backbone, one seed and one budget: what the skips add.

python -m benchmarks.skips [DATA MINUTES]

Without DATA, scenes are drawn (400 to learn from, 100 to judge on, 128 pixels wide), with a minute and a half for each
network.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.machine import header
from pellucid import TrainConfig, train
from pellucid.scenes import write_scenes

MINUTES = 1.5
COUNTS = {"train": 400, "val": 20, "test": 100}


def row(data: Path, out: Path, stride: int, minutes: float) -> str:
    """Figures of the test split."""
    settings = TrainConfig(model=f"fcn{stride}s_resnet18", minutes=minutes, size=128)
    test = train(str(data), str(out), settings).metrics["test"]
    figures = "  ".join(
        f"{name} {test['metrics'][name]:.3f} ({test['intervals'][name][0]:.3f} to {test['intervals'][name][1]:.3f})"
        for name in ("mean_iou", "boundary_iou")
    )
    return f"FCN-{stride}s on ResNet-18: {figures}"


if __name__ == "__main__":
    print(header())
    with tempfile.TemporaryDirectory() as name:
        data, minutes = Path(name) / "scenes", MINUTES
        if sys.argv[1:]:
            data, minutes = Path(sys.argv[1]), float(sys.argv[2])
        else:
            write_scenes(data, COUNTS, (128, 128))
        for stride in (32, 16, 8):
            print(row(data, Path(name) / f"run{stride}", stride, minutes))
