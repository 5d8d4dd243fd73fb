r"""How many hidden cells `vtax fill` fills, and how many of those rightly: by whom, and how sure.

The known cells of rows that the model was not trained on are hidden, a fifth at a time, until each
was hidden once. The file is filled by the image alone, by more witnesses and by all, at each target
precision, and what stands in the hidden cells is compared. A hidden cell is hidden from all:
known labels see the others of its row. The rows are the test rows of the split.csv beside the
checkpoint, whose labels chose no checkpoint and no threshold either; without any, the validation
rows, on which the decision was fitted, so that the figures flatter it a little.

    vtax train --test_ratio 0.2 --text_columns title --save_dir out --run_name r1 ...
    python benchmarks/fill.py --csv_path train.csv --img_dir images --ckpt_path out/r1/best_score.pt
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typing_extensions import override

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.cell_files.csv_cells import CsvCells
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.table import read_table
from visual_taxonomy.decision.binomial import share_interval
from visual_taxonomy.inference.cell_list import cells_path, fill_file
from visual_taxonomy.inference.engines.base import Engine, ImageBatch
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.holes import find_holes
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.witnesses.combination import (
    COMBINATIONS,
    IMAGE,
    KNOWN_LABELS,
    WORDS,
    Witnesses,
)

Cells = dict[tuple[str, str], str]
"""(Id, column) -> text."""

WITNESSES = {
    "image": (),
    "+ known labels": (IMAGE | KNOWN_LABELS,),
    "+ words": (IMAGE | WORDS, WORDS),
    "all": COMBINATIONS,
}
"""Row of the table -> the combinations that may answer beside the image."""


class Outcome(NamedTuple):
    """What became of hidden cells."""

    hidden: int
    filled: int
    right: int

    def line(self, *names: object) -> str:
        """A row of a Markdown table."""
        start = f"| {' | '.join(map(str, names))} | {self.hidden:,} | {self.filled:,} | "
        share = f"{self.filled / max(self.hidden, 1):.1%}"
        if not self.filled:
            return f"{start}{share} | 0 | | |"
        low, high = share_interval(np.array([self.right]), np.array([self.filled]))
        precision = f"{self.right / self.filled:.4f} | {low[0]:.3f} to {high[0]:.3f}"
        return f"{start}{share} | {self.right:,} | {precision} |"


class Remembered(Engine):
    """An engine that answers each image once, for all predictors of one model."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._known = engine, dict[object, np.ndarray]()
        self._paths: list[object] = []

    @override
    def batches(
        self, image_of: Callable[[int], ImageSource], categories: np.ndarray
    ) -> Iterator[ImageBatch]:
        paths = [image_of(row) for row in range(len(categories))]
        new = [row for row, path in enumerate(paths) if path not in self._known]
        batches = self._engine.batches(lambda number: paths[new[number]], categories[new])
        for batch, answers in self._engine.answers(batches):
            assert not batch.problems, batch.problems
            self._known |= zip((paths[new[row]] for row in batch.rows), answers, strict=True)
        self._paths += paths
        yield ImageBatch(np.arange(len(paths)), np.zeros(0), categories, {})

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        paths, self._paths = self._paths[: len(categories)], self._paths[len(categories) :]
        return np.stack([self._known[path] for path in paths])


def held_out_rows(checkpoint: Path) -> tuple[set[str], str]:
    """Ids of rows that the model was not trained on, and which part of the split they are."""
    with (checkpoint.parent / "split.csv").open(encoding="utf-8", newline="") as file:
        parts = [(row["id"], row["split"]) for row in csv.DictReader(file)]
    for part in ("test", "validation"):
        ids = {name for name, of_row in parts if of_row == part}
        if ids:
            return ids, part
    raise SystemExit(f"{checkpoint}: no rows beside those it was trained on")


def label_columns(file: CsvCells, predictor: Predictor) -> list[str]:
    """The columns of the model's attributes, by name or by number."""
    taxonomy = predictor.taxonomy
    wanted = {f"attr_{k + 1}" for k in range(taxonomy.num_slots)}
    wanted |= {task.attribute for task in taxonomy.tasks}
    return [name for name in file.names if name in wanted]


def known_cells(file: CsvCells, columns: list[str]) -> Iterator[tuple[str, str, str]]:
    """Id, column and text of each cell that holds a label."""
    for name, texts in file.texts("id", columns):
        for column, text in zip(columns, texts, strict=True):
            if text not in ("", DUMMY):
                yield name, column, text


def write_hidden(file: CsvCells, ids: set[str], hidden: Cells, out: Path) -> None:
    """A copy with the rows of some ids only, in which the hidden cells are empty."""
    whole = out.with_name("whole.csv")
    fills: dict[str, dict[str, str]] = {}
    for name, column in hidden:
        fills.setdefault(name, {})[column] = ""
    names = [name for name, _ in file.texts("id", [])]
    file.write(whole, "id", (fills.get(name, {}) for name in names))
    header, *lines = whole.read_bytes().splitlines(keepends=True)
    # A row a line: the catalogues this is for have no line ends in their cells.
    kept = [line for line, name in zip(lines, names, strict=True) if name in ids]
    out.write_bytes(b"".join(chain([header], kept)))


