"""What pays on this machine's processor, such as bfloat16, and how that is known.

Features decide where they can. Where they cannot, a measurement does: it is made once and kept in
the user's cache folder, so a machine always answers alike, however busy it is.
"""

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock, Timeout

from visual_taxonomy.atomic import write_text
from visual_taxonomy.errors import InputError

MIN_GAIN = 1.3
"""How many times as fast bfloat16 must be to be worth its rounding."""

_CPUINFO = Path("/proc/cpuinfo")
# Rows and columns of the products; smaller ones would time the call, not the processor.
_SIZE = 1024
# An odd number, so that the median is one of them.
_REPEATS = 9
# Another process measures meanwhile; it takes a second or two, on a busy machine ten.
_LOCK_SECONDS = 30.0
# Of the file with the verdict: what is longer is not ours, and is not read.
_MOST_BYTES = 4096


class Verdict(NamedTuple):
    """Whether bfloat16 is clearly faster, and why one thinks so."""

    is_faster: bool
    reason: str


class Processor(NamedTuple):
    """What the operating system says of the processor."""

    model: str
    features: frozenset[str] | None
    """Names as Linux has them; None where it does not say."""


@cache
def bfloat16_verdict() -> Verdict:
    """Whether matrix products in bfloat16 are clearly faster here, the same answer every time.

    AMX multiplies bfloat16 at many times the rate of float32, and a processor without any such
    instruction is slower with it. AVX512-BF16 and its like on Arm do not decide: some processors
    are four times as fast with them, others half as fast. Those are measured.
    """
    model, features = read_processor()
    if features is not None:
        if "amx_bf16" in features and torch.backends.mkldnn.is_available():
            return Verdict(True, f"{model} has AMX")
        # AMX again: where torch lacks oneDNN, which would use it, the measurement decides.
        if not features & {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}:
            return Verdict(False, f"{model} has no bfloat16 instructions")
    gain, place = kept_gain("bfloat16", machine_key(), measure_gain)
    where = f"kept in {place}" if place else "the cache folder cannot be written"
    return Verdict(gain >= MIN_GAIN, f"{model}, bfloat16 measured {gain:.1f} x float32 ({where})")


def read_processor(path: Path = _CPUINFO) -> Processor:
    """The processor by Linux's list, or by its name alone on other systems."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Processor(platform.processor() or platform.machine(), None)
    # The first processor stands for all.
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        values.setdefault(key.strip().casefold(), value.strip())
    flags = values.get("flags") or values.get("features")
    model = values.get("model name") or platform.processor() or platform.machine()
    return Processor(model, frozenset(flags.split()) if flags else None)


def machine_key() -> str:
    """What a measurement of arithmetic depends on: processor, version of torch, threads."""
    return f"{read_processor().model}, torch {torch.__version__}, {torch.get_num_threads()}"


def kept_gain(name: str, key: str, measure: Callable[[], float]) -> tuple[float, Path | None]:
    """The gain that was measured for a key before, or else now; and the file that keeps it.

    Processes that ask at the same time wait for the first. Where nothing can be kept, each process
    measures for itself.

    Args:
        name: What is measured, for the name of the file.
        key: What the gain depends on.
        measure: Measures it: how many times as fast.
    """
    try:
        path = cache_folder() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            gain = _read_gain(path, key)
            if gain is None:
                gain = measure()
                write_text(path, json.dumps({"key": key, "gain": gain}) + "\n")
            return gain, path
    except (OSError, RuntimeError, Timeout, InputError):  # no home, read-only, full, or stuck
        # If only the writing failed, it is measured a second time: a second or two, and rare.
        return measure(), None


def cache_folder() -> Path:
    """Where this package keeps what it has found out about the machine."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return base / "visual-taxonomy"


def measure_gain() -> float:
    """How many times as fast a matrix product is in bfloat16 as in float32: the median of pairs.

    The two of a pair are timed one after the other, so other work slows both alike.
    """
    matrices = [torch.ones(_SIZE, _SIZE, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    ratios = []
    for _ in range(1 + _REPEATS):
        single, half = map(_seconds_to_square, matrices)
        ratios.append(single / half)
    return round(statistics.median(ratios[1:]), 3)  # the first pair warms up


def _seconds_to_square(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(matrix, matrix)
    return time.perf_counter() - started


def _read_gain(path: Path, key: str) -> float | None:
    """What a file keeps for the key; None if there is no such file, or it is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
        kept = json.loads(file.read(_MOST_BYTES))
        gain = float(kept["gain"])
        # The key in full, as the name of the file has 64 bits of its hash; NaN fails both bounds.
        if kept["key"] == key and 0 < gain < 1000:
            return gain
    return None
