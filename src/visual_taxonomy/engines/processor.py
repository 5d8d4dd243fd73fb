"""What the engines that run on the CPU alone have in common."""

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError


def check_is_float32_on_cpu(engine: str, config: InferenceConfig) -> None:
    """Refuse what only torch can do.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """
    if config.accelerator not in ("auto", "cpu"):
        raise InputError(
            f"--accelerator {config.accelerator}: {engine} runs on the CPU here; use --engine torch"
        )
    if config.precision not in ("auto", "32"):
        raise InputError(
            f"--precision {config.precision}: {engine} computes in the precision of the bundle; "
            "use --engine torch, or export with --int8"
        )
