"""Logit adjustment of learnt strength (GLA)."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.priors import log_prior
from visual_taxonomy.losses.reduction import mean_cross_entropy, widened


class GeneralisedLogitAdjustment(Loss):
    """Logit adjustment whose strength each head learns, or is given.

        loss = CE(logits + tau * log prior, target),  prior[c] = counts[c] / sum of counts

    `tau` is a parameter of the loss, so its optimiser must be given `loss.parameters()`, without
    weight decay. It settles at the share of the log prior that the logits do not carry: 1 for
    logits that know nothing of the prior, 0 for logits that contain it. A bias in the head can
    carry it too, so tau is well determined only with a head without bias (cosine) or with weight
    decay on the bias. Weighted mean: over the sum of `class_weights[target]`.

    Args:
        class_counts: [C] training examples of each class, >= 0; floored at 1.
        tau: Strength at the start, >= 0.
        learn_tau: Whether tau is trained; if not, this is `LA`.

    Raises:
        InputError: `tau` is outside its range, or the counts are no counts.

    References:
        Menon et al., ICLR 2021, https://arxiv.org/abs/2007.07314 (given tau). Learnt calibration
        of long-tailed logits: Zhang et al., CVPR 2021, https://arxiv.org/abs/2103.16370. The
        method that Zhu et al., NeurIPS 2023, call GLA also removes the prior of a foundation
        model's zero-shot head, which this taxonomy has not.

    Example:
        >>> loss = GeneralisedLogitAdjustment(torch.tensor([3, 1]), tau=1.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([1])).item()  # -log(1/4)
        1.386...
    """

    takes_smoothing = True
    log_prior: Tensor

    def __init__(self, class_counts: Tensor, tau: float = 1.0, learn_tau: bool = True) -> None:
        super().__init__()
        self.register_buffer("log_prior", log_prior(class_counts))
        start = torch.tensor(checked("tau", tau, low=0), device=self.log_prior.device)
        # A parameter even where it is not learnt: the state_dict has the same keys either way.
        self.tau = nn.Parameter(start, requires_grad=learn_tau)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        return mean_cross_entropy(self.adjusted(logits), target, class_weights)

    @override
    def adjusted(self, logits: Tensor) -> Tensor:
        return torch.addcmul(widened(logits), self.log_prior, self.tau)
