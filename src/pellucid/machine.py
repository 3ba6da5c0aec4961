"""What this machine can do: threads it may use, arithmetic it is fast in, and a name for its kind."""

import contextlib
import ctypes
import functools
import math
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from pellucid.cores import usable_cores
from pellucid.errors import UsageError

__all__ = [
    "arithmetic",
    "best_device",
    "describe",
    "fast_precision",
    "keep_memory",
    "processor",
]

BF16_GAIN = 1.2
"""bf16 is chosen from this measured gain on; where processors have it, it is about 2, else below 1."""


def best_device(wanted: str | None = None) -> torch.device:
    """The device asked for, or the fastest kind there is."""
    if wanted is None:
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"Device {wanted!r} cannot be used here: {first} Use --device cpu.") from error
    return device


def arithmetic(device: torch.device, precision: str | None) -> contextlib.AbstractContextManager[None]:
    """The arithmetic of a forward pass: mixed bf16, or fp32 as it is."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


@functools.cache
def keep_memory() -> bool:
    """Let the C library keep freed memory instead of giving it back: a training step asks for it again at once.

    Without this, glibc returns every large tensor to the system and takes a page fault for each 4 KiB of the next.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL("libc.so.6")
    trim_threshold, mmap_threshold = -1, -3
    kept = 1 << 30
    return bool(libc.mallopt(mmap_threshold, kept) and libc.mallopt(trim_threshold, kept))


@functools.cache
def fast_precision(device: torch.device) -> tuple[str, float]:
    """`bf16` or `fp32`, and the measured gain of bf16 on a convolution of this device."""
    if device.type not in ("cpu", "cuda"):
        return "fp32", 1.0
    gain = _convolution_gain(device)
    return ("bf16" if gain >= BF16_GAIN else "fp32"), gain


def _convolution_gain(device: torch.device, rounds: int = 12) -> float:
    """Shortest time of a convolution in fp32 over that in bf16, measured in turns.

    Other work on the machine makes a time longer, never shorter, so the shortest of several is the processor's own.
    """
    shortest = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(rounds):
        for dtype in shortest:
            shortest[dtype] = min(shortest[dtype], _convolution_seconds(dtype, device))
    return shortest[torch.float32] / shortest[torch.bfloat16]


def _convolution_seconds(dtype: torch.dtype, device: torch.device) -> float:
    images = 1024 if device.type == "cuda" else 32  # so many that a GPU takes longer than its launch does
    x = torch.ones(images, 64, 28, 28, dtype=dtype, device=device).to(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, dtype=dtype, device=device).to(memory_format=torch.channels_last)
    _wait(device)
    start = time.perf_counter()
    functional.conv2d(x, weight, padding=1)
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def processor() -> str:
    """The processor's name and the widest vectors torch uses on it: same bits are promised within one class."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = names[0].strip() if names else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def describe(device: torch.device) -> dict[str, Any]:
    """The facts of this machine that a run records; a resume elsewhere says which of them differ."""
    facts = {
        "processor": processor(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts
