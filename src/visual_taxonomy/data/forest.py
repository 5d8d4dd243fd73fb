"""Connected components that grow as edges are found.

Shapes: N rows, E edges.
"""

import numpy as np


class Forest:
    """Which of N rows are connected; each component is known by its smallest row.

    Example:
        >>> forest = Forest(4)
        >>> forest.connect(np.array([3, 2]), np.array([2, 1]))
        >>> forest.roots(np.arange(4))
        array([0, 1, 1, 1])
    """

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def roots(self, rows: np.ndarray) -> np.ndarray:
        """The smallest row of the component of each row."""
        roots = self._parents[rows]
        while not np.array_equal(higher := self._parents[roots], roots):
            roots = higher
        self._parents[rows] = roots  # the next search is short
        return roots

    def connect(self, left: np.ndarray, right: np.ndarray) -> None:
        """Join the components of left[e] and right[e], for every e."""
        edges = np.stack([self.roots(left), self.roots(right)])
        # Only the roots take part, in rising order: the smallest label of a component is that of
        # its smallest row.
        nodes, ends = np.unique(edges, return_inverse=True)
        ends = ends.reshape(edges.shape)
        self._parents[nodes] = nodes[_components(len(nodes), ends[0], ends[1])]


def _components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[count] smallest node of each node's connected component; edges are left[e] - right[e]."""
    labels = np.arange(count)
    while True:
        smallest = np.minimum(labels[left], labels[right])
        lowered = labels.copy()
        # Unbuffered: by plain indexing, only the last of several edges at one node would count.
        np.minimum.at(lowered, left, smallest)
        np.minimum.at(lowered, right, smallest)
        # Each takes the label of its label: a long chain needs far fewer rounds than it has links.
        lowered = lowered[lowered]
        if np.array_equal(lowered, labels):
            return labels
        labels = lowered
