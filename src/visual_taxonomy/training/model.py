"""The model as training calls it: features of the batch of all processes, then the heads.

Shapes: N rows of the global batch, D features.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visual_taxonomy.device import DTYPES
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.model.fast_convolutions import speed_up_convolutions
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.model.shared_heads import SharedClassifiers, folded
from visual_taxonomy.training.parallel import Parallel


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The precision of the backbone, as a block; heads and losses are in float32."""
    dtype = DTYPES[precision]
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32, cache_enabled=True)


class TrainedModel:
    """A classifier whose encoder sees a share of the batch, and whose heads see all of it.

    Args:
        classifier: The model, on its device.
        encoder: From what a batch of the source holds to features: `classifier.encoder` for
            images, nothing for features.
        parallel: The processes.
        precision: Of the encoder, a name in `DTYPES`.
        averages: Whether DistributedDataParallel averages the gradients of the processes.
    """

    def __init__(
        self,
        classifier: Classifier,
        encoder: nn.Module,
        parallel: Parallel,
        precision: str,
        averages: bool,
    ) -> None:
        if parallel.device.type == "cpu":
            speed_up_convolutions(encoder, DTYPES[precision])
        self.classifier = classifier
        self.encoder = parallel.wrap(encoder, averages)
        self.parallel = parallel
        self.precision = precision
        self.is_probing = False
        """Whether only the heads train, on features as prediction computes them."""
        # DistributedDataParallel averages the gradients of the processes; their sum is wanted.
        self.gradient_scale = parallel.world_size if averages else 1

    def __call__(
        self,
        images: Tensor,
        categories: Tensor,
        tasks: tuple[int, ...] | None,
        is_watched: bool = False,
    ) -> tuple[Tensor, HeadOutput]:
        """Features of the global batch, and what the heads make of them.

        Args:
            images: This process's share of the batch, as its source gives it.
            categories: [N] category indices of the global batch, on the device.
            tasks: Of which logits are wanted, for all rows; None: those of each row's own category,
                by slot.
            is_watched: Let the features take part in the gradients though the backbone is frozen.
        """
        device = self.parallel.device
        # Without a graph through the encoder, which costs more than all the rest of a step.
        trains = torch.is_grad_enabled() and not self.is_probing
        with autocast(device, self.precision), torch.set_grad_enabled(trains):
            share = self.encoder(images.to(device, non_blocking=True))
        # Cut to the rows there are: the fillers of unequal shares come last.
        features = self.parallel.gather(share.float(), self.gradient_scale)[: len(categories)]
        if is_watched:
            # A frozen backbone gives a leaf, whose gradient can then be asked for.
            features.requires_grad_()
        heads = self.classifier.heads
        if tasks is None:
            return features, heads.of_own_category(features, categories)
        return features, heads(features, categories, tasks)

    def train(self, mode: bool = True) -> None:
        """Go to training or evaluation mode."""
        self.classifier.train(mode)
        if self.is_probing:
            # No dropped path or statistic of a batch: a probe is of the features as they are.
            self.classifier.encoder.eval()

    def shared_parameters(self) -> list[Tensor]:
        """Trained parameters of several tasks: backbone, layers of a category, shared bases."""
        heads = self.classifier.heads
        modules = (self.classifier.encoder, heads.norm, heads.linear)
        # The bases first: the last one is what `gradient_source=last_layer` looks at.
        found: list[Tensor] = [*self.shared_heads.base] if self.shared_heads else []
        for module in modules:
            found += [p for p in module.parameters() if p.requires_grad] if module else []
        return found

    @property
    def shared_heads(self) -> SharedClassifiers | None:
        """The classifiers, if they have a common base."""
        classifiers = self.classifier.heads.classifiers
        return classifiers if isinstance(classifiers, SharedClassifiers) else None

    def state_dict(self) -> dict[str, Any]:
        """The weights as checkpoints have them: of plain classifiers."""
        weights = self.classifier.state_dict()
        return weights if self.shared_heads is None else folded(weights, self.shared_heads)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load weights; what shared heads hold beside them is a state of its own."""
        self.classifier.load_state_dict(dict(state), strict=self.shared_heads is None)
