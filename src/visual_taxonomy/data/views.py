"""Several images of one product: where they stand, and which of them an epoch shows.

Shapes: N products, V images. The images of product p have the numbers starts[p] ... starts[p + 1],
the last left out.
"""

import numpy as np

from visual_taxonomy.data.forest import Forest

# A stream of its own: augmentation draws from (seed, epoch, row).
_STREAM = 7


def products_of(starts: np.ndarray) -> np.ndarray:
    """[V] the product of each image.

    Example:
        >>> products_of(np.array([0, 2, 3]))
        array([0, 0, 1])
    """
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def starts_of(counts: np.ndarray) -> np.ndarray:
    """[N + 1] starts of N products by their numbers of images.

    Example:
        >>> starts_of(np.array([2, 1]))
        array([0, 2, 3])
    """
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def images_of(starts: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The images of some products, one product after the other.

    Example:
        >>> images_of(np.array([0, 2, 3]), np.array([1, 0]))
        array([2, 0, 1])
    """
    counts = np.diff(starts)[products]
    ends = np.cumsum(counts)
    # Each image: the first of its product, and how many of that product come before it.
    before = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    return np.repeat(starts[:-1][products], counts) + before


class ViewOrder:
    """Which image of a product an epoch shows: each once in as many epochs as it has images.

    In every round of n epochs the n images come in an order drawn from (seed, round, product). So
    each has weight 1/n, exactly, at the cost of one image an epoch; an epoch needs nothing of
    those before it, whichever process asks.

    Args:
        starts: [N + 1] of the products.
        seed: >= 0.

    Example:
        >>> order = ViewOrder(np.array([0, 3, 4]), seed=0)
        >>> sorted(order(0, epoch)[0] for epoch in range(3)), order(1, epoch=9)
        ([0, 1, 2], [3])
    """

    def __init__(self, starts: np.ndarray, seed: int) -> None:
        self._starts, self._seed = starts, seed

    def __call__(self, product: int, epoch: int) -> list[int]:
        """The images of a product: that of the epoch, then those that stand in if it is damaged."""
        first, end = self._starts[product : product + 2].tolist()
        count = end - first
        if count == 1:
            return [first]
        entropy = (self._seed, epoch // count, product, _STREAM)
        drawn = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
        order = first + drawn.permutation(count)
        return np.roll(order, -(epoch % count)).tolist()


def joined_groups(groups: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """[N] group of each product, where products are near if any two of their images are.

    Args:
        groups: [V] group of each image: the smallest image that it is near to.
        starts: [N + 1].

    Returns:
        The smallest product of the group.

    Example:
        >>> joined_groups(np.array([0, 1, 2, 1, 4]), np.array([0, 2, 3, 5]))
        array([0, 1, 0])
    """
    products = products_of(starts)
    forest = Forest(len(starts) - 1)
    # The first image of a group stands for it, so its product does, too.
    forest.connect(products, products[groups])
    return forest.roots(np.arange(len(starts) - 1))
