"""How long it takes to look inside: one number, a trace, an account, a receptive field, an examination.

python -m benchmarks.inspection [MODEL DATA]

With a model file and its data, the examination of `pellucid health` is timed as well.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.machine import header
from pellucid.inspection.accounting import account
from pellucid.inspection.effective import effective_field
from pellucid.inspection.fields import fields, seen
from pellucid.inspection.health import EXAMINATIONS, health_of
from pellucid.inspection.recording import record
from pellucid.inspection.targets import Class
from pellucid.inspection.terms_of import explain, explain_gradient, explain_weight
from pellucid.machine import keep_memory
from pellucid.models.base import build_model

ROUNDS = 7
NUMBERS = (("conv1", (3, 50, 50)), ("layer1.0.conv1", (3, 20, 20)), ("layer4.1.conv2", (100, 3, 3)))
OTHERS = (("maxpool", (3, 20, 20)), ("layer1.0.bn1", (3, 20, 20)), ("layer1.0.add", (3, 20, 20)), ("fc", (7,)))


def milliseconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median, after a first call that sets up what the others find."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def told(name: str, call: Callable[[], object], limit: float | None = None, rounds: int = ROUNDS) -> None:
    found = milliseconds(call, rounds)
    target = "" if limit is None else f"  of at most {limit:.0f}  {'ok' if found <= limit else 'TOO SLOW'}"
    print(f"  {name:<44} {found:8.1f} ms{target}")


def numbers(model: torch.nn.Module, x: torch.Tensor) -> None:
    trace = record(model, x, lambda logits: logits[0, 3])
    print("\none number of ResNet-18 at 224, forward and backward")
    for name, at in (*NUMBERS, *OTHERS):
        told(f"{name}{list(at)}", lambda name=name, at=at: explain(trace, name, at), 30)
    for name, at in NUMBERS:
        told(f"∂{name}{list(at)}", lambda name=name, at=at: explain_gradient(trace, name, at), 30)
    told("∂layer1.0.conv1.weight[3, 4, 1, 1]", lambda: explain_weight(trace, "layer1.0.conv1", (3, 4, 1, 1)), 30)


def passes(model: torch.nn.Module, x: torch.Tensor) -> None:
    print("\nResNet-18 at 224, whole")
    with torch.no_grad():
        told("forward", lambda: model(x))
    told("trace", lambda: record(model, x), 400)
    told("trace with gradients", lambda: record(model, x, lambda logits: logits[0, 3]))
    told("account of a class", lambda: account(model, x, Class(3)), 1000)


def receptive(model: torch.nn.Module, x: torch.Tensor) -> None:
    trace = record(model, x)
    print("\nreceptive fields of ResNet-18 at 224")
    told("of all operations", lambda: fields(trace))
    told("exact pixels of one unit of layer4.1.relu2", lambda: seen(trace, "layer4.1.relu2", (3, 3)))
    images = [torch.randn_like(x) for _ in range(32)]
    told("effective, 32 images, layer4.1.relu2", lambda: effective_field(model, images, "layer4.1.relu2"), 4000, 1)


def examination(model: str, data: str) -> None:
    print(f"\npellucid health {model}, 128 images, decoded before")
    for name in EXAMINATIONS:
        told(f"--only {name}", lambda name=name: health_of(model, data, only=name), rounds=1)
    told("all", lambda: health_of(model, data), rounds=1)


def main() -> None:
    keep_memory()
    print(header())
    torch.manual_seed(0)
    model, x = build_model("resnet18", 1000).eval(), torch.randn(1, 3, 224, 224)
    numbers(model, x)
    passes(model, x)
    receptive(model, x)
    if len(sys.argv) == 3:
        examination(*sys.argv[1:])


if __name__ == "__main__":
    main()
