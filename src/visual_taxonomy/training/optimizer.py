"""The optimizer with all that belongs to its step: groups, schedule, clipping, loss scale."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from timm.models import group_parameters
from torch import Tensor, nn

from visual_taxonomy.config import OptimizerConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import Backbone
from visual_taxonomy.model.classifier import Classifier

Groups = list[dict[str, Any]]
MakeOptimizer = Callable[[Groups], torch.optim.Optimizer]
"""From parameter groups with their rate ("lr") and decay ("weight_decay") to an optimizer."""


def adamw(groups: Groups) -> torch.optim.Optimizer:
    """The optimizer of the original recipe."""
    return torch.optim.AdamW(groups, fused=True)


class OptimizerStep:
    """Moves the parameters along their gradients: loss scale, clipping, optimizer, schedule.

    Args:
        optimizer: Over groups that keep their highest rate as "base_lr".
        config: Warm-up, largest norm, rate of the new layers.
        total_steps: Of the run.
        scaler: Scales the losses of a run in float16; disabled in others.
        probe_steps: The first ones, of a phase with a schedule of its own (`probe_first`).
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        config: OptimizerConfig,
        total_steps: int,
        scaler: torch.amp.GradScaler,
        probe_steps: int = 0,
    ) -> None:
        self.optimizer = optimizer
        self.config = config
        self.total_steps = total_steps
        self.scaler = scaler
        self.probe_steps = probe_steps
        self._factor = 1.0

    @property
    def scratch_lr(self) -> float:
        """The rate of the new layers now, for messages."""
        return self.config.scratch_lr * self._factor

    @property
    def highest_lr(self) -> float:
        """The highest rate of any group now."""
        return float(max(group["lr"] for group in self.optimizer.param_groups))

    def start_step(self, step: int) -> None:
        """Set the learning rates of a step of the run, from 0."""
        is_probing = step < self.probe_steps
        start, end = (0, self.probe_steps) if is_probing else (self.probe_steps, self.total_steps)
        self._factor = learning_rate_factor(step - start, end - start, self.config.warm_up)
        set_learning_rate(self.optimizer, self._factor)

    def scaled(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses as they go into the backward pass."""
        return {name: self.scaler.scale(loss) for name, loss in losses.items()}

    def loss_scale(self) -> float:
        """What `scaled` multiplies by."""
        return float(self.scaler.get_scale())

    def step(self) -> Tensor:
        """Clip the gradients, move the parameters, clear the gradients.

        Returns:
            The norm of the gradient before clipping; 0 in float16, where the scaler skips steps
            whose gradient is not finite: that is how it finds its scale.
        """
        # Before clipping: the limit is for the true gradients, not for those times the loss scale.
        self.scaler.unscale_(self.optimizer)
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        # All groups at once: clipping each alone would turn the direction.
        norm = nn.utils.clip_grad_norm_(trained, self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        # None, not 0: AdamW would decay, and move by its moments, what a step does not use.
        self.optimizer.zero_grad(set_to_none=True)
        # With a loss scale an infinite norm is no failure: the scaler skips the step and lowers its
        # scale.
        return torch.zeros_like(norm) if self.scaler.is_enabled() else norm

    def state_dict(self) -> dict[str, Any]:
        """State of optimizer and scaler; rates follow from the step."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def build_optimizer(
    model: Classifier,
    config: OptimizerConfig,
    pretrained: bool = True,
    learnt_weights: Iterable[nn.Parameter] = (),
    learnt_weights_lr: float = 1e-3,
    make: MakeOptimizer = adamw,
) -> torch.optim.Optimizer:
    """An optimizer of what is trained: the backbone at its own rate and decay, the heads at theirs.

    Norms, biases, class token and position embedding do not decay. A backbone that starts from
    random weights is a new layer like the heads. Each group keeps its rate as "base_lr", which
    `set_learning_rate` scales. With a layer decay, each layer of the backbone has its own groups.

    Args:
        model: Its parameters that require a gradient are trained.
        config: Rates and decays, of weights and of layers.
        pretrained: Whether the backbone's weights were loaded.
        learnt_weights: Task weights or loss parameters that are learnt: at a constant rate of
            their own, without decay.
        learnt_weights_lr: That rate.
        make: Makes the optimizer of the groups.

    Raises:
        InputError: A layer decay is asked for, and the layers of the backbone are unknown.

    References:
        Layer decay: Bao et al., ICLR 2022, https://arxiv.org/abs/2106.08254; the layers and
        factors of timm, `param_groups_layer_decay`.
    """
    backbone = (
        (config.pretrained_lr, config.pretrained_weight_decay)
        if pretrained
        else (config.scratch_lr, config.scratch_weight_decay)
    )
    scales = _layer_scales(model.encoder.backbone, config.layer_decay)
    groups: Groups = []
    for module, (rate, decay), scale_of in (
        (model.encoder.backbone.model, backbone, scales),
        (model.heads, (config.scratch_lr, config.scratch_weight_decay), {}),
    ):
        # Sorted, because the state of an optimizer is by the order of its groups. The heads have no
        # scales, and neither has a backbone without layer decay.
        for scale in sorted({*scale_of.values()}) or [1.0]:
            lr = rate * scale
            names = {name for name, own in scale_of.items() if own == scale}
            decayed, plain = _split_by_decay(module, names if scale_of else None)
            groups.append({"params": decayed, "lr": lr, "base_lr": lr, "weight_decay": decay})
            groups.append({"params": plain, "lr": lr, "base_lr": lr, "weight_decay": 0.0})
    # No base_lr, so the schedule leaves it alone; decay would pull every task weight towards e^0.
    constant = {"lr": learnt_weights_lr, "base_lr": None, "weight_decay": 0.0}
    groups.append({"params": list(learnt_weights), **constant})
    return make([group for group in groups if group["params"]])


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
        # Step 0 already moves: a factor of 0 would waste it.
        return (step + 1) / rising
    # A run that warms up to its end has no steps left to fall in: no 0 / 0.
    return (1 + math.cos(math.pi * (step - rising) / max(1, total_steps - rising))) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the rate of each group that has a base rate to that times a factor."""
    for group in optimizer.param_groups:
        if group.get("base_lr") is not None:
            group["lr"] = group["base_lr"] * factor


def _layer_scales(backbone: Backbone, decay: float) -> dict[str, float]:
    """Name of each parameter of the backbone -> what its rate is multiplied by; empty for decay 1.

    decay ** (layers behind its own), the layers as timm counts them: what follows the last block
    has the full rate, the stem the lowest.

    Raises:
        InputError: timm does not tell the layers of this backbone.
    """
    if decay == 1:
        return {}
    if not hasattr(backbone.model, "group_matcher"):
        raise InputError(
            f"`layer_decay` {decay}: timm does not tell the layers of backbone {backbone.name}; "
            "leave it out"
        )
    matcher = backbone.model.group_matcher(coarse=False)
    layers = group_parameters(backbone.model, matcher, reverse=True)
    last = max(layers.values())
    return {name: decay ** (last - layer) for name, layer in layers.items()}


def _split_by_decay(
    module: nn.Module, names: set[str] | None = None
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What is trained of a module, or of some of its parameters: with decay, and without."""
    spared: Iterable[str] = getattr(module, "no_weight_decay", set)()
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and (names is None or name in names):
            # No decay for biases and norms, as in the recipes of vision transformers.
            (plain if parameter.ndim <= 1 or name in spared else decayed).append(parameter)
    return decayed, plain
