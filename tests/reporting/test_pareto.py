from pathlib import Path

from visual_taxonomy.reporting.pareto import Point, plot_pareto


def test_names_with_dollar_signs_are_no_formulas(tmp_path: Path) -> None:
    points = [Point("$a_$", 1.0, 0.5), Point("b", 2.0, 0.4)]
    plot_pareto(points, ["$a_$"], tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
