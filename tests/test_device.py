from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy import device
from visual_taxonomy.device import DTYPES, pick_device, pick_precision

CPU = torch.device("cpu")


@pytest.fixture
def seconds(monkeypatch):
    """Sets how long a product takes in float32 and bfloat16."""

    def take(float32: float, bfloat16: float) -> None:
        table = {torch.float32: float32, torch.bfloat16: bfloat16}
        monkeypatch.setattr(device, "_seconds_to_multiply", table.__getitem__)

    return take


@pytest.mark.parametrize("name", ["cpu", "cuda", "mps"])
def test_a_named_accelerator_is_taken_as_it_is(name):
    assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize("found", [torch.device("cuda"), torch.device("mps")])
def test_auto_takes_the_accelerator_that_is_there(monkeypatch, found):
    def current(check_available: bool) -> torch.device | None:
        return found if check_available else torch.device("xpu")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    assert pick_device() == found


def test_auto_takes_the_cpu_where_there_is_no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert pick_device("auto") == CPU


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_a_named_precision_is_taken_without_timing(monkeypatch, precision):
    def fail(dtype: torch.dtype) -> float:
        raise AssertionError(f"timed {dtype}")

    monkeypatch.setattr(device, "_seconds_to_multiply", fail)
    assert pick_precision(precision, CPU) == precision
    assert precision in DTYPES


@pytest.mark.parametrize(
    ("float32", "bfloat16", "picked"),
    [(4.0, 1.0, "bf16"), (1.0, 2.0, "32"), (1.0, 1.0, "32"), (1.2, 1.0, "32"), (1.4, 1.0, "bf16")],
)
def test_auto_takes_bfloat16_on_a_cpu_that_is_clearly_faster_with_it(
    seconds, float32, bfloat16, picked
):
    seconds(float32, bfloat16)
    assert pick_precision("auto", CPU) == picked


@pytest.mark.parametrize(("native", "picked"), [(True, "bf16"), (False, "32")])
def test_auto_takes_bfloat16_on_a_gpu_that_has_it(monkeypatch, native, picked):
    answer = SimpleNamespace(is_bf16_supported=lambda including_emulation: native)
    monkeypatch.setattr(torch, "cuda", answer)
    assert pick_precision("auto", torch.device("cuda")) == picked


def test_auto_is_single_precision_elsewhere():
    assert pick_precision("auto", torch.device("mps")) == "32"


def test_timing_gives_seconds_and_leaves_the_random_state(monkeypatch):
    monkeypatch.setattr(device, "_SIZE", 8)
    before = torch.get_rng_state()
    assert 0 < device._seconds_to_multiply(torch.bfloat16) < 1
    assert torch.equal(torch.get_rng_state(), before)
