"""Which parameters a loss depends on, read from its autograd graph."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor


def leaves(outputs: Iterable[Tensor], stop: Tensor | None = None) -> list[Tensor]:
    """The tensors on whose `.grad` a backward pass from `outputs` would add.

    Args:
        outputs: Tensors with a graph.
        stop: The search does not go past this tensor, and leaves it out if it is a leaf.

    Example:
        >>> import torch
        >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        >>> hidden = 2 * a
        >>> [leaf is b for leaf in leaves([(hidden * b).sum()], stop=hidden)]
        [True]
    """
    nodes: list[Any] = [output.grad_fn for output in outputs]
    # `next_functions` of a graph with shared parts has exponentially many paths, hence `seen`.
    seen: set[Any] = {None} if stop is None else {None, stop.grad_fn}
    found: dict[int, Tensor] = {}
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        # AccumulateGrad, the node that adds to `.grad`; no other has a `variable`.
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found[id(leaf)] = leaf
        nodes.extend(following for following, _ in node.next_functions)
    return [leaf for leaf in found.values() if leaf is not stop]
