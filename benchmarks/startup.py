"""Start-up times, and the memory and the bytes read of a short run.

python -m benchmarks.startup
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import header

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import pellucid": ["-c", "import pellucid"],
    "pellucid --version": ["-m", "pellucid", "--version"],
    "pellucid --help": ["-m", "pellucid", "--help"],
    "pellucid train --help": ["-m", "pellucid", "train", "--help"],
    "import torch": ["-c", "import torch"],
    "import pellucid.training.run": ["-c", "import pellucid.training.run"],
}

WATCHED = """
import json, resource, sys
from pellucid.cli import main
code = main(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_SELF)
read = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
print(json.dumps({"code": code, "peak": usage.ru_maxrss * 1024, "read": int(read["rchar"])}))
"""


def seconds(words: list[str], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def photos(folder: Path, count: int, side: int) -> Path:
    """Smooth random photographs, so that their JPEG files have a realistic size."""
    generator = np.random.default_rng(0)
    for place in range(count):
        coarse = generator.integers(0, 256, (side // 16, side // 12, 3), dtype=np.uint8)
        target = folder / "photos" / f"class{place % 2}" / f"{place}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(target, quality=90)
    return folder / "photos"


def watched_run(folder: Path, epochs: int) -> dict[str, int]:
    environment = os.environ | {"PELLUCID_CACHE": str(folder / f"cache{epochs}")}
    words = ["train", str(folder / "photos"), "--out", str(folder / f"run{epochs}"), "--model", "resnet18"]
    command = [sys.executable, "-c", WATCHED, *words, "--size", "96", "--batch", "16", "--epochs", str(epochs)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(header())
    for name, words in COMMANDS.items():
        print(f"{name:<30} {1000 * seconds(words):7.0f} ms (median of 7)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = sum(path.stat().st_size for path in photos(folder, 200, 768).rglob("*.jpg"))
        two, four = watched_run(folder, 2), watched_run(folder, 4)
    print(f"resnet18 at 96 px on 200 JPEG photos of 1024x768 ({size / 1e6:.1f} MB):")
    print(f"  peak memory {four['peak'] / 1e6:.0f} MB, of which torch alone takes about 220 MB")
    print(f"  read by the process in each further epoch: {(four['read'] - two['read']) / 2e6:.2f} MB")
