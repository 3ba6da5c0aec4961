"""How many cores there are to use."""

import math
import os
from pathlib import Path

__all__ = ["network_lanes", "usable_cores"]

MOST_LANES = 8


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may use: its affinity, and the container's processor quota rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota_file = cgroup / "cpu.max"
    if quota_file.is_file():
        quota, period = quota_file.read_text().split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def network_lanes() -> int:
    """Threads that may each run a network of their own: one a core, and not too many, for each holds photos and what
    happens inside."""
    return min(MOST_LANES, usable_cores())
