"""What the machine can do is read from its limits and measured, not assumed."""

import math
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid import machine
from pellucid.cores import usable_cores
from pellucid.errors import UsageError
from pellucid.machine import arithmetic, best_device, describe, fast_precision, keep_memory, processor

CPU = torch.device("cpu")


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)))


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", 64),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("9900000 100000\n", 64),
    ],
)
def test_the_quota_of_the_container_is_kept(tmp_path, many_cores, text, cores):
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cores(tmp_path) == cores


def test_without_a_quota_the_affinity_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3, 5, 7})
    assert usable_cores(tmp_path) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


@given(quota=st.integers(1, 10**7), period=st.integers(1000, 10**6))
def test_the_quota_is_rounded_up_and_never_zero(tmp_path_factory, quota, period):
    folder = tmp_path_factory.getbasetemp() / "quota"
    folder.mkdir(exist_ok=True)
    (folder / "cpu.max").write_text(f"{quota} {period}")
    assert 1 <= usable_cores(folder) <= math.ceil(quota / period)


@pytest.mark.parametrize(("bf16_seconds", "chosen"), [(0.5, "bf16"), (0.8, "bf16"), (0.9, "fp32"), (30.0, "fp32")])
def test_precision_follows_the_measurement(monkeypatch, bf16_seconds, chosen):
    seconds = {torch.float32: 1.0, torch.bfloat16: bf16_seconds}
    monkeypatch.setattr(machine, "_convolution_seconds", lambda dtype, _device: seconds[dtype])
    fast_precision.cache_clear()
    try:
        assert fast_precision(CPU) == (chosen, pytest.approx(1 / bf16_seconds))
        assert fast_precision(torch.device("mps")) == ("fp32", 1.0)
    finally:
        fast_precision.cache_clear()


def test_a_convolution_takes_time_in_either_precision():
    assert machine._convolution_seconds(torch.float32, CPU) > 0
    assert machine._convolution_seconds(torch.bfloat16, CPU) > 0


def test_arithmetic_is_mixed_only_where_asked():
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32), (None, torch.float32)):
        with arithmetic(CPU, precision):
            assert layer(x).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_devices():
    assert best_device("cpu") == CPU
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cpuu", "cuda:99", ""):
        with pytest.raises(UsageError, match=rf"Device '{name}' cannot be used here: .*Use --device cpu"):
            best_device(name)


def test_the_description_names_what_decides_the_bits():
    facts = describe(CPU)
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["device"] == "cpu"
    assert 1 <= facts["cores"] <= (os.cpu_count() or 1)
    assert facts["processor"] == processor()
    assert torch.backends.cpu.get_cpu_capability() in processor()
    assert all(isinstance(value, str | int) for value in facts.values())


def test_memory_is_kept_where_the_c_library_can():
    assert keep_memory() == (os.name == "posix" and os.confstr("CS_GNU_LIBC_VERSION").startswith("glibc"))
