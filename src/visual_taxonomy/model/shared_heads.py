"""Classifiers of attributes of one name with a common base, in training only.

Shapes: N images, T tasks, C classes of a task, H hidden width.
"""

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.heads import AttributeClassifiers, CategoryHeads
from visual_taxonomy.taxonomy import Taxonomy


class SharedClassifiers(AttributeClassifiers):
    """Classifiers that are the sum of what categories share and of an offset of each.

        weight[task, class] = base[attribute, class] + offset[task, class]        biases alike

    Attributes are matched by name, classes of them too; a class of one category alone has a base
    that only it moves. The offsets start at 0 and decay towards it, so a category departs from the
    others as far as its own labels ask for. A task whose attribute no other category has is a
    plain classifier. `weights` and `biases` hold the offsets, and those classifiers.

    Args:
        plain: Classifiers of the tasks, linear or cosine; taken over, their offsets set to 0.
        taxonomy: Names of attributes and classes.

    Raises:
        InputError: No attribute is in two categories.

    References:
        A base and small departures of each task: Evgeniou and Pontil, KDD 2004,
        https://doi.org/10.1145/1014052.1014067.

    Example:
        >>> colors = {"color": ["red", "blue"]}
        >>> taxonomy = Taxonomy.from_dict({"Sarees": colors, "Kurtis": colors})
        >>> heads = SharedClassifiers(AttributeClassifiers([2, 2], in_features=4), taxonomy)
        >>> logits = heads(torch.ones(1, 4))
        >>> bool((logits[:, 0] == logits[:, 1]).all())  # before the first step
        True
    """

    def __init__(self, plain: AttributeClassifiers, taxonomy: Taxonomy) -> None:
        sizes, width = [len(weight) for weight in plain.weights], plain.weights[0].shape[1]
        super().__init__(sizes, width, plain.kind)
        # The scale of cosines, and whatever else a plain one would have.
        self.load_state_dict(plain.state_dict())
        self.attributes, rows = _shared_rows(taxonomy)
        if not rows:
            raise InputError(
                "`shared_heads`: no attribute has the same name in two categories, so there is "
                "nothing to share; leave it out"
            )
        # A tensor for each attribute: one that is absent from a batch has no gradient, so the
        # optimizer's decay and moments leave it alone.
        sizes = [1 + max(max(rows[t]) for t in of_task) for of_task in _by_value(self.attributes)]
        bases = [nn.Linear(width, size) for size in sizes]
        self.base_weights = nn.ParameterList(base.weight for base in bases)
        self.base_biases = nn.ParameterList(base.bias for base in bases if plain.kind == "linear")
        for task, found in rows.items():
            # Buffers, so that they are on the device of the base; not saved: names tell them.
            self.register_buffer(f"rows_{task}", torch.tensor(found), persistent=False)
            for offset in (self.weights[task], *self.biases[task : task + 1]):
                nn.init.zeros_(offset)

    @property
    def base(self) -> list[nn.Parameter]:
        """What the categories share, attribute by attribute."""
        return [*self.base_weights, *self.base_biases]

    @override
    def weight_of(self, task: int) -> Tensor:
        return self._sum(self.base_weights, self.weights[task], task)

    @override
    def bias_of(self, task: int) -> Tensor:
        return self._sum(self.base_biases, self.biases[task], task)

    def _sum(self, bases: nn.ParameterList, offset: Tensor, task: int) -> Tensor:
        if task not in self.attributes:
            return offset
        base = bases[self.attributes[task]]
        return base.index_select(0, self.get_buffer(f"rows_{task}")) + offset


def share_heads(heads: CategoryHeads, taxonomy: Taxonomy) -> None:
    """Give heads classifiers with a common base, and Linears of the categories that start equal.

    What the classifiers multiply must mean the same in all categories: random Linears would turn
    the features of each another way.

    Raises:
        InputError: No attribute is in two categories.
    """
    heads.classifiers = SharedClassifiers(heads.classifiers, taxonomy)
    if heads.linear is None:
        return
    with torch.no_grad():
        for parameters in (heads.linear.weights, heads.linear.biases):
            for other in parameters[1:]:
                other.copy_(parameters[0])


@torch.no_grad()
def folded(weights: Mapping[str, Tensor], heads: SharedClassifiers) -> dict[str, Tensor]:
    """The weights of a classifier with shared heads as those of one with plain ones.

    Args:
        weights: By name, of the whole model; `heads` are its classifiers.
        heads: With the same values.
    """
    prefix = "heads.classifiers."
    plain = {name: w for name, w in weights.items() if not name.startswith(f"{prefix}base_")}
    for task in heads.attributes:
        plain[f"{prefix}weights.{task}"] = heads.weight_of(task)
        if heads.biases:
            plain[f"{prefix}biases.{task}"] = heads.bias_of(task)
    return plain


def _shared_rows(taxonomy: Taxonomy) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Of each task whose attribute several categories have: number of that, rows of its classes."""
    count = Counter(task.attribute for task in taxonomy.tasks)
    shared = [name for name, categories in count.items() if categories > 1]
    attributes: dict[int, int] = {}
    rows: dict[int, list[int]] = {}
    places: list[dict[str, int]] = [{} for _ in shared]
    for number, task in enumerate(taxonomy.tasks):
        if task.attribute in shared:
            attributes[number] = shared.index(task.attribute)
            of_class = places[attributes[number]]
            rows[number] = [of_class.setdefault(name, len(of_class)) for name in task.classes]
    return attributes, rows


def _by_value(numbers: Mapping[int, int]) -> list[list[int]]:
    """The keys of each value 0, 1, ...

    Example:
        >>> _by_value({4: 0, 5: 1, 7: 0})
        [[4, 7], [5]]
    """
    return [[k for k, v in numbers.items() if v == value] for value in sorted({*numbers.values()})]
