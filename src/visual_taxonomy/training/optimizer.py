"""Parameter groups of the original recipe, and the learning rate of a step."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from visual_taxonomy.config import OptimizerConfig
from visual_taxonomy.model.classifier import Classifier


def build_optimizer(
    model: Classifier,
    config: OptimizerConfig,
    pretrained: bool = True,
    learnt_weights: Iterable[nn.Parameter] = (),
    learnt_weights_lr: float = 1e-3,
) -> torch.optim.AdamW:
    """AdamW over what is trained: the backbone at its own rate and decay, the heads at theirs.

    Norms, biases, class token and position embedding do not decay. A backbone that starts from
    random weights is a new layer like the heads. Each group keeps its rate as "base_lr", which
    `set_learning_rate` scales.

    Args:
        model: Its parameters that require a gradient are trained.
        config: Rates and decays.
        pretrained: Whether the backbone's weights were loaded.
        learnt_weights: Task weights or loss parameters that are learnt: at a constant rate of
            their own, without decay.
        learnt_weights_lr: That rate.
    """
    backbone = (
        (config.pretrained_lr, config.pretrained_weight_decay)
        if pretrained
        else (config.scratch_lr, config.scratch_weight_decay)
    )
    groups: list[dict[str, Any]] = []
    for module, (lr, decay) in (
        (model.encoder.backbone.model, backbone),
        (model.heads, (config.scratch_lr, config.scratch_weight_decay)),
    ):
        decayed, plain = _split_by_decay(module)
        groups.append({"params": decayed, "lr": lr, "base_lr": lr, "weight_decay": decay})
        groups.append({"params": plain, "lr": lr, "base_lr": lr, "weight_decay": 0.0})
    constant = {"lr": learnt_weights_lr, "base_lr": None, "weight_decay": 0.0}
    groups.append({"params": list(learnt_weights), **constant})
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)


def learning_rate_factor(step: int, total_steps: int, warm_up: float) -> float:
    """What the rates are multiplied by in a step: a linear rise, then half a cosine to 0.

    Args:
        step: From 0.
        total_steps: Of the whole run.
        warm_up: Share of the steps in which it rises to 1.

    Example:
        >>> [round(learning_rate_factor(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    rising = round(total_steps * warm_up)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(1, total_steps - rising))) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the rate of each group that has a base rate to that times a factor."""
    for group in optimizer.param_groups:
        if group["base_lr"] is not None:
            group["lr"] = group["base_lr"] * factor


def _split_by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    spared: Iterable[str] = getattr(module, "no_weight_decay", set)()
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            (plain if parameter.ndim <= 1 or name in spared else decayed).append(parameter)
    return decayed, plain
