"""mixup and CutMix of the images of a batch, for labels with holes.

A row is mixed with another row of its batch and its category, because the heads are those of the
category. The label of a hole is unknown, so no target is mixed: each of the two images counts with
its own labels, by its share of the mixed image.

Shapes: N rows of the global batch, H and W in pixels.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES, find_loss
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.training.objective import Entries
from visual_taxonomy.training.parallel import Parallel


class Box(NamedTuple):
    """A part of an image, in pixels; the ends are excluded."""

    top: int
    bottom: int
    left: int
    right: int


class Mixing(NamedTuple):
    """How the images of a batch are mixed, and what their labels count.

        image[i] = share * image[i] + (1 - share) * image[partners[i]]       (mixup)
        image[i] inside of box = image[partners[i]]                          (CutMix)
        loss = share * loss(labels) + (1 - share) * loss(labels of the partners)

    Both losses are means over labelled rows. A row that lacks a label still counts for its partner,
    and the partner for it. As rows are partners in a circle, both means are over equally many.
    """

    partners: Tensor
    """[N] the row that each row is mixed with; a permutation."""
    share: float
    """Share of the row itself, in [0, 1]."""
    box: Box | None = None
    """CutMix: what is cut out of the partner; None: mixup."""

    def images(self, share: Tensor, parallel: Parallel) -> Tensor:
        """This process's share of the batch, mixed, on the device; float32 for mixup.

        Args:
            share: [n, ..., H, W] as the source gives it.
            parallel: The processes; where there are several, partners may be on another one.
        """
        whole = parallel.gather(share.to(parallel.device, non_blocking=True))
        # The fillers that make the shares equally long come last; they stay as they are.
        fillers = torch.arange(len(self.partners), len(whole))
        own = slice(parallel.rank, None, parallel.world_size)
        partners = torch.cat([self.partners, fillers])[own].to(parallel.device)
        images, others = whole[own], whole.index_select(0, partners)
        if self.box is None:
            return torch.lerp(others.float(), images.float(), self.share)
        part = (..., slice(*self.box[:2]), slice(*self.box[2:]))
        images = images.clone()  # without processes it is the batch of the source itself
        images[part] = others[part]
        return images

    def losses(
        self,
        objective: Callable[[HeadOutput, Entries], dict[str, Tensor]],
        output: HeadOutput,
        entries: Entries,
    ) -> dict[str, Tensor]:
        """The loss of each active task: of both images, by their shares.

        Args:
            objective: From logits and labels to a loss for each active task.
            output: Of the heads for the mixed images.
            entries: The labels of the rows themselves.
        """
        first = objective(output, entries)
        second = objective(output, self.of_partners(entries))
        return {
            name: self.share * loss + (1 - self.share) * second[name]
            for name, loss in first.items()
        }

    def of_partners(self, entries: Entries) -> Entries:
        """The labels of the partners, a teacher's too, at the rows that they are mixed into."""
        # The inverse of a permutation: row r shows in the row whose partner it is.
        shown_in = self.partners.argsort().to(entries.rows.device)
        soft = entries.soft
        if soft is not None:
            soft = soft._replace(rows=shown_in[soft.rows])
        return entries._replace(rows=shown_in[entries.rows], soft=soft)


class Mixer:
    """Draws how each batch is mixed; the same for a batch whenever and wherever it is asked.

    The share is drawn from Beta(alpha, alpha) for a batch: alpha 1 is uniform, a small one mostly
    leaves one of the two images nearly alone. With both, each batch is mixed by one of the two, as
    likely. The rows of a category are partners in a circle of random order; one that is alone in
    its batch stays as it is.

    Args:
        mixup: Alpha of mixup; 0 is off.
        cutmix: Alpha of CutMix; 0 is off.
        seed: Of all draws; >= 0.

    References:
        Zhang et al., ICLR 2018, https://arxiv.org/abs/1710.09412; Yun et al., ICCV 2019,
        https://arxiv.org/abs/1905.04899 (box, and its share after clipping); the choice between
        the two as in timm, `Mixup`.

    Example:
        >>> mixing = Mixer(mixup=0.2, seed=0).draw(np.array([0, 1, 0, 1]), (8, 8), epoch=0, step=0)
        >>> mixing.partners
        tensor([2, 3, 0, 1])
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0, seed: int = 0) -> None:
        self.mixup = mixup
        self.cutmix = cutmix
        self.seed = seed

    def draw(
        self, categories: np.ndarray, image_size: tuple[int, int], epoch: int, step: int
    ) -> Mixing:
        """How a batch is mixed.

        Args:
            categories: [N] category indices of the global batch, -1 where there is no image.
            image_size: H and W.
            epoch: From 0.
            step: Of the epoch, from 0.
        """
        # From the position alone, so that a resumed run mixes as the first one would have. As a
        # spawn key, which SeedSequence keeps apart from the seeds of sampler and augmentation.
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch, step))
        random = np.random.Generator(np.random.Philox(seeds))
        partners = torch.from_numpy(_partners(categories, random))
        # Drawn only if there is a choice.
        cuts = random.random() < 0.5 if self.mixup and self.cutmix else bool(self.cutmix)
        alpha = self.cutmix if cuts else self.mixup
        share = random.beta(alpha, alpha)
        if not cuts:
            return Mixing(partners, share)
        box = _random_box(image_size, share, random)
        cut_out = (box.bottom - box.top) * (box.right - box.left)
        # What is cut off at the edge of the image is not in it.
        return Mixing(partners, 1 - cut_out / math.prod(image_size), box)


def build_mixer(config: TrainConfig) -> Mixer | None:
    """The mixer of a run; None if it mixes no images.

    Raises:
        InputError: The loss has no meaning for images of two labels.
    """
    data, loss = config.data, config.objective.loss_type
    if not data.mixup and not data.cutmix:
        return None
    if not find_loss(loss).soft_targets:
        known = ", ".join(name for name, each in LOSSES.items() if each.soft_targets)
        name, value = ("mixup", data.mixup) if data.mixup else ("cutmix", data.cutmix)
        raise InputError(
            f"`{name}` {value}: `loss_type={loss}` weights an image by its influence on the head, "
            f"which is not defined for an image of two labels; the losses that mix are {known}"
        )
    return Mixer(data.mixup, data.cutmix, data.random_state)


def _partners(categories: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[N] for each row another one of its category: the next in a random circle of its rows."""
    order = random.permutation(len(categories))
    order = order[np.argsort(categories[order], kind="stable")]
    changes = np.diff(categories[order]) != 0
    following = np.arange(1, len(order) + 1)
    # The last of each category is followed by its first.
    following[np.append(changes, True)] = np.flatnonzero(np.append(True, changes))
    partners = np.empty_like(order)
    partners[order] = order[following]
    return partners


def _random_box(image_size: tuple[int, int], share: float, random: np.random.Generator) -> Box:
    """A box of 1 - share of the image, of its ratio, around a random pixel; cut at the edges."""
    ends: list[int] = []
    for size in image_size:
        half = int(size * math.sqrt(1 - share)) // 2
        center = int(random.integers(size))
        ends += [max(0, center - half), min(size, center + half)]
    return Box(*ends)
