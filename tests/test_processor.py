import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from visual_taxonomy import processor
from visual_taxonomy.processor import (
    bfloat16_verdict,
    cache_folder,
    kept_gain,
    measure_gain,
    read_processor,
)

CPUINFO = (
    "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: avx2 {}\n\nprocessor\t: 1\nflags\t: y\n"
)


def kept(key):
    return kept_gain("bfloat16", key, processor.measure_gain)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """An empty cache folder, and no answer from before."""
    monkeypatch.setattr(processor, "cache_folder", cache_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bfloat16_verdict.cache_clear()
    yield
    bfloat16_verdict.cache_clear()


@pytest.fixture
def gains(monkeypatch):
    """Sets what measurements give, one after the other; a measurement too many is an error."""

    def give(*values: float) -> list[float]:
        left = list(values)
        monkeypatch.setattr(processor, "measure_gain", lambda: left.pop(0))
        return left

    return give


@pytest.fixture
def features(monkeypatch, tmp_path):
    """Sets the features of the processor."""

    def have(*names: str) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(CPUINFO.format(" ".join(names)))
        found = read_processor(path)
        monkeypatch.setattr(processor, "read_processor", lambda: found)

    return have


def test_a_processor_with_amx_takes_bfloat16_unmeasured(features, gains):
    features("avx512_bf16", "amx_bf16")
    gains()
    assert bfloat16_verdict() == (True, "AMD EPYC has AMX")


def test_a_processor_without_the_instructions_takes_float32_unmeasured(features, gains):
    features("avx512f")
    gains()
    assert bfloat16_verdict() == (False, "AMD EPYC has no bfloat16 instructions")


@pytest.mark.parametrize(("gain", "is_faster"), [(2.9, True), (1.3, True), (1.2, False)])
@pytest.mark.parametrize("name", ["avx512_bf16", "bf16"])
def test_what_features_leave_open_is_measured(features, gains, tmp_path, name, gain, is_faster):
    features(name)
    gains(gain)
    verdict = bfloat16_verdict()
    assert verdict.is_faster == is_faster
    start = f"AMD EPYC, bfloat16 measured {gain} x float32 (kept in {tmp_path}/visual-taxonomy/"
    assert verdict.reason.startswith(start)


def test_a_machine_answers_alike_though_a_second_measurement_would_differ(features, gains):
    """As of two runs of one command, the second under load."""
    features("avx512_bf16")
    gains(1.5, 1.0)
    first = bfloat16_verdict()
    bfloat16_verdict.cache_clear()
    assert bfloat16_verdict() == first


def test_another_processor_torch_or_number_of_threads_is_measured_anew(features, gains):
    left = gains(2.0, 3.0)
    assert kept("EPYC, torch 2.13, 2")[0] == 2.0
    assert kept("EPYC, torch 2.13, 1")[0] == 3.0
    assert kept("EPYC, torch 2.13, 2")[0] == 2.0
    assert left == []


def test_a_cache_folder_that_cannot_be_written_is_no_error(features, gains, tmp_path):
    (tmp_path / "visual-taxonomy").write_text("in the way")
    features("avx512_bf16")
    gains(2.0)
    verdict = bfloat16_verdict()
    assert verdict == bfloat16_verdict()
    assert verdict.reason.endswith("2.0 x float32 (the cache folder cannot be written)")


def test_a_user_without_a_home_is_no_error(monkeypatch, gains):
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", fail)
    gains(2.0)
    assert kept("EPYC") == (2.0, None)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"key": "EPYC"}', '{"key": "another", "gain": 2}', "\xff" * 9]
)
def test_a_damaged_file_is_measured_anew(gains, content):
    gains(2.0, 3.0)
    _, path = kept("EPYC")
    path.write_text(content, encoding="latin-1")
    assert kept("EPYC") == (3.0, path)
    assert json.loads(path.read_text()) == {"key": "EPYC", "gain": 3.0}


def test_a_relative_cache_folder_is_ignored_as_its_specification_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache/visual-taxonomy"


def test_those_that_ask_at_once_agree_and_only_the_first_measures(monkeypatch):
    """Threads stand for processes: each opens the lock anew."""
    measured = []

    def measure() -> float:
        time.sleep(0.05)
        measured.append(2.0)
        return float(len(measured))

    monkeypatch.setattr(processor, "measure_gain", measure)
    with ThreadPoolExecutor(4) as pool:
        gains = list(pool.map(kept, ["EPYC"] * 4))
    assert {gain for gain, _ in gains} == {1.0}


def test_the_gain_is_the_median_of_pairs_timed_in_turn(monkeypatch):
    """A pause in one of nine pairs, in either, changes nothing."""
    seconds = {torch.float32: 2.0, torch.bfloat16: 1.0}
    asked = []

    def take(matrix: torch.Tensor) -> float:
        asked.append(matrix.dtype)
        return seconds[matrix.dtype] * (100.0 if len(asked) in (1, 6, 11) else 1.0)

    monkeypatch.setattr(processor, "_SIZE", 4)
    monkeypatch.setattr(processor, "_seconds_to_square", take)
    assert measure_gain() == 2.0
    assert asked == [torch.float32, torch.bfloat16] * 10


def test_timing_gives_seconds_and_leaves_the_random_state():
    before = torch.get_rng_state()
    assert 0 < processor._seconds_to_square(torch.ones(8, 8, dtype=torch.bfloat16)) < 1
    assert torch.equal(torch.get_rng_state(), before)


def test_a_system_without_a_list_of_features_is_known_by_name(tmp_path):
    model, features = read_processor(tmp_path / "none")
    assert isinstance(model, str)
    assert features is None
    (tmp_path / "arm").write_text("processor: 0\nFeatures: fp asimd bf16\n")
    assert read_processor(tmp_path / "arm").features == {"fp", "asimd", "bf16"}
