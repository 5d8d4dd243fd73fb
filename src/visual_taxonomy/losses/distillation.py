"""What a student has still to learn of a teacher's probabilities.

Shapes: N entries, C classes.
"""

import torch.nn.functional as F
from torch import Tensor

from visual_taxonomy.losses.reduction import LEAST_WEIGHT, widened


def distillation_loss(
    logits: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    class_weights: Tensor | None = None,
    is_plain: bool = False,
) -> Tensor:
    """T ** 2 times the Kullback-Leibler divergence of the student from the teacher, a mean.

        target = softmax((log q + log w) / T)
        loss = T ** 2 * sum over c of target * (log target - log softmax(logits / T))

    with the teacher's probabilities q and the class weights w. The factor T ** 2 keeps the gradient
    as large as that of the labels whatever T is. An entry has the weight sum of w * q, so with T 1
    this is the loss of the labels for a label drawn from q, less a constant.

    Args:
        logits: [N, C] of the student, after `Loss.adjusted`.
        teacher: [N, C] log probabilities of the teacher, with the class frequencies in them.
        temperature: T, above 0.
        class_weights: [C] of the schedule, as for the loss of the labels.
        is_plain: Whether the mean is over N, not over the weights of the entries.

    References:
        Hinton, Vinyals and Dean, 2015, https://arxiv.org/abs/1503.02531.

    Example:
        >>> import torch
        >>> teacher = torch.tensor([[0.8, 0.2]]).log()
        >>> distillation_loss(torch.zeros(1, 2), teacher)  # 0.8 log(0.8 / 0.5) + 0.2 log(0.2 / 0.5)
        tensor(0.1927)
    """
    weights = None
    if class_weights is not None:
        weights = (teacher.exp() * class_weights).sum(dim=1)
        # Weights of 0 exist (a class without a label); their log would be -inf, and 0 x inf NaN.
        teacher = teacher + class_weights.clamp_min(LEAST_WEIGHT).log()
    target = F.log_softmax(teacher / temperature, dim=1)
    student = F.log_softmax(widened(logits) / temperature, dim=1)
    losses = F.kl_div(student, target, reduction="none", log_target=True).sum(dim=1)
    losses = losses * temperature**2
    if weights is None:
        return losses.mean()
    total = (weights * losses).sum()
    return total / (len(losses) if is_plain else weights.sum().clamp_min(LEAST_WEIGHT))
