"""`vtax compare-runs`."""

import numpy as np
import pytest

from visual_taxonomy import cli
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError


@pytest.fixture
def runs(tmp_path, taxonomy):
    """Two runs that differ in the colour of the kurtis only."""
    rows = 40
    probabilities = np.zeros((rows, 3, 3), dtype=np.float32)
    probabilities[:, 0, :2] = (0.6, 0.4)
    targets = np.full((rows, 3), -1)
    targets[:, 0] = np.arange(rows) % 2
    counts = {task.name: [1] * len(task.classes) for task in taxonomy.tasks}
    arrays = np.arange(rows).astype(str), np.ones(rows, dtype=np.int64), np.arange(rows)
    for name in ("a", "b"):
        held_out = HeldOut(taxonomy, counts, *arrays, probabilities, targets)
        held_out.write(tmp_path / name / HELD_OUT_NAME)
        probabilities[1::2, 0] = probabilities[1::2, 0, [1, 0, 2]]
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_scores_differences_and_p_values_are_printed(runs, capsys):
    assert cli.run(["compare-runs", *runs]) == 0
    printed = capsys.readouterr().out
    assert "+0.500" in printed  # micro: 20 of 40 against all
    assert "Kurtis/color" in printed
    assert "Kurtis/sleeve" not in printed
    assert "paired bootstrap samples over 40 products" in " ".join(printed.split())


def test_a_run_without_held_out_rows_is_named(runs, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/held_out.npz: no held-out predictions"):
        cli.run(["compare-runs", runs[0], str(tmp_path / "nowhere")])


def test_too_few_samples_are_refused(runs):
    with pytest.raises(InputError, match="--samples must be 100 or more, not 10"):
        cli.run(["compare-runs", *runs, "--samples", "10"])
