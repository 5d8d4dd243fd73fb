"""Weights on the simplex that are moved by inner products between gradients of two batches."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import Combination, JacobianCombination
from visual_taxonomy.task_weighting.gramian import combine_rows, gramian_of_rows, inner_products

Batches = Literal["two", "one"]


class TwoBatchCombination(JacobianCombination):
    """What methods of double sampling share: where their two or three batches come from.

    The papers draw three independent batches in a step, J1 and J2 to move the weights along J1 J2'
    and a third for the update. A Gramian of one batch would be biased: the noise of a gradient
    does not cancel in the product with itself. Here a step has one batch. J2 are its gradients, J1
    those that each task had in its step before, and the update takes the weights found until then.
    So the three are of different images, as in the papers; what differs is that J1 and the weights
    are older than the parameters, by one step of the task. The weights stay while an active task
    has no step before.

    The weights of the active tasks sum to 1 in each step; what inactive tasks track and weigh stays
    as it is.

    Args:
        task_names: [T] names of all tasks.
        batches: "two" as above, which keeps T x P numbers; "one" for J1 = J2, biased, which keeps
            nothing.
        tracked_dtype: Type in which J1 is kept; "bfloat16" halves its memory.

    Raises:
        InputError: An argument does not exist.
    """

    weights: Tensor
    is_tracked: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        batches: Batches = "two",
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, tracked_dtype)
        if batches not in ("two", "one"):
            raise InputError(f"batches '{batches}' is none of: two, one")
        self.batches = batches
        num_tasks = len(self.task_names)
        self.register_buffer(
            "weights", torch.full((num_tasks,), 1 / num_tasks, dtype=torch.float64)
        )
        self.register_buffer("is_tracked", torch.zeros(num_tasks, dtype=torch.bool))

    def move(self, products: Tensor, weights: Tensor) -> Tensor:
        """[A] the weights after a step.

        Args:
            products: [A, A] J1 J2', float64.
            weights: [A] weights so far, on the simplex.
        """
        raise NotImplementedError

    def applied(self, weights: Tensor) -> Tensor:
        """[A] what the gradients are multiplied by."""
        return weights

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        weights = self.weights[tasks]
        # Tasks that together have lost all weight to tasks not active now start over.
        initial = torch.full_like(weights, 1 / len(self.weights))
        weights = torch.where(weights.sum() > 0, weights, initial)
        share = weights.sum()
        weights = weights / share
        products, is_known = self._products(rows, tasks)
        moved = torch.where(is_known, self.move(products, weights), weights)
        self.weights[tasks] = moved * share
        applied = self.applied(weights)
        return Combination(combine_rows(rows, applied), applied)

    def _products(self, rows: Tensor, tasks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """[A, A] J1 J2', and whether J1 is known; keeps `rows` [A, P] as the next J1."""
        if self.batches == "one":
            return gramian_of_rows(rows), torch.ones_like(self.is_tracked[0])
        self.allocate(rows)
        # Before the rows are kept: J1 must be of the step before, or the product is biased.
        products = inner_products(self.tracked, rows, tasks)
        # One task that is new spoils the products of all, so no weight moves in this step.
        is_known = self.is_tracked[tasks].all()
        for row, task in zip(rows, tasks, strict=True):
            self.tracked[task].copy_(row)
        self.is_tracked[tasks] = True
        return products, is_known
