"""`vtax compare-runs`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from visual_taxonomy.commands.terminal import console
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from visual_taxonomy.decision.comparison import Comparison, Difference

_NAMES = {"hm": "HM", "micro": "micro", "macro": "macro"}
_LEAST = {"samples": 100, "seed": 0}
"""Flag -> smallest value. Fewer samples cannot show a p-value of 0.05 with any certainty."""


@dataclass(frozen=True)
class CompareRuns:
    """Which of two runs is better on the same held-out rows, attribute by attribute."""

    first: tyro.conf.Positional[Path]
    """Folder of a run, with held_out.npz."""
    second: tyro.conf.Positional[Path]
    """Folder of another run on the same held-out rows."""
    samples: int = 2000
    """Samples over products, near-duplicates together."""
    seed: int = 0
    """Of the samples."""

    def __post_init__(self) -> None:
        for name, value in _LEAST.items():
            given = getattr(self, name)
            if given < value:
                raise InputError(f"--{name} must be {value} or more, not {given}")


def compare_runs(options: CompareRuns) -> int:
    """Which of two runs is better on the same held-out rows."""
    from visual_taxonomy.decision.comparison import compare
    from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut

    folders = options.first, options.second
    first, second = (HeldOut.read(folder / HELD_OUT_NAME) for folder in folders)
    names = str(options.first), str(options.second)
    found = compare(first, second, names, options.samples, options.seed)
    console.print(_table(found))
    console.print(
        f"first: {names[0]}, second: {names[1]}; differences are second minus first, ranges hold "
        f"95 % of {options.samples:,} paired bootstrap samples over {found.rows:,} products, p is "
        "of the randomization test. Of many attributes some have a small p by chance."
    )
    return 0


def _table(found: "Comparison") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Score of the most probable classes", title_justify="left")
    table.add_column("")
    for column in ("first", "second", "difference", "95 %", "p"):
        table.add_column(column, justify="right")
    for score, difference in found.overall._asdict().items():
        table.add_row(_NAMES[score], *_cells(difference), style="bold")
    table.add_section()
    for task, differences in found.attributes.items():
        table.add_row(Text(task), *_cells(differences.hm))
    return table


def _cells(difference: "Difference") -> list[str]:
    return [
        f"{difference.first:.3f}",
        f"{difference.second:.3f}",
        f"{difference.difference:+.3f}",
        f"{difference.low:+.3f} to {difference.high:+.3f}",
        f"{difference.p_value:.3f}",
    ]
