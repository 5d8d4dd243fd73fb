"""What every schedule of class weights is: a pure function of counts and epoch.

Shapes: C classes.
"""

from dataclasses import dataclass

from torch import Tensor

from visual_taxonomy.errors import InputError


# Frozen: what cannot change need not be saved, and a resumed run builds the same schedule.
@dataclass(frozen=True)
class ClassWeighting:
    """A schedule of class weights over the epochs of a run.

    It has no state, so a resumed run needs none. Weights have mean 1 over the classes that occur;
    an absent class gets 0.

    Args:
        num_epochs: Epochs of the whole run, >= 1.

    Raises:
        InputError: `num_epochs` is below 1.
    """

    num_epochs: int

    def __post_init__(self) -> None:
        if self.num_epochs < 1:
            raise InputError(f"num_epochs must be at least 1, not {self.num_epochs}")

    def __call__(self, class_counts: Tensor, epoch: int) -> Tensor:
        """Class weights of an epoch, [C] in float32 on the device of the counts.

        Computed on the CPU: call it once per epoch, not per step.

        Args:
            class_counts: [C] labelled training examples of each class, 0 for absent ones.
            epoch: Epoch of the run, from 0.
        """
        raise NotImplementedError
