import numpy as np
import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.errors import InputError
from visual_taxonomy.losses.priors import log_prior, margins, temperatures


def test_tables_equal_numpy():
    counts = np.array([9000, 700, 31, 2])
    given = torch.tensor(counts)
    expected = {
        log_prior(given): np.log(counts / counts.sum()),
        temperatures(given, 0.3): (counts / 9000) ** 0.3,
        margins(given, 0.5): 0.5 * (2 / counts) ** 0.25,
    }
    for table, values in expected.items():
        assert_close(table, torch.tensor(values, dtype=torch.float32))


def test_classes_that_are_all_absent_are_alike():
    counts = torch.zeros(3, dtype=torch.long)
    assert_close(log_prior(counts).exp(), torch.full((3,), 1 / 3))
    assert_close(temperatures(counts, 0.3), torch.ones(3))
    assert_close(margins(counts, 0.5), torch.zeros(3))


@pytest.mark.parametrize(
    "table", [log_prior, lambda n: temperatures(n, 1), lambda n: margins(n, 1)]
)
def test_counts_that_are_no_counts_are_errors(table):
    with pytest.raises(InputError, match="class counts: class 1 has -3"):
        table(torch.tensor([1, -3]))
