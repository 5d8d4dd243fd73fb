"""Weights that level how strongly the tasks pull at the last shared layer."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting

_SMALLEST = 1e-8  # of losses: a first loss of 0 would be divided by, a later one has no power < 0
# A weight may not reach 0, where the task gets no gradient, nor pass it, where its loss is raised.
_LEAST_WEIGHT = 1e-4


def level_gradient(
    norms: Tensor, ratios: Tensor, weights: Tensor, asymmetry: float
) -> tuple[Tensor, Tensor]:
    """The distance of the weighted gradient norms from their targets, and its slope by the weights.

        target = mean(weight * norm) * (ratio / mean(ratio)) ** asymmetry, held constant

    Args:
        norms: [A] norms of the gradients of the unweighted losses.
        ratios: [A] losses relative to their initial values.
        weights: [A] weights of the tasks.
        asymmetry: How much more a task that learns slowly shall pull (the paper's alpha).

    Example:
        >>> ones = torch.ones(2)
        >>> level_gradient(torch.tensor([1.0, 3.0]), ones, ones, 1.5)
        (tensor(2.), tensor([-1.,  3.]))
    """
    pulls = weights * norms
    distances = pulls - pulls.mean() * (ratios / ratios.mean()) ** asymmetry
    return distances.abs().sum(), distances.sign() * norms


class GradientNormalization(GramianWeighting):
    """GradNorm: tasks that learn more slowly than the others pull harder at the last shared layer.

    Each step the weights take one step of plain gradient descent on the distance between weighted
    gradient norms and their targets (the step uses the weights of before), and are rescaled to
    keep their sum. They are updated here, not by an optimizer: they are buffers, and
    `parameters()` is empty. All of the network is trained on the weighted sum of the losses.

    Args:
        task_names: [T] names of all tasks.
        asymmetry: The paper's alpha, >= 0; the higher, the more slow tasks are pushed.
        learning_rate: Of the weights; >= 0.
        initial_losses: Task name -> loss at the start, > 0; log(number of classes) is a good
            choice for cross-entropy. A task without one takes its first loss.

    Raises:
        InputError: An argument is out of its range, or a name is no task.

    References:
        Chen, Badrinarayanan, Lee, Rabinovich, ICML 2018, https://arxiv.org/abs/1711.02257.

    Example:
        >>> method = GradientNormalization(["c/a", "c/b"])
        >>> gramian = torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64))
        >>> method(gramian, torch.ones(2), [0, 1]), method.weights
        (tensor([1., 1.], dtype=torch.float64), tensor([1.0513, 0.9487], dtype=torch.float64))
    """

    default_source = "last_layer"
    default_head_scale = "weights"
    weights: Tensor
    initial_losses: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        asymmetry: float = 1.5,
        learning_rate: float = 0.025,
        initial_losses: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(task_names)
        given = dict(initial_losses or {})
        if asymmetry < 0 or learning_rate < 0 or any(loss <= 0 for loss in given.values()):
            raise InputError(
                "GradNorm: asymmetry and learning_rate must not be negative and initial losses "
                f"must be positive, not {asymmetry}, {learning_rate} and {given}"
            )
        self.asymmetry = asymmetry
        self.learning_rate = learning_rate
        num_tasks = len(self.task_names)
        self.register_buffer("weights", torch.ones(num_tasks, dtype=torch.float64))
        self.register_buffer("initial_losses", torch.zeros(num_tasks, dtype=torch.float64))
        for index, loss in zip(self.indices(list(given)), given.values(), strict=True):
            self.initial_losses[index] = loss

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        initial = self.initial_losses[tasks]
        initial = torch.where(initial > 0, initial, losses.to(initial).clamp_min(_SMALLEST))
        # Tasks without one keep the loss of their first step from now on.
        self.initial_losses[tasks] = initial
        weights = self.weights[tasks]
        ratios = losses.to(initial).clamp_min(_SMALLEST) / initial
        _, slope = level_gradient(gramian.diagonal().sqrt(), ratios, weights, self.asymmetry)
        moved = (weights - self.learning_rate * slope).clamp_min(_LEAST_WEIGHT)
        self.weights[tasks] = moved * (weights.sum() / moved.sum())
        return weights
