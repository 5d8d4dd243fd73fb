"""Which device computes, and in which precision."""

import time

import torch

from visual_taxonomy.config import Precision
from visual_taxonomy.errors import InputError

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
"""The values of `--precision` beside "auto"."""

_MIN_GAIN = 1.3
_SIZE = 1024


def pick_device(accelerator: str = "auto") -> torch.device:
    """The device of an accelerator by name: "cpu", "cuda", "mps", or "auto" for the best there.

    Raises:
        InputError: This machine has none of that name, or torch cannot use it.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if accelerator == "cpu":
        return torch.device("cpu")
    found = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    if accelerator not in ("auto", found.type):
        there = " and ".join(dict.fromkeys((found.type, "cpu")))
        raise InputError(
            f"--accelerator {accelerator}: torch {torch.__version__} finds only {there} on this "
            "machine; use --accelerator cpu or auto"
        )
    return found


def pick_precision(precision: Precision, device: torch.device) -> Precision:
    """The precision that "auto" stands for on a device: "bf16" where it is faster, else "32".

    A GPU says whether it multiplies bfloat16. Among CPUs that have the instructions some are four
    times as fast with them and others half as fast, so two matrix products are timed, which
    takes less than a tenth of a second. Other values are returned as they are.

    Example:
        >>> pick_precision("bf16", torch.device("cpu"))
        'bf16'
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    if device.type != "cpu":
        return "32"
    gain = _seconds_to_multiply(torch.float32) / _seconds_to_multiply(torch.bfloat16)
    return "bf16" if gain > _MIN_GAIN else "32"


def _seconds_to_multiply(dtype: torch.dtype) -> float:
    matrix = torch.ones(_SIZE, _SIZE).to(dtype)
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
