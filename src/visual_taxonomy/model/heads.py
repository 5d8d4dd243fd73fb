"""Category-conditional heads: BatchNorm and Linear of the category, one classifier an attribute.

Every category has its own BatchNorm and Linear, every task its own classifier. Their parameters
are separate tensors, stacked for the categories and tasks of the batch only: a batch of mixed
categories is a few matrix products, and whatever takes no part in a batch has no gradient, so
the optimizer leaves it alone.

Shapes: N images, K categories, T tasks, A slots, C classes of the widest task, D features,
H hidden width. A category of -1 marks a row without an image.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from visual_taxonomy.taxonomy import Taxonomy


class HeadOutput(NamedTuple):
    """What the heads compute for a batch."""

    logits: Tensor
    """[N, T', C] logits of the asked tasks, -inf behind a task's last class."""
    hidden: Tensor
    """[N, H] what the classifiers multiply by their weights."""
    scale: Tensor | None = None
    """What cosines were multiplied by to become these logits; None of linear classifiers."""

    @property
    def cosines(self) -> Tensor:
        """The logits before `scale`, for losses that scale by themselves; else the logits."""
        # Divided out, not kept from before: (scale x hidden) @ weights rounds in another way than
        # scale x (hidden @ weights), and trained numbers would change in the last bit.
        return self.logits if self.scale is None else self.logits / self.scale


class CategoryBatchNorm(nn.Module):
    """BatchNorm whose statistics and affine parameters belong to the category of the row.

    Each category is normalised with the mean and variance of its own rows of the batch, as an
    `nn.BatchNorm1d` that sees those rows alone. In a batch of mixed categories a rare one has few
    rows, whose statistics are mostly noise: with fewer than `min_rows` it is normalised with its
    running statistics instead, and these move less, in proportion to its rows. A single row has
    no variance and changes nothing.

    Args:
        num_categories: K.
        num_features: D.
        momentum: Share of the batch in the running statistics.
        eps: Added to the variance.
        min_rows: Rows from which on the statistics of the batch are used; at least 2.

    References:
        Ioffe and Szegedy, ICML 2015, https://arxiv.org/abs/1502.03167.

    Example:
        >>> norm = CategoryBatchNorm(num_categories=2, num_features=1, min_rows=2)
        >>> norm(torch.tensor([[0.0], [4.0], [10.0], [12.0]]), torch.tensor([0, 0, 1, 1])).round()
        tensor([[-1.],
                [ 1.],
                [-1.],
                [ 1.]], grad_fn=<RoundBackward0>)
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_categories: int,
        num_features: int,
        momentum: float = 0.1,
        eps: float = 1e-5,
        min_rows: int = 16,
    ) -> None:
        super().__init__()
        # Separate tensors, not one [K, D]: a category that is absent from a batch has no gradient,
        # so the optimizer's decay and moments leave it alone.
        self.weights = nn.ParameterList(torch.ones(num_features) for _ in range(num_categories))
        self.biases = nn.ParameterList(torch.zeros(num_features) for _ in range(num_categories))
        self.register_buffer("running_mean", torch.zeros(num_categories, num_features))
        self.register_buffer("running_var", torch.ones(num_categories, num_features))
        self.momentum = momentum
        self.eps = eps
        self.min_rows = min_rows

    @override
    def forward(
        self, features: Tensor, category: Tensor, present: Sequence[int] | None = None
    ) -> Tensor:
        present = range(len(self.weights)) if present is None else present
        members = _members(category, present)
        # A row of none of them, as one without an image, gets position 0; nobody reads its answer.
        position = members.argmax(dim=1)
        rows = _index(present, features)
        mean, var = self.running_mean[rows], self.running_var[rows]
        if self.training:
            mean, var = self._batch_statistics(features, members.to(features), rows)
        scale = torch.stack([self.weights[k] for k in present]) * torch.rsqrt(var + self.eps)
        bias = torch.stack([self.biases[k] for k in present])
        # Not mean[position]: the gradient of an embedding is several times as fast.
        mean, scale, bias = (F.embedding(position, table) for table in (mean, scale, bias))
        return (features - mean) * scale + bias

    def _batch_statistics(
        self, features: Tensor, members: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        count = members.sum(dim=0)[:, None]
        mean = members.T @ features / count.clamp(min=1)
        deviation = (features - members @ mean) * members.sum(dim=1, keepdim=True)
        var = members.T @ deviation.square() / count.clamp(min=1)
        enough = count >= self.min_rows
        with torch.no_grad():
            old_mean, old_var = self.running_mean[rows], self.running_var[rows]
            # As nn.BatchNorm1d: it normalises by the biased variance and keeps the unbiased one.
            unbiased = var * count / (count - 1).clamp(min=1)
            # A row or two say little: their share in the running statistics is as small as their
            # number, and a single row has no variance at all.
            share = self.momentum * (count / self.min_rows).clamp(max=1) * (count > 1)
            self.running_mean[rows] = torch.lerp(old_mean, mean, share)
            self.running_var[rows] = torch.lerp(old_var, unbiased, share)
        return torch.where(enough, mean, old_mean), torch.where(enough, var, old_var)


class CategoryLinear(nn.Module):
    """A linear layer whose weight and bias belong to the category of the row.

    Args:
        num_categories: K.
        in_features: D.
        out_features: H.

    Example:
        >>> layer = CategoryLinear(num_categories=2, in_features=3, out_features=5)
        >>> layer(torch.zeros(4, 3), torch.tensor([0, 1, 1, 0])).shape
        torch.Size([4, 5])
    """

    def __init__(self, num_categories: int, in_features: int, out_features: int) -> None:
        super().__init__()
        layers = [nn.Linear(in_features, out_features) for _ in range(num_categories)]
        self.weights = nn.ParameterList(layer.weight for layer in layers)
        self.biases = nn.ParameterList(layer.bias for layer in layers)

    @override
    def forward(
        self, features: Tensor, category: Tensor, present: Sequence[int] | None = None
    ) -> Tensor:
        present = range(len(self.weights)) if present is None else present
        layers = [(self.weights[k], self.biases[k]) for k in present]
        # Batches of one category, as all but joint sampling makes them: nothing to sort or to pick.
        if len(layers) == 1:
            return F.linear(features, *layers[0])
        position = _members(category, present).argmax(dim=1)
        if features.device.type == "cpu":
            return _by_groups(features, position, layers)
        return _of_all(features, position, layers)


def _by_groups(
    features: Tensor, position: Tensor, layers: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """Each row by its own layer alone, for which a GPU would have to count the rows first."""
    order = position.argsort(stable=True)
    groups = features[order].split(position.bincount(minlength=len(layers)).tolist())
    rows = [F.linear(group, *layer) for group, layer in zip(groups, layers, strict=True)]
    # The inverse permutation: back into the order of the batch.
    return torch.cat(rows).index_select(0, order.argsort())


def _of_all(features: Tensor, position: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Each row by every layer, of which its own is picked."""
    weight, bias = (torch.cat(parameters) for parameters in zip(*layers, strict=True))
    of_all = F.linear(features, weight, bias).unflatten(1, (len(layers), -1))
    # Not of_all[arange, position]: the gradient of such an index is several times as slow.
    return of_all.gather(1, position[:, None, None].expand(-1, 1, of_all.shape[2]))[:, 0]


class AttributeClassifiers(nn.Module):
    """One classifier a task, all as one matrix product.

    Args:
        num_classes: [T] classes of each task.
        in_features: H.
        kind: "linear" multiplies by weights and adds a bias; "cosine" gives the cosine between
            the hidden vector and each class's weights, times `scale`, without bias.

    `scale` is 30 until the run sets it to that of its loss; checkpoints hold it.

    Example:
        >>> classifiers = AttributeClassifiers([2, 3], in_features=4)
        >>> classifiers(torch.zeros(1, 4))[0, 0, 2]
        tensor(-inf, grad_fn=<SelectBackward0>)
    """

    absent: Tensor
    scale: Tensor | None

    def __init__(
        self,
        num_classes: Sequence[int],
        in_features: int,
        kind: Literal["linear", "cosine"] = "linear",
    ) -> None:
        super().__init__()
        layers = [nn.Linear(in_features, classes) for classes in num_classes]
        self.weights = nn.ParameterList(layer.weight for layer in layers)
        self.biases = nn.ParameterList(layer.bias for layer in layers if kind == "linear")
        # Tasks are padded to the widest; a padded class is -inf, so softmax gives it 0 and argmax
        # never picks it.
        widths = torch.tensor(list(num_classes))
        absent = torch.arange(int(widths.max())) >= widths[:, None]
        self.register_buffer("absent", absent, persistent=False)
        self.register_buffer("scale", torch.tensor(30.0) if kind == "cosine" else None)
        self.kind = kind

    @override
    def forward(self, hidden: Tensor, tasks: Sequence[int] | None = None) -> Tensor:
        tasks = range(len(self.weights)) if tasks is None else tasks
        weights = [self.weight_of(t) for t in tasks]
        if self.scale is not None:
            hidden = self.scale * F.normalize(hidden, dim=1)
            weights = [F.normalize(weight, dim=1) for weight in weights]
        # The asked tasks may all be narrower than the widest of the taxonomy.
        stacked = _padded(weights)
        logits = F.linear(hidden, stacked.flatten(0, 1)).unflatten(1, stacked.shape[:2])
        if self.kind == "linear":
            logits = logits + _padded([self.bias_of(t) for t in tasks])
        absent = self.absent[_index(tasks, hidden), : stacked.shape[1]]
        return logits.masked_fill(absent, -torch.inf)

    def weight_of(self, task: int) -> Tensor:
        """[C, H] what a task multiplies the hidden vector by."""
        return self.weights[task]

    def bias_of(self, task: int) -> Tensor:
        """[C] what a task of a linear kind adds."""
        return self.biases[task]


class CategoryHeads(nn.Module):
    """Everything behind the backbone's features.

        features -> BatchNorm of the category -> Linear of the category (to half width)
                 -> dropout -> ReLU -> one classifier for each attribute of the category

    Computed in float32 whatever the precision around it: this is a thousandth of the work.

    Args:
        taxonomy: Categories, attributes and classes.
        in_features: D, width of the backbone.
        batch_norm: Whether there is a BatchNorm of the category.
        inter_linear: Whether there is a Linear of the category, dropout and ReLU.
        dropout: Share of hidden values set to zero in training.
        kind: Kind of the classifiers, "linear" or "cosine".

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["red"]}})
        >>> heads = CategoryHeads(taxonomy, in_features=8)
        >>> output = heads(torch.randn(3, 8), torch.tensor([0, 0, 0]))
        >>> output.logits.shape, output.hidden.shape
        (torch.Size([3, 2, 2]), torch.Size([3, 4]))
    """

    slots: Tensor
    no_slot: Tensor
    category_of_task: tuple[int, ...]
    tasks_of_category: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        taxonomy: Taxonomy,
        in_features: int,
        batch_norm: bool = True,
        inter_linear: bool = True,
        dropout: float = 0.4,
        kind: Literal["linear", "cosine"] = "linear",
    ) -> None:
        super().__init__()
        num_categories = len(taxonomy.categories)
        self.width = width = in_features // 2 if inter_linear else in_features
        self.norm = CategoryBatchNorm(num_categories, in_features) if batch_norm else None
        self.linear = CategoryLinear(num_categories, in_features, width) if inter_linear else None
        self.dropout = nn.Dropout(dropout)
        self.classifiers = AttributeClassifiers(
            [len(task.classes) for task in taxonomy.tasks], width, kind
        )
        self.category_of_task = tuple(taxonomy.categories.index(t.category) for t in taxonomy.tasks)
        self.tasks_of_category = tuple(map(tuple, taxonomy.slots))
        slots = nn.utils.rnn.pad_sequence(
            [torch.tensor(tasks) for tasks in taxonomy.slots], batch_first=True, padding_value=-1
        )
        # Clamped for the gather alone; `no_slot` says which of them do not exist.
        self.register_buffer("slots", slots.clamp(min=0), persistent=False)
        self.register_buffer("no_slot", slots < 0, persistent=False)

    @override
    def forward(
        self, features: Tensor, category: Tensor, tasks: Sequence[int] | None = None
    ) -> HeadOutput:
        """Logits of the asked tasks for every row, also for rows of other categories.

        Args:
            features: [N, D] from the backbone.
            category: [N] category indices, -1 for a row without an image.
            tasks: Indices of the T' tasks to compute, all of them by default.
        """
        # Sorted, so that the same categories find one cached index, however the tasks stand.
        present = None if tasks is None else sorted({self.category_of_task[t] for t in tasks})
        # Logits in bfloat16 have three digits; near-ties between classes would be decided by
        # rounding.
        with torch.autocast(features.device.type, enabled=False):
            hidden = features.float()
            if self.norm is not None:
                hidden = self.norm(hidden, category, present)
            if self.linear is not None:
                hidden = F.relu(self.dropout(self.linear(hidden, category, present)))
            return HeadOutput(self.classifiers(hidden, tasks), hidden, self.classifiers.scale)

    def of_own_category(self, features: Tensor, category: Tensor) -> HeadOutput:
        """Logits [N, A, C] of each row for the slots of its own category.

        Slots and classes that do not exist are -inf; so is all of a row without an image.

        Args:
            features: [N, D] from the backbone.
            category: [N] category indices, -1 for a row without an image.
        """
        if features.device.type != "cpu":
            # One large product; groups of rows would have to be counted first, and launched each.
            output = self(features, category)
            return output._replace(logits=self.by_slot(output.logits, category))
        shape = (len(features), *self.no_slot.shape[1:], self.classifiers.absent.shape[1])
        logits = features.new_full(shape, -torch.inf, dtype=torch.float32)
        hidden = logits.new_zeros(len(features), self.width)
        for k in category.unique().tolist():
            if k < 0:
                continue
            rows = (category == k).nonzero().flatten()
            tasks = self.tasks_of_category[k]
            output = self(features[rows], category[rows], tasks)
            logits[rows, : len(tasks), : output.logits.shape[2]] = output.logits
            hidden[rows] = output.hidden
        return HeadOutput(logits, hidden, self.classifiers.scale)

    def by_slot(self, logits: Tensor, category: Tensor) -> Tensor:
        """From the logits of all tasks [N, T, C] those of each row's own category, [N, A, C].

        Slots that the category does not have are -inf throughout, and so are rows without image.
        """
        # Clamped for the gather alone: -1, a row without image, is masked below.
        slots = self.slots[category.clamp(min=0)]
        picked = logits[torch.arange(len(logits), device=logits.device)[:, None], slots]
        absent = self.no_slot[category.clamp(min=0)] | (category < 0)[:, None]
        return picked.masked_fill(absent[:, :, None], -torch.inf)


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    """[T, C, ...] of T tensors [C_t, ...], zeros behind the shorter ones."""
    # Not torch's pad_sequence: it writes into slices of one tensor, and its backward pass copies
    # the whole tensor for each of them, two thirds of a step on cached features.
    most = max(map(len, tensors))
    behind = [0] * (2 * tensors[0].ndim - 1)
    return torch.stack([F.pad(each, (*behind, most - len(each))) for each in tensors])


def _index(entries: Sequence[int], like: Tensor) -> Tensor:
    return _cached_index(tuple(entries), like.device)


# Combinations of categories or tasks in a batch; few of them come again and again.
@lru_cache(maxsize=4096)
def _cached_index(entries: tuple[int, ...], device: torch.device) -> Tensor:
    # Cached because a copy from host memory makes the host wait for the GPU; an ordinary tensor
    # even when first asked for in inference mode, because training may save it for backward.
    with torch.inference_mode(False):
        return torch.tensor(entries, device=device)


def _members(category: Tensor, present: Sequence[int]) -> Tensor:
    """[N, K'] whether a row belongs to each of the present categories, as 0 and 1."""
    return (category[:, None] == _index(present, category)).long()
