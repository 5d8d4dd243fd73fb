"""The one place that differentiates: losses and a method in, gradients in `.grad` out.

Shapes: A active tasks, P values of the shared parameters, N images, D features.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.backward.active_tasks import Step
from visual_taxonomy.task_weighting.backward.gradients import (
    add,
    add_direction,
    add_to_heads,
    add_weighted,
    backbone_gradients,
    feature_gradient,
    gradient_rows,
    gradients_above,
    gramian_by_blocks,
    last_layer_rows,
)
from visual_taxonomy.task_weighting.backward.options import BackwardOptions
from visual_taxonomy.task_weighting.base import GramianWeighting, TaskWeighting
from visual_taxonomy.task_weighting.gramian import combine_rows, gramian_of_rows, nonzero_rows

Reduce = Callable[[Tensor], Tensor]
_DEFAULTS = BackwardOptions()


class Gramian(NamedTuple):
    """Inner products of the gradients of the tasks of a step."""

    names: tuple[str, ...]
    """[A] the tasks."""
    products: Tensor
    """[A, A] float64, on the CPU."""


class Update(NamedTuple):
    """What one call has added to `.grad`, and what it saw on the way."""

    weights: dict[str, Tensor]
    """Task name -> weight of its loss in the shared update."""
    gramian: Gramian | None = None
    """What `watch` asked for; None where nobody asked, or where the weights are reused."""
    is_reused: bool = False
    """Whether the weights are those of an earlier step (`update_weights_every`)."""


def multi_task_backward(
    losses: Mapping[str, Tensor],
    method: TaskWeighting,
    shared: Iterable[Tensor],
    features: Tensor | None = None,
    generator: torch.Generator | None = None,
    *,
    num_labels: Mapping[str, int] | None = None,
    options: BackwardOptions = _DEFAULTS,
    reduce: Reduce | None = None,
    watch: bool = False,
) -> Update | None:
    """Add the method's update of the active tasks to `.grad`.

    The shared parameters get the method's direction, every other parameter below the losses (the
    heads) the gradient of its own losses, times the weights if `head_scale` says so. Parameters
    that no loss depends on, among them all of inactive tasks, are not touched. A task whose loss
    or gradient is not finite is left out of the step and counted in `method.record`. All that
    waits for the device is one transfer of at most A x (A + 2) numbers.

    Gradients are taken in two stages: each loss down to the features and the shared layers above,
    then a pass through the backbone per task. Hooks on `.grad` (as of DDP, FSDP) do not see it.

    Args:
        losses: Task name -> scalar loss, of the active tasks only.
        method: From `build_task_weighting`.
        shared: Trainable parameters that more than one task uses (backbone, and shared layers
            above it), always in one order. Kinds that track gradients need all of them.
        features: [N, D] output of the backbone. The losses depend on the backbone only through it.
            None where there is no such output; a leaf, for `watch` only, if it is frozen.
        generator: CPU generator for methods that draw; give all processes the same state.
        num_labels: Task name -> labelled images behind its loss, for means over an epoch.
        options: What the gradients are taken of, memory, scale.
        reduce: Sum over processes of the backbone's gradients, which are those of a process's own
            images, before anything non-linear. Losses and features must be of all images and equal
            everywhere (gathered, each process getting its own images' gradient). Needs `features`.
        watch: Whether to return the Gramian too: the one that the weights come from, for other
            methods that of the gradients of the features. Costs no pass, but a transfer.

    Returns:
        The weights, and the Gramian if it was asked for; None if no task could be used.

    Raises:
        InputError: An option has no effect, a loss is no scalar or of no task, or a task was not
            finite in too many steps in a row.

    Example:
        >>> from visual_taxonomy.task_weighting import build_task_weighting
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> losses = {"c/a": 0.8 + weight[0], "c/b": 1.5 - 0.5 * weight[0] + weight[1]}
        >>> method = build_task_weighting("EW", ["c/a", "c/b"])
        >>> multi_task_backward(losses, method, [weight]).weights
        {'c/a': tensor(1.), 'c/b': tensor(1.)}
        >>> weight.grad
        tensor([0.5000, 1.0000])
    """
    options.check(method)
    if reduce is not None and features is None:
        raise InputError("reduce needs features: it reduces the gradients of what lies below them")
    _check_scalars(losses)
    if not losses:
        return None
    watched = features if features is not None and features.requires_grad else None
    # A leaf has no backbone that trains below it: there is nothing to take or to reduce.
    of_backbone = None if watched is None or watched.is_leaf else watched
    step = Step(
        names=tuple(losses),
        losses=tuple(losses.values()),
        num_labels=tuple(1 if num_labels is None else num_labels[name] for name in losses),
        tasks=method.indices(tuple(losses)),
        method=method,
        shared=tuple(parameter for parameter in shared if parameter.requires_grad),
        features=of_backbone,
        generator=generator,
        options=options,
        reduce=None if of_backbone is None else reduce,
        watch=watch,
        watched=watched,
    )
    return _STEPS[method.kind](step)


def _check_scalars(losses: Mapping[str, Tensor]) -> None:
    for name, loss in losses.items():
        if loss.ndim != 0:
            raise InputError(f"loss of task '{name}' has shape {tuple(loss.shape)}, not a scalar")


def _step_of_losses(step: Step) -> Update | None:
    """One backward pass with the derivatives of the objective."""
    values = step.values()
    if step.options.screen:
        usable = step.finite(torch.isfinite(values))
        if not usable:
            return None
        step = step.select(usable)
    gramian = _feature_gramian(step) if step.watch else None
    # A leaf: the pass through the objective ends here, and does not go on into the model.
    values = step.values().requires_grad_()
    with torch.enable_grad():
        objective = step.method(values, step.tasks, step.generator)
    objective.backward()  # the learned parameters of the method get their gradient here
    weights = values.grad
    assert weights is not None  # an objective depends on its losses
    step.method.track(values.detach(), values.new_tensor(step.num_labels), step.tasks)
    add_weighted(step, weights, step.head_factors(torch.ones_like(weights), weights))
    return Update(step.named(weights), gramian)


def _step_of_gramian(step: Step) -> Update | None:
    """Weights from inner products of gradients, or from an earlier step."""
    reused = step.method.record.reusable(step.names, step.options.update_weights_every)
    if reused is not None:
        kept = _step_with_weights(step, torch.tensor(reused).T)
        return None if kept is None else Update(kept, is_reused=True)
    gramian, rows, reached = _gramian(step)
    values = step.values()
    columns = torch.stack([values, _factors(step, values)], dim=1)
    # One transfer for everything that is decided on the CPU.
    packed = torch.cat([gramian, columns.to(gramian)], dim=1).cpu()
    # The diagonal tells of whole gradients: one value that is not finite makes it so.
    usable = step.finite(torch.isfinite(packed.diagonal()) & torch.isfinite(packed[:, -2]))
    if not usable:
        return None
    if len(usable) < len(step.names):
        step, rows = step.select(usable), None if rows is None else rows[usable]
    gramian, values, factors = packed[usable][:, usable], packed[usable, -2], packed[usable, -1]
    weights = _solve(step, gramian, values, factors).to(columns)
    named = _apply(step, weights, factors.to(columns), rows, reached)
    return Update(named, Gramian(step.names, gramian) if step.watch else None)


def _solve(step: Step, gramian: Tensor, values: Tensor, factors: Tensor) -> Tensor:
    """[2, A] weights of the transformed losses for shared parameters and heads.

    They are 0 for tasks without gradient. Limits on the length of the direction are for the shared
    parameters alone.
    """
    assert isinstance(step.method, GramianWeighting)
    transformed = factors[:, None] * gramian * factors
    used = nonzero_rows(transformed.diagonal())
    weights = torch.zeros(2, len(values), dtype=gramian.dtype)
    if not used:
        return weights
    tasks = [step.tasks[i] for i in used]
    with torch.no_grad():
        weights[:, used] = step.method(
            transformed[used][:, used], values[used], tasks, step.generator
        )
    # Rounding makes the square of a vanishing direction negative, and its root NaN.
    length = (weights[0] @ transformed @ weights[0]).clamp_min(0).sqrt()
    target = length
    if step.options.normalize_direction is not None:
        target = gramian.sum().clamp_min(0).sqrt() / step.target_divisor()
    elif step.method.max_norm > 0:
        target = length.clamp_max(step.method.max_norm)
    # A direction of length 0 stays: no factor gives it another length.
    weights[0] *= torch.where(length > 0, target / length, 1.0)
    if step.options.update_weights_every > 1:
        step.method.record.keep(step.names, weights.T.tolist())
    return weights


def _step_with_weights(step: Step, weights: Tensor) -> dict[str, Tensor] | None:
    """One pass with known weights [2, A] of the transformed losses."""
    values = step.values()
    usable = step.finite(torch.isfinite(values))
    if not usable:
        return None
    step, values = step.select(usable), values[usable]
    return _apply(step, weights[:, usable].to(values), _factors(step, values), None, set())


def _apply(
    step: Step, weights: Tensor, factors: Tensor, rows: Tensor | None, reached: set[int]
) -> dict[str, Tensor]:
    """Add the weighted gradients: from the rows where they are kept, else by one more pass."""
    _learn(step)
    shared_weights, head_weights = weights * factors
    head_factors = step.head_factors(factors, head_weights)
    if rows is None:
        add_weighted(step, shared_weights, head_factors)
    else:
        add_direction(step, combine_rows(rows, shared_weights), reached)
        add_to_heads(step, head_factors)
    return step.named(shared_weights)


def _feature_gramian(step: Step) -> Gramian:
    """The Gramian of the feature gradients, for methods that need none."""
    options = replace(step.options, source="features")
    of_features = replace(step, options=options, features=step.watched)
    gramian, _, _ = _gramian(of_features)
    return Gramian(step.names, gramian.cpu())


def _factors(step: Step, values: Tensor) -> Tensor:
    """[A] derivatives of the transformed losses by the losses."""
    leaf = values.detach().requires_grad_()
    with torch.enable_grad():
        transformed = step.method.transform(leaf, step.tasks).sum()
    return torch.autograd.grad(transformed, leaf)[0]


def _learn(step: Step) -> None:
    """Give the learned parameters of the transform their gradient."""
    if next(step.method.parameters(), None) is not None:
        with torch.enable_grad():
            step.method.transform(step.values(), step.tasks).sum().backward()


def _gramian(step: Step) -> tuple[Tensor, Tensor | None, set[int]]:
    """Inner products [A, A] of the gradients the weights come from; the rows if they are kept."""
    source = step.options.source or step.method.default_source
    if source == "last_layer":
        return gramian_of_rows(last_layer_rows(step)), None, set()
    if source == "features" and step.features is not None:
        gradients = torch.stack([feature_gradient(step, i) for i in range(len(step.names))])
        return gramian_of_rows(gradients.flatten(1)), None, set()
    budget = step.options.row_budget_bytes
    num_bytes = step.num_shared() * len(step.names) * step.options.row_dtype.itemsize
    if budget is not None and num_bytes > budget:
        return gramian_by_blocks(step, budget), None, set()
    rows, reached = gradient_rows(step)
    return gramian_of_rows(rows), rows, reached


def _step_of_jacobian(step: Step) -> Update | None:
    """A direction from the gradients themselves."""
    rows, reached = gradient_rows(step)
    values = step.values()
    norms = torch.linalg.vector_norm(rows, dim=1, dtype=values.dtype)
    columns = torch.stack([norms, values, _factors(step, values)])
    packed = columns.cpu()
    usable = step.finite(torch.isfinite(packed).all(0))
    if not usable:
        return None
    used = [usable[i] for i in nonzero_rows(packed[0, usable].double() ** 2)]
    # Before the direction is found: that scales the rows in place.
    gramian = gramian_of_rows(rows[usable]).cpu() if step.watch else None
    weights = torch.zeros_like(values)
    if used:
        weights[used] = _combine(step.select(used), rows, columns[1:, used], used, reached)
    step, factors, weights = step.select(usable), columns[2, usable], weights[usable]
    add_to_heads(step, step.head_factors(factors, weights))
    return Update(step.named(weights), None if gramian is None else Gramian(step.names, gramian))


def _combine(
    step: Step, rows: Tensor, columns: Tensor, used: list[int], reached: set[int]
) -> Tensor:
    """Add the direction of the tasks in use; their weights, factors of the transform included."""
    values, factors = columns
    # Indexing copies the largest tensor of the step, so it is done only if a task is missing.
    rows = rows if len(used) == len(rows) else rows[used]
    total = (
        combine_rows(rows, torch.ones_like(values)) if step.options.normalize_direction else None
    )
    with torch.no_grad():
        rows *= factors[:, None].to(rows.dtype)
        direction, weights = step.method(rows, values, step.tasks, step.generator)
    if total is not None:
        length, target = torch.linalg.vector_norm(direction), torch.linalg.vector_norm(total)
        scale = torch.where(length > 0, target / length / step.target_divisor(), 1.0)
        direction, weights = direction * scale, weights * scale
    add_direction(step, direction, reached)
    return weights.to(factors) * factors


def _step_of_features(step: Step) -> Update | None:
    """Factors on every entry of the feature gradients; all above them gets the plain sum."""
    values = step.values()
    if step.features is None:
        plain = _step_with_weights(step, values.new_ones(2, len(values)))
        return None if plain is None else Update(plain)
    gradients = torch.stack([feature_gradient(step, i) for i in range(len(step.names))])
    signed_sums = _signed_sums(step.features.detach(), gradients)
    usable = step.finite(torch.isfinite(signed_sums).flatten(1).all(1) & torch.isfinite(values))
    if not usable:
        return None
    if len(usable) < len(step.names):
        step, gradients, signed_sums = step.select(usable), gradients[usable], signed_sums[usable]
    gramian = gramian_of_rows(gradients.flatten(1)).cpu() if step.watch else None
    with torch.no_grad():
        factors = step.method(signed_sums, step.tasks, step.generator)
    backbone, upper, heads = step.layout()
    ones = values.new_ones(len(step.names))
    add([*upper, *heads], gradients_above(step, [*upper, *heads], ones))
    combined = (factors[:, None].to(gradients) * gradients).sum(0)
    add(backbone, backbone_gradients(step, backbone, combined, retain_graph=False))
    return Update(step.named(ones), None if gramian is None else Gramian(step.names, gramian))


def _signed_sums(features: Tensor, gradients: Tensor) -> Tensor:
    """[A, D] sums over all images of sign(feature) x gradient; 0 where that is rounding error.

    A shared layer that begins with batch normalization gets gradients that sum to zero over the
    images, so a feature of one sign throughout has a sum of pure rounding error, of random sign.
    """
    signed = (features.sign() * gradients).sum(1, dtype=torch.float32)
    sizes = gradients.abs().sum(1, dtype=torch.float32)
    # Rounding of a sum, relative to its terms: four times the step of float32, or a quarter of that
    # of the gradients' type. Below, the sign of a sum is chance.
    noise = max(5e-7, torch.finfo(gradients.dtype).eps / 4)
    return torch.where(signed.abs() <= noise * sizes, 0.0, signed)


_STEPS: dict[str, Callable[[Step], Update | None]] = {
    "losses": _step_of_losses,
    "gramian": _step_of_gramian,
    "jacobian": _step_of_jacobian,
    "features": _step_of_features,
}
