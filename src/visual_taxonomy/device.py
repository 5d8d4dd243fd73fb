"""Which device computes, and in which precision."""

import torch

from visual_taxonomy.config import Precision
from visual_taxonomy.errors import InputError
from visual_taxonomy.processor import Verdict, bfloat16_verdict

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
"""The values of `precision` beside "auto"."""


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
            f"`accelerator={accelerator}`: torch {torch.__version__} finds only {there} on this "
            "machine; use `accelerator=cpu` or auto"
        )
    return found


def pick_precision(precision: Precision, device: torch.device) -> Precision:
    """The precision that "auto" stands for on a device: "bf16" where it is faster, else "32".

    The same machine always answers alike. Other values are returned as they are.

    Example:
        >>> pick_precision("bf16", torch.device("cpu"))
        'bf16'
    """
    if precision != "auto":
        return precision
    return "bf16" if _verdict(device).is_faster else "32"


def explain_precision(precision: Precision, device: torch.device) -> str:
    """One line: what "auto" was taken for on a device, and why; empty for other values.

    Example:
        >>> explain_precision("auto", torch.device("mps"))
        'precision 32: bfloat16 is chosen for CPUs and CUDA only'
    """
    if precision != "auto":
        return ""
    return f"precision {pick_precision(precision, device)}: {_verdict(device).reason}"


def _verdict(device: torch.device) -> Verdict:
    if device.type == "cpu":
        return bfloat16_verdict()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        # Older GPUs have it emulated: it works there, and gains nothing.
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Verdict(True, f"{name} multiplies bfloat16")
        return Verdict(False, f"{name} has no bfloat16 instructions")
    return Verdict(False, "bfloat16 is chosen for CPUs and CUDA only")
