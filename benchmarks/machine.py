"""The line that heads every table: where and with what it was measured."""

import torch

from pellucid.checkpoint import versions
from pellucid.machine import describe


def header() -> str:
    facts = describe(torch.device("cpu")) | versions()
    return "  ".join(f"{name} {value}" for name, value in facts.items())
