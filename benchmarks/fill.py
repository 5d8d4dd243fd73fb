r"""How many hidden cells `vtax fill` fills, and how many of those rightly.

A share of the known cells of a catalogue is hidden, drawn at random, the file is filled at each
target precision, and what stands in the hidden cells is compared. Cells are hidden only in rows
that the model was not trained on: the test rows of the split.csv beside the checkpoint, whose
labels chose no checkpoint and no threshold either; without any, the validation rows, on which the
decision was fitted, so that the figures flatter it a little.

    vtax train --test_ratio 0.2 --save_dir out --run_name r1 ...
    python benchmarks/fill.py --csv_path train.csv --img_dir images --ckpt_path out/r1/best_score.pt
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from visual_taxonomy import cli
from visual_taxonomy.data.cell_files.csv_cells import CsvCells
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.decision.binomial import share_interval
from visual_taxonomy.inference.cell_list import cells_path
from visual_taxonomy.inference.filling import FILLED
from visual_taxonomy.inference.prediction import Predictor

Cells = dict[tuple[str, str], str]
"""(Id, column) -> text."""


def held_out_rows(checkpoint: Path) -> tuple[set[str], str]:
    """Ids of rows that the model was not trained on, and which part of the split they are."""
    with (checkpoint.parent / "split.csv").open(encoding="utf-8", newline="") as file:
        parts = [(row["id"], row["split"]) for row in csv.DictReader(file)]
    for part in ("test", "validation"):
        ids = {product for product, of_row in parts if of_row == part}
        if ids:
            return ids, part
    raise SystemExit(f"{checkpoint}: no rows beside those it was trained on")


def label_columns(file: CsvCells, checkpoint: Path) -> list[str]:
    """The columns of the model's attributes, by name or by number."""
    taxonomy = Predictor.load(checkpoint).taxonomy
    wanted = {f"attr_{k + 1}" for k in range(taxonomy.num_slots)}
    wanted |= {task.attribute for task in taxonomy.tasks}
    return [name for name in file.names if name in wanted]


def known_cells(file: CsvCells, columns: list[str]) -> Iterator[tuple[str, str, str]]:
    """Id, column and text of each cell that holds a label."""
    for product, texts in file.texts("id", columns):
        for name, text in zip(columns, texts, strict=True):
            if text not in ("", DUMMY):
                yield product, name, text


def write_hidden(file: CsvCells, ids: set[str], hidden: Cells, out: Path) -> None:
    """A copy with the rows of some ids only, in which the hidden cells are empty."""
    whole = out.with_name("whole.csv")
    fills: dict[str, dict[str, str]] = {}
    for product, name in hidden:
        fills.setdefault(product, {})[name] = ""
    products = [product for product, _ in file.texts("id", [])]
    file.write(whole, "id", (fills.get(product, {}) for product in products))
    header, *lines = whole.read_bytes().splitlines(keepends=True)
    # A row a line: the catalogues this is for have no line ends in their cells.
    kept = [line for line, product in zip(lines, products, strict=True) if product in ids]
    out.write_bytes(b"".join(chain([header], kept)))


def filled_cells(out: Path) -> Cells:
    """What `vtax fill` says it filled, (id, attribute) -> answer."""
    with cells_path(out).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == FILLED]
    return {(row["id"], row["attribute"]): row["answer"] for row in rows}


def main() -> None:
    """Hide, fill and compare; print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--csv_path", "--img_dir", "--ckpt_path"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.2, help="of the known cells to hide")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95])
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="for vtax fill")
    options = parser.parse_args()
    ids, part = held_out_rows(options.ckpt_path)
    print(f"{len(ids):,} {part} rows of {options.ckpt_path}, none of which it was trained on")
    if part == "validation":
        print("its thresholds were fitted on these rows: precision may be a little lower elsewhere")
    file = CsvCells(options.csv_path)
    columns = label_columns(file, options.ckpt_path)
    known = [cell for cell in known_cells(file, columns) if cell[0] in ids]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            random = np.random.default_rng(seed)
            chosen = random.choice(len(known), round(options.share * len(known)), replace=False)
            hidden = {known[i][:2]: known[i][2] for i in chosen}
            source = Path(folder) / "hidden.csv"
            write_hidden(file, ids, hidden, source)
            for target in options.targets:
                out = Path(folder) / f"filled_{target}.csv"
                flags = ["--img_dir", options.img_dir, "--ckpt_path", options.ckpt_path]
                flags += ["--out_csv_path", out, "--overwrite", "--target_precision", target]
                cli.run(["fill", "--csv_path", *map(str, [source, *flags]), *options.flags])
                lines.append(_compared(seed, target, hidden, known, CsvCells(out), columns, out))
    print("| seed | target | hidden | filled | share filled | right | precision | 95 % |")
    print("|---|---|---|---|---|---|---|---|", *lines, sep="\n")


def _compared(
    seed: int,
    target: float,
    hidden: Cells,
    known: list[tuple[str, str, str]],
    filled: CsvCells,
    columns: list[str],
    out: Path,
) -> str:
    found = {cell[:2]: cell[2] for cell in known_cells(filled, columns)}
    assert all(found[cell[:2]] == cell[2] for cell in known if cell[:2] not in hidden)
    assert len(found) == len(known) - len(hidden) + len(filled_cells(out))
    answered = {cell: text for cell, text in hidden.items() if cell in found}
    right = sum(found[cell] == text for cell, text in answered.items())
    start = f"| {seed} | {target} | {len(hidden):,} | {len(answered):,} | "
    if not answered:
        return f"{start}0.0% | 0 | | |"
    low, high = share_interval(np.array([right]), np.array([len(answered)]))
    return (
        f"{start}{len(answered) / len(hidden):.1%} | {right:,} | {right / len(answered):.4f} | "
        f"{low[0]:.3f} to {high[0]:.3f} |"
    )


if __name__ == "__main__":
    main()
