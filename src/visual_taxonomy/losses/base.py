"""What every loss is: one attribute, one batch, one number.

Shapes: N entries, C classes, D features.
"""

import math
from typing import ClassVar, Literal

from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.losses.reduction import widened


class Loss(nn.Module):
    """A loss of one attribute over the labelled entries of a batch.

    Subclasses take the class counts first, used or not, so that one line builds any of them.
    A loss stores only tables derived from the counts (and what it learns, in `GLA`); what changes
    by epoch is an argument. The class attributes say what a loss wants from the rest of the run.
    """

    head: ClassVar[Literal["linear", "cosine"]] = "linear"
    """The head the loss's paper uses: raw logits, or cosines of features and class vectors.

    A loss of cosines has an attribute `scale`, the number it multiplies them by: its head gets the
    same, so that predicted probabilities are those of the trained softmax.
    """

    needs_features: ClassVar[bool] = False
    """Whether `forward` needs `features`."""

    reweights: ClassVar[bool] = False
    """Whether the loss weights classes itself; a schedule of class weights then weights twice."""

    soft_targets: ClassVar[bool] = True
    """Whether targets may be probabilities [N, C] (mixup, distillation)."""

    takes_smoothing: ClassVar[bool] = False
    """Whether label smoothing has a meaning: the loss is a cross-entropy, so that a target may be
    mixed with the uniform distribution (`label_smoothing`)."""

    warm_up: ClassVar[str | None] = None
    """Name of the loss to train with, without class weights, before this one starts."""

    weight_reduction: ClassVar[Literal["weighted", "plain"]] = "weighted"
    """What the mean is over: the class weights of the targets (weighted), or N (plain)."""

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """The loss of N >= 1 labelled entries, a scalar in float32 or wider.

        A soft target gives the expected loss of a label drawn from it, so a one-hot row equals
        the index. Never waits for the device.

        Args:
            logits: [N, C] outputs of the head; half precision is computed in float32.
            target: [N] class indices, all known, or [N, C] probabilities of the classes.
            class_weights: [C] weights of the classes from the schedule; None for equal weights.
            features: [N, D] what the head multiplied by its weights, for losses that need it.
        """
        raise NotImplementedError

    def adjusted(self, logits: Tensor) -> Tensor:
        """Of the logits that predict, [N, C], those whose softmax is fitted to the labels.

        They differ where a loss adds the log prior to the logits or scales them by class, so that
        what predicts learns the rest. A teacher is compared with these.
        """
        return widened(logits)


def checked(
    name: str, value: float, low: float, high: float = math.inf, *, low_included: bool = True
) -> float:
    """The value of a parameter, if it is a finite number from `low` to `high`.

    Raises:
        InputError: It is not; the message names parameter, value and range.

    Example:
        >>> checked("gamma", 2.0, low=0)
        2.0
        >>> checked("scale", 0.0, low=0, low_included=False)
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: scale: 0.0, expected a finite number > 0
    """
    # NaN fails every comparison, so it is refused with what is out of range.
    fits = isinstance(value, int | float) and low <= value <= high and math.isfinite(value)
    if fits and (low_included or value > low):
        return float(value)
    end = f" and <= {high}" if math.isfinite(high) else ""
    sign = ">=" if low_included else ">"
    raise InputError(f"{name}: {value!r}, expected a finite number {sign} {low}{end}")
