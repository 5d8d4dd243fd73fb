"""The derivatives of a step, in two stages: losses to features, features to backbone.

Shapes: A active tasks, P values of the shared parameters, N images, D features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.backward.active_tasks import Step
from visual_taxonomy.task_weighting.backward.leaves import leaves
from visual_taxonomy.task_weighting.gramian import gramian_of_rows


def gradients_above(step: Step, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor | None]:
    """Of the weighted losses with respect to what lies above the backbone, and the features."""
    if not inputs:
        return []
    return list(
        torch.autograd.grad(
            step.losses, inputs, _as_gradients(step, weights), retain_graph=True, allow_unused=True
        )
    )


def _one_loss(step: Step, position: int, inputs: Sequence[Tensor]) -> list[Tensor | None]:
    """Derivatives of one loss by what lies above the backbone, and the features."""
    if not inputs:
        return []
    loss = step.losses[position]
    return list(torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True))


def feature_gradient(step: Step, position: int) -> Tensor:
    """[N, D] derivative of one loss by the features; zeros where it does not depend on them."""
    assert step.features is not None  # asked for only then
    (gradient,) = torch.autograd.grad(
        step.losses[position], [step.features], retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(step.features) if gradient is None else gradient


def backbone_gradients(
    step: Step, inputs: Sequence[Tensor], feature_gradient: Tensor, *, retain_graph: bool
) -> list[Tensor | None]:
    """One pass through the backbone, summed over processes."""
    if not inputs or step.features is None:
        return []
    gradients: list[Tensor | None] = list(
        torch.autograd.grad(
            step.features, inputs, feature_gradient, retain_graph=retain_graph, allow_unused=True
        )
    )
    found = [gradient for gradient in gradients if gradient is not None]
    if step.reduce is None or not found:
        return gradients
    # One message for all parameters: a hundred small ones would wait for the network in turn.
    flat = step.reduce(torch.cat([gradient.reshape(-1) for gradient in found]))
    reduced = iter(flat.split([gradient.numel() for gradient in found]))
    return [None if old is None else next(reduced).view(old.shape) for old in gradients]


def _as_gradients(step: Step, weights: Tensor) -> list[Tensor]:
    pairs = zip(step.losses, weights.detach().unbind(), strict=True)
    return [weight.to(loss) for loss, weight in pairs]


def gradient_rows(step: Step) -> tuple[Tensor, set[int]]:
    """[A, P] gradients of the shared parameters, and the ids of those that got one.

    Heads and upper layers first: the graph of the backbone is gone after its last pass.
    """
    backbone, upper, _ = step.layout()
    rows = step.new_rows(step.num_shared())
    sizes = [parameter.numel() for parameter in step.shared]
    cells = dict(zip(map(id, step.shared), rows.split(sizes, dim=1), strict=True))
    reached: set[int] = set()
    below: list[Tensor | None] = []

    def write(position: int, parameters: list[Tensor], gradients: list[Tensor | None]) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                cells[id(parameter)][position].copy_(gradient.reshape(-1))
                reached.add(id(parameter))

    for i in range(len(step.names)):
        gradients = _one_loss(step, i, [*step.feature_list(), *upper])
        # One gradient, that of the features; none where the backbone is frozen.
        below.extend(gradients[: len(gradients) - len(upper)])
        write(i, upper, gradients[len(gradients) - len(upper) :])
    # The graph of the backbone goes with the last pass that exists, not with the last task: that
    # one may not depend on the features.
    last = max((i for i, gradient in enumerate(below) if gradient is not None), default=-1)
    for i, gradient in enumerate(below):
        if gradient is not None and backbone:
            write(i, backbone, backbone_gradients(step, backbone, gradient, retain_graph=i < last))
            # Lets go of it: the feature gradients of all tasks are large.
            below[i] = None
    return rows, reached


def gramian_by_blocks(step: Step, budget: int) -> Tensor:
    """[A, A] inner products over all shared parameters, with rows of at most `budget` bytes.

    Each block of parameters takes A passes down to it; those of the last block, at the bottom of
    the backbone, are full ones. A parameter that alone is over the budget is its own block.
    """
    backbone, upper, _ = step.layout()
    num_tasks = len(step.names)
    below = [feature_gradient(step, i) for i in range(num_tasks) if step.features is not None]
    # A row per task is held at a time, so each may take its part of the budget.
    width = budget // (num_tasks * step.options.row_dtype.itemsize)
    total = torch.zeros(num_tasks, num_tasks, dtype=torch.float64, device=step.losses[0].device)
    for block in _blocks(upper, width):
        total += gramian_of_rows(_block_rows(step, block, None))
    for block in _blocks(backbone, width):
        total += gramian_of_rows(_block_rows(step, block, below))
    return total


def _block_rows(step: Step, block: list[Tensor], below: list[Tensor] | None) -> Tensor:
    """[A, Q] gradients of parameters: upper layers, or backbone (from feature gradients)."""
    sizes = [parameter.numel() for parameter in block]
    rows = step.new_rows(sum(sizes))
    for i, row in enumerate(rows):
        if below is None:
            gradients = _one_loss(step, i, block)
        else:
            # Retained for other tasks and blocks, and for the pass that applies the weights.
            gradients = backbone_gradients(step, block, below[i], retain_graph=True)
        for cell, gradient in zip(row.split(sizes), gradients, strict=True):
            if gradient is not None:
                cell.copy_(gradient.reshape(-1))
    return rows


def _blocks(parameters: Sequence[Tensor], width: int) -> list[list[Tensor]]:
    """Neighbouring parameters of at most `width` values together, or one that is larger."""
    blocks: list[list[Tensor]] = []
    size = 0
    for parameter in parameters:
        size += parameter.numel()
        if not blocks or size > width:
            blocks.append([])
            size = parameter.numel()
        blocks[-1].append(parameter)
    return blocks


def last_layer_rows(step: Step) -> Tensor:
    """[A, Q] gradients of the last shared weight matrix below each loss."""
    backbone, upper, _ = step.layout()
    matrices = [parameter for parameter in upper if parameter.ndim > 1]
    per_task = [_one_loss(step, i, matrices) for i in range(len(step.names))]
    lasts = [_last(gradients) for gradients in per_task]
    if step.features is not None and not all(lasts):
        used = {id(leaf) for leaf in leaves([step.features])}
        matrices = [p for p in backbone if p.ndim > 1 and id(p) in used][-1:]
        below = [feature_gradient(step, i) for i in range(len(step.names))]
        per_task = [backbone_gradients(step, matrices, z, retain_graph=True) for z in below]
        lasts = [_last(gradients) for gradients in per_task]
    rows = step.new_rows(sum(parameter.numel() for parameter in matrices))
    if rows.shape[1] == 0:
        raise InputError("source last_layer: no weight matrix is shared; use 'parameters'")
    starts = [sum(p.numel() for p in matrices[:k]) for k in range(len(matrices))]
    for row, found in zip(rows, lasts, strict=True):
        if found is not None:
            index, gradient = found
            row[starts[index] : starts[index] + gradient.numel()] = gradient.reshape(-1)
    return rows


def _last(gradients: Sequence[Tensor | None]) -> tuple[int, Tensor] | None:
    found = [(i, gradient) for i, gradient in enumerate(gradients) if gradient is not None]
    return found[-1] if found else None


def add_weighted(step: Step, weights: Tensor, head_factors: Tensor) -> None:
    """Add the gradient of the weighted losses; one pass through the backbone."""
    if step.is_plain():
        # Not autograd.grad: DistributedDataParallel averages in hooks that only this pass runs.
        torch.autograd.backward(step.losses, _as_gradients(step, weights))
        return
    backbone, upper, heads = step.layout()
    add(heads, gradients_above(step, heads, head_factors))
    if step.features is None:
        add(upper, gradients_above(step, upper, weights))
        return
    feature_gradient, *gradients = gradients_above(step, [step.features, *upper], weights)
    add(upper, gradients)
    if feature_gradient is not None:
        add(backbone, backbone_gradients(step, backbone, feature_gradient, retain_graph=False))


def add_to_heads(step: Step, head_factors: Tensor) -> None:
    """Add the gradients of the heads, times a factor per task."""
    _, _, heads = step.layout()
    add(heads, gradients_above(step, heads, head_factors))


def add_direction(step: Step, direction: Tensor, reached: set[int]) -> None:
    """Add [P] values to the shared parameters that got a gradient."""
    sizes = [parameter.numel() for parameter in step.shared]
    for parameter, part in zip(step.shared, direction.split(sizes), strict=True):
        # Left at None, not 0: an optimizer would decay, and move by its momentum, what took no
        # part.
        if id(parameter) not in reached:
            continue
        if parameter.grad is None:  # a view: the direction is nobody else's
            parameter.grad = _laid_out_like(parameter, part.view(parameter.shape))
        else:
            parameter.grad += part.view(parameter.shape)


def add(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Add to `.grad`, where there is something to add."""
    for parameter, gradient in zip(parameters, gradients, strict=False):
        if gradient is None:
            continue
        if parameter.grad is None:
            # Cloned: autograd may give two parameters one tensor, as for the terms of a sum.
            parameter.grad = _laid_out_like(parameter, gradient.detach().clone())
        else:
            parameter.grad += gradient.detach()


def _laid_out_like(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in type and memory order of the parameter, which fused optimizers count on."""
    gradient = gradient.to(parameter.dtype)
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)  # a convolution in channels_last, mostly