def fill(source: Path, img_dir: Path, predictor: Predictor, out: Path) -> Cells:
    """As `vtax fill`; gives the witnesses of each empty cell, filled or not."""
    table = read_table(source, img_dir, predictor.taxonomy, trained=predictor.columns)
    file = CsvCells(source)
    filling = Filling(file, "id", table, find_holes(file, "id", table))
    fill_file(predictor, filling, out, "")
    # The records come as the holes do, row by row.
    cells = np.argwhere(filling.holes.is_hole).tolist()
    columns = [filling.holes.columns[table.categories[row]][slot] or "" for row, slot in cells]
    with cells_path(out).open(encoding="utf-8", newline="") as lines:
        records = zip(csv.DictReader(lines), columns, strict=True)
        return {(row["id"], column): row["witnesses"] for row, column in records}


def with_combinations(witnesses: Witnesses | None, wanted: Sequence[int]) -> Witnesses | None:
    """The witnesses, of which no other combinations answer beside the image."""
    if witnesses is None:
        return None
    fitted = witnesses.combinations
    return replace(
        witnesses, combinations={bits: fitted[bits] for bits in wanted if bits in fitted}
    )


def compare(hidden: Cells, known: Cells, found: Cells, witnesses: Cells) -> dict[str, Outcome]:
    """Witnesses -> what stands in the hidden cells that they answer; all others must stay."""
    assert all(found[cell] == text for cell, text in known.items() if cell not in hidden)
    assert found.keys() <= known.keys() | witnesses.keys()
    outcomes: dict[str, Outcome] = {}
    for cell, text in hidden.items():
        one = Outcome(1, cell in found, found.get(cell) == text)
        names = witnesses[cell]
        outcomes[names] = total([outcomes.get(names, Outcome(0, 0, 0)), one])
    return outcomes


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Of all rounds together."""
    return Outcome(*(sum(each) for each in zip(*outcomes, strict=True)))


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--csv_path", "--img_dir", "--ckpt_path"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="in each 1/5 of the cells is hidden")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95])
    parser.add_argument("--decisions", nargs="+", default=["metric"], help="metric, argmax")
    parser.add_argument("--witnesses", nargs="+", choices=WITNESSES, default=list(WITNESSES))
    return parser.parse_args()


def main() -> None:
    """Hide, fill and compare; print Markdown tables."""
    options = parse()
    ids, part = held_out_rows(options.ckpt_path)
    print(f"{len(ids):,} {part} rows of {options.ckpt_path}, none of which it was trained on")
    if part == "validation":
        print("its thresholds were fitted on these rows: precision may be a little lower elsewhere")
    file = CsvCells(options.csv_path)
    engine = Remembered(Predictor.load(options.ckpt_path).engine)
    columns = label_columns(file, Predictor.load(options.ckpt_path))
    known = {cell[:2]: cell[2] for cell in known_cells(file, columns) if cell[0] in ids}
    order = np.random.default_rng(options.seed).permutation(len(known))
    parts = np.array_split(order, 5)[: options.rounds]
    cells = list(known)
    outcomes: dict[tuple[str, float, str], list[dict[str, Outcome]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "hidden.csv", Path(folder) / "filled.csv"
        for decision, target in product(options.decisions, options.targets):
            config = InferenceConfig(decision=decision, target_precision=target, tta="none")
            predictor = Predictor.load(options.ckpt_path, config)
            predictor.engine, witnesses = engine, predictor.witnesses
            for of_round, name in product(parts, options.witnesses):
                hidden = {cells[i]: known[cells[i]] for i in of_round.tolist()}
                write_hidden(file, ids, hidden, source)
                predictor.witnesses = with_combinations(witnesses, WITNESSES[name])
                said = fill(source, options.img_dir, predictor, out)
                found = {cell[:2]: cell[2] for cell in known_cells(CsvCells(out), columns)}
                outcome = compare(hidden, known, found, said)
                outcomes.setdefault((decision, target, name), []).append(outcome)
    print_tables(outcomes)


def print_tables(outcomes: dict[tuple[str, float, str], list[dict[str, Outcome]]]) -> None:
    """All cells, and by who answered them."""
    head = "| {} | hidden | filled | share | right | precision | 95 % |"
    print(
        head.format("decision | target | witnesses"),
        "|---|---|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for names, rounds in outcomes.items():
        print(total(one for each in rounds for one in each.values()).line(*names))
    print()
    print(
        head.format("decision | target | witnesses | answered by"),
        "|---|---|---|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for names, rounds in outcomes.items():
        for answered_by in sorted({key for each in rounds for key in each}):
            print(
                total(each[answered_by] for each in rounds if answered_by in each).line(
                    *names, answered_by
                )
            )


if __name__ == "__main__":
    main()
