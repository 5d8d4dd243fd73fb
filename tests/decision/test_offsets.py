from itertools import product

import numpy as np
from sklearn.metrics import f1_score

from visual_taxonomy.decision.cells import read_cells
from visual_taxonomy.decision.offsets import fit_offsets
from visual_taxonomy.decision.rule import Rule, chosen_classes


def hm(labels, classes):
    micro, macro = (f1_score(labels, classes, average=each) for each in ("micro", "macro"))
    return 2 * micro * macro / (micro + macro)


def test_infinite_shrinkage_and_few_labels_give_no_offset(drawn):
    assert not fit_offsets(read_cells(drawn(900)), np.zeros(3), shrinkage=np.inf).any()
    assert not fit_offsets(read_cells(drawn(200)), np.zeros(3), shrinkage=0.0).any()


def test_two_classes_get_the_best_offsets_there_are(drawn):
    cells = read_cells(drawn(900, sizes=(2,)))
    tau = np.zeros(1)
    offsets = fit_offsets(cells, tau, shrinkage=0.0)
    found = hm(cells.labels, chosen_classes(cells, Rule(tau, offsets)))
    grid = np.arange(-2, 3) / 2
    best = max(
        hm(cells.labels, chosen_classes(cells, Rule(tau, np.array([pair]))))
        for pair in product(grid, grid)
    )
    assert found >= best - 0.002


def test_offsets_raise_the_score_of_the_rows_they_are_fitted_on(drawn):
    cells = read_cells(drawn(900, tau=1.0))
    tau = np.zeros(3)
    offsets = fit_offsets(cells, tau, shrinkage=0.0)
    plain = chosen_classes(cells, Rule(tau, None))
    better = chosen_classes(cells, Rule(tau, offsets))
    for head in (1, 2):
        own = cells.heads == head
        assert hm(cells.labels[own], better[own]) > hm(cells.labels[own], plain[own]) + 0.01


def test_shrinkage_makes_offsets_smaller(drawn):
    cells = read_cells(drawn(900, tau=1.0))
    sizes = [np.abs(fit_offsets(cells, np.zeros(3), s)).sum() for s in (0.0, 30.0, 1000.0)]
    assert sizes[0] > sizes[1] > sizes[2]
