"""Schedules of class weights: the table of them, and how to build one."""

from visual_taxonomy.class_weighting.base import ClassWeighting
from visual_taxonomy.class_weighting.class_balanced import ClassBalanced
from visual_taxonomy.class_weighting.deferred import Deferred
from visual_taxonomy.class_weighting.equal import Equal
from visual_taxonomy.class_weighting.inverse_frequency import InverseFrequency
from visual_taxonomy.registry import Registry, derived_from

__all__ = [
    "CLASS_WEIGHTINGS",
    "SCHEDULE_REGISTRY",
    "ClassWeighting",
    "build_class_weighting",
    "find_class_weighting",
]

CLASS_WEIGHTINGS: dict[str, type[ClassWeighting]] = {  # the public short names, as users type them
    # A string, as the original has it: the command line has no None.
    "None": Equal,
    "DRW": Deferred,
    "CBReweight": ClassBalanced,
    "IBReweight": InverseFrequency,
}

SCHEDULE_REGISTRY = Registry(
    "schedule",
    "visual_taxonomy.class_weightings",
    CLASS_WEIGHTINGS,
    derived_from(ClassWeighting),
)


def find_class_weighting(name: str) -> type[ClassWeighting]:
    """The schedule of that name.

    Args:
        name: A key of `CLASS_WEIGHTINGS` or the name that an installed package gives its own,
            matched without case; or `module:Class`.

    Raises:
        InputError: There is none, or what the name stands for is no `ClassWeighting`.

    Example:
        >>> find_class_weighting("drw").__name__
        'Deferred'
    """
    return SCHEDULE_REGISTRY.find(name)


def build_class_weighting(name: str, num_epochs: int, **parameters: object) -> ClassWeighting:
    """The schedule of that name for a run of so many epochs.

    Args:
        name: As for `find_class_weighting`.
        num_epochs: Epochs of the whole run, >= 1.
        **parameters: The schedule's own parameters.

    Raises:
        InputError: The schedule or a parameter of it does not exist, or a value is out of range.

    Example:
        >>> build_class_weighting("DRW", 50, onset=0.8)
        Deferred(num_epochs=50, beta=0.9999, onset=0.8)
    """
    return SCHEDULE_REGISTRY.build(name, num_epochs, **parameters)
