from pathlib import Path

import pytest

from visual_taxonomy.decision.many import Ranks
from visual_taxonomy.reporting import critical_differences
from visual_taxonomy.reporting.critical_differences import plot_ranks


@pytest.mark.parametrize(
    ("means", "title"),
    [
        ([1.0, 2.5, 2.5], "a ranks best; 2 of 3 variants are worse"),
        ([1.5, 2.0, 2.5], "No variant ranks significantly below the best"),
    ],
)
def test_the_title_says_how_many_are_worse_than_the_best(
    means: list[float], title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = []
    monkeypatch.setattr(
        critical_differences, "save_figure", lambda figure, _: figures.append(figure)
    )
    plot_ranks(["a", "b", "c"], Ranks(means, 1.2, 0.01, 30), "b", tmp_path / "r.png")
    assert figures[0].texts[0].get_text() == title
