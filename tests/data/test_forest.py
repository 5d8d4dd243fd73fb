import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from visual_taxonomy.data.forest import Forest


@pytest.mark.parametrize("parts", [1, 3, 50])
def test_components_equal_those_of_scipy_however_the_edges_come(parts):
    left, right = np.random.default_rng(parts).integers(0, 200, (2, 150))
    forest = Forest(200)
    for one, other in zip(np.array_split(left, parts), np.array_split(right, parts), strict=True):
        forest.connect(one, other)
    labels = connected_components(coo_array((np.ones(150), (left, right)), shape=(200, 200)))[1]
    smallest = np.array([np.flatnonzero(labels == label)[0] for label in labels])
    np.testing.assert_array_equal(forest.roots(np.arange(200)), smallest)


def test_a_long_chain_is_one_component():
    forest = Forest(1000)
    forest.connect(np.arange(999), np.arange(1, 1000))
    assert (forest.roots(np.arange(1000)) == 0).all()


def test_no_edges_connect_nothing():
    forest = Forest(3)
    forest.connect(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert forest.roots(np.arange(3)).tolist() == [0, 1, 2]
