"""Words and known labels in the answers to holes; the model of the images has random weights."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.cell_files.csv_cells import CsvCells
from visual_taxonomy.data.table import read_table
from visual_taxonomy.decision.decision import plain_answers
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.inference.cell_list import HoleAnswers, cells_path, fill_file
from visual_taxonomy.inference.fill_preview import would_fill
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.holes import find_holes
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.combination import IMAGE, KNOWN_LABELS, NAMES, WORDS
from visual_taxonomy.witnesses.combining import fit_witnesses

EXACT = InferenceConfig("torch", None, 0, "32", "cpu")
COLUMNS = CatalogueConfig(text_columns=("title", "brand"))


@pytest.fixture
def model(checkpoint, witnesses, decision, held_out):
    counts = dict(held_out.class_counts)
    return replace(
        checkpoint, witnesses=witnesses, decision=decision, class_counts=counts, columns=COLUMNS
    )


@pytest.fixture
def filling(table_of, rows, tmp_path: Path) -> Filling:
    """40 rows with titles of two thirds: row 0 has no label, and rows 3, 7 and 9 no image."""
    images = table_of(40)
    for row in (3, 7, 9):
        images.path(row).unlink()
    attributes = list(dict.fromkeys(task.attribute for task in rows.taxonomy.tasks))
    lines = [["id", "Category", *attributes, "title", "brand"]]
    for row in range(40):
        category = rows.taxonomy.categories[rows.categories[row]]
        cells = dict.fromkeys(attributes, "")
        for slot, name in enumerate(rows.taxonomy.attributes(category)):
            label = rows.targets[row, slot]
            if row and label >= 0 and (row + slot) % 3:
                cells[name] = rows.taxonomy.task(category, name).classes[label]
        lines.append([str(row), category, *cells.values(), *rows.texts[row]])
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    reading = {"missing_images": "keep", "trained": COLUMNS}
    table = read_table(path, images.img_dir, rows.taxonomy, **reading)
    assert table.texts is not None
    file = CsvCells(path)
    return Filling(file, "id", table, find_holes(file, "id", table))


def listed(predictor: Predictor, filling: Filling, out: Path) -> list[dict[str, str]]:
    fill_file(predictor, filling, out, "request")
    with cells_path(out).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_list_names_who_answered_each_cell(model, filling, tmp_path):
    cells = listed(Predictor(model, EXACT), filling, tmp_path / "out.csv")
    table = filling.table
    taxonomy = table.taxonomy
    found = Counter()
    for cell in cells:
        row = int(cell["id"])
        slot = taxonomy.attributes(taxonomy.categories[table.categories[row]]).index(
            cell["attribute"]
        )
        has_words = bool((table.texts[row] != "").any())
        has_labels = bool((np.delete(table.targets[row], slot) >= 0).any())
        names = "image" * (row not in (3, 7, 9)) + " words" * has_words
        # Known labels alone answer nothing, nor do they beside words without an image.
        names += " known_labels" * (has_labels and row not in (3, 7, 9))
        assert cell["witnesses"] == names.strip()
        assert cell["status"] == ("filled" if names.strip() else "no image")
        found[cell["witnesses"]] += 1
    assert set(found) == {
        "image", "image words known_labels", "image words", "image known_labels", "words", "",
    }  # fmt: skip


def test_cells_that_words_answer_without_an_image_are_filled(model, filling, tmp_path):
    cells = listed(Predictor(model, EXACT), filling, tmp_path / "out.csv")
    texts = dict(CsvCells(tmp_path / "out.csv").texts("id", ["color"]))
    answers = {cell["id"]: cell["answer"] for cell in cells if cell["attribute"] == "color"}
    assert answers["7"] != ""
    assert texts["7"] == [answers["7"]]
    assert texts["9"] == [""]  # it has no words either


def test_a_dry_run_counts_what_is_filled_at_each_target(model, filling, tmp_path):
    targets = (0.5, 0.7, 0.8)
    found, unreadable = would_fill(Predictor(model, EXACT), filling, targets)
    assert unreadable == 3
    counts = []
    for target in targets:
        predictor = Predictor(model, replace(EXACT, target_precision=target))
        cells = listed(predictor, filling, tmp_path / f"out_{target}.csv")
        filled = [cell["status"] == "filled" for cell in cells]
        assert found[target][filling.holes.is_hole].tolist() == filled
        counts.append(sum(filled))
        of_image = replace(model, witnesses=None)
        alone = Predictor(of_image, replace(EXACT, target_precision=target))
        assert filled != [
            cell["status"] == "filled" for cell in listed(alone, filling, tmp_path / "alone.csv")
        ]
    assert len(set(counts)) == 3


def test_labels_that_are_read_in_another_way_are_another_request(model, filling, checkpoint_path):
    targets = filling.table.targets.copy()
    row = int(filling.with_holes[-1])
    slot = int(np.flatnonzero(targets[row] >= 0)[0])
    targets[row, slot] = -1
    other = replace(filling.table, targets=targets)
    again = Filling(filling.file, "id", other, filling.holes)
    assert filling.request(checkpoint_path) != again.request(checkpoint_path)


class Simulated:
    """Rows of one category; their witnesses err independently, and are too sure of themselves."""

    def __init__(self, num_rows: int) -> None:
        self.taxonomy = Taxonomy.from_dict({"Tops": {"neck": ["v", "o", "u"], "fit": ["s", "l"]}})
        draw = np.random.default_rng(3)
        targets = np.stack([draw.choice(n, num_rows) for n in (3, 2)], axis=1)
        signal = {IMAGE: 1.4, WORDS: 1.4, KNOWN_LABELS: 0.8}
        spoken = {IMAGE: 1.0, WORDS: 0.6, KNOWN_LABELS: 0.7}
        self.said = {}
        for bit, size in signal.items():
            logits = draw.normal(0, 1, (num_rows, 2, 3))
            np.put_along_axis(
                logits,
                targets[..., None],
                np.take_along_axis(logits, targets[..., None], 2) + size,
                2,
            )
            odds = np.exp(2 * logits)
            odds[:, 1, 2] = 0.0
            shares = odds / odds.sum(axis=2, keepdims=True)
            is_heard = draw.random(num_rows) < spoken[bit]
            self.said[bit] = np.where(is_heard[:, None, None], shares, 0.0).astype(np.float32)
        counts = {name: [100] * n for name, n in zip(self.taxonomy.task_names, (3, 2), strict=True)}
        ids = np.arange(num_rows)
        self.categories = np.zeros(num_rows, np.int64)
        rows = (ids.astype(str), self.categories, ids, self.said[IMAGE], targets)
        said = {NAMES[bit]: each for bit, each in self.said.items() if bit != IMAGE}
        self.held_out = HeldOut(self.taxonomy, counts, *rows, witnesses=said)


def test_the_target_holds_for_each_combination_of_witnesses():
    simulated = Simulated(6000)
    first, second = np.arange(3000), np.arange(3000, 6000)
    fitted = simulated.held_out.take(first)
    witnesses, of_image = fit_witnesses(fitted, None, None), fit_decision(fitted)
    said = {bit: each[second] for bit, each in simulated.said.items()}
    categories, targets = simulated.categories[second], simulated.held_out.targets[second]

    def at(target):
        def answer(probabilities, categories, decision):
            return decision.answer(probabilities, categories, target_precision=target)

        image = of_image.answer(said[IMAGE], categories, target_precision=target)
        return witnesses.answer(image, said, categories, answer)

    chosen = witnesses.choose(said)
    assert set(chosen.ravel().tolist()) == {1, 3, 5, 7}
    for target in (0.9, 0.95):
        answers = at(target)
        is_filled = ~answers.is_unknown
        is_right = answers.classes == targets
        shares = {}
        for combination in (1, 3, 5, 7):
            cells = is_filled & (chosen == combination)
            assert cells.sum() > 250
            assert abs(is_right[cells].mean() - target) < 0.02, combination
            shares[combination] = cells.sum() / (chosen == combination).sum()
        assert abs(is_right[is_filled].mean() - target) < 0.015
        assert shares[1] < shares[5] < shares[3] < shares[7]
        plain = plain_answers(simulated.taxonomy, said[IMAGE], categories).classes == targets
        assert is_right.mean() > plain.mean() + 0.05


def test_holes_are_answered_from_any_row_on(model, filling):
    predictor = Predictor(model, EXACT)
    (whole, rest) = (
        np.concatenate([each.witnesses for each in HoleAnswers(predictor).predict_table(*rows)])
        for rows in ((filling.rows,), (filling.rows, 5))
    )
    np.testing.assert_array_equal(rest, whole[5:])
