"""Filling: which cells, and that every other byte stays."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.data.cell_files.opening import open_cells
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import RowScores
from visual_taxonomy.inference.cell_list import (
    CELL_COLUMNS,
    CellList,
    cells_path,
    fill_file,
    filled_before,
)
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.holes import find_holes
from visual_taxonomy.inference.resumable import ResumableFile
from visual_taxonomy.taxonomy import MISSING_VALUES, Taxonomy

COLORS = ("red, blue", 'dark "navy"', "crème; tab\t", "plain")
TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"color": COLORS, "border": ["zari", "no"]},
        "Kurtis": {"sleeve": ["short", "long"], "color": ["plain", "red, blue"]},
    }
)


class Known:
    """In place of a model: the class and the confidence of a cell follow from id and slot."""

    def predict_table(
        self, table: Table, first: int = 0, with_known_labels: bool = False
    ) -> Iterator[RowScores]:
        for start in range(first, len(table), 2):
            rows = np.arange(start, min(start + 2, len(table)))
            classes = np.full((len(rows), 2), -1)
            is_unknown = np.ones((len(rows), 2), dtype=bool)
            for i, row in enumerate(rows):
                for slot, task in enumerate(table.taxonomy.slots[table.categories[row]]):
                    count = len(table.taxonomy.tasks[task].classes)
                    classes[i, slot], is_unknown[i, slot] = known(table.ids[row], slot, count)
            scores = np.zeros((len(rows), 2, 4), np.float32)
            np.put_along_axis(scores, classes[..., None].clip(0), 0.75, axis=2)
            yield RowScores(rows, scores, classes, (classes + 1) % 2, is_unknown, {})


def known(product: str, slot: int, count: int) -> tuple[int, bool]:
    """Class, and whether it is left open."""
    number = sum(product.encode()) + slot
    return number % count, number % 3 == 0


def filling_of(
    path: Path, encoding: Encoding = "utf-8", only=(), fill_markers=False, on_note=str
) -> Filling:
    folder = path.parent / "images"
    folder.mkdir(exist_ok=True)
    table = read_table(
        path,
        folder,
        TAXONOMY,
        missing_images="keep",
        unknown_labels="ignore",
        reading=LabelReading(csv_encoding=encoding),
        absent_columns="ignore",
    )
    file = open_cells(path, encoding)
    holes = find_holes(file, "id", table, only, MISSING_VALUES, fill_markers, on_note)
    return Filling(file, "id", table, holes)


def filled(path: Path, **options) -> Path:
    out = path.with_name(f"filled{path.suffix}")
    fill_file(Known(), filling_of(path, **options), out, "request")
    return out


def records(out: Path) -> list[dict[str, str]]:
    with cells_path(out).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Drawn:
    """A drawn catalogue: its bytes, and those that must come out, by another way than ours."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        draw = self.draw.choice
        self.delimiter = draw(",;\t")
        self.ends = draw([["\n"], ["\r\n"], ["\n", "\r\n"]])
        self.quotes_all = draw([True, False, False])
        self.codec = draw(["utf-8", "utf-8-sig", "cp1252"])
        self.is_numbered = draw([True, False])
        self.before, self.after = "", ""
        labels = (
            ["ATTR_1", "attr_2", "attr_3"] if self.is_numbered else ["color", " border ", "sleeve"]
        )
        self.names = ["Id", "note", "Category", *labels, "extra"]
        self.draw.shuffle(self.names)
        self.add([self.raw(name) for name in self.names], {})
        for number in range(self.draw.randrange(1, 9)):
            self.add_row(f"{number}-é x"[: self.draw.randrange(1, 6)] + str(number))
        self.add_end()

    def quoted(self, text: str, in_quotes: bool) -> str:
        """A text as a cell, in quotes if it must be or is asked to be."""
        must = set(text) & {*'"\r\n', self.delimiter}
        return '"' + text.replace('"', '""') + '"' if must or in_quotes else text

    def raw(self, text: str) -> str:
        return self.quoted(text, self.quotes_all or self.draw.random() < 0.3)

    def add(self, cells: list[str], fills: dict[int, str]) -> None:
        end = self.draw.choice(self.ends)
        new = [fills.get(place, cell) for place, cell in enumerate(cells)]
        self.before += self.delimiter.join(cells) + end
        self.after += self.delimiter.join(new) + end

    has_hole = False

    def add_row(self, product: str) -> None:
        category = self.draw.choice(TAXONOMY.categories)
        attributes = TAXONOMY.attributes(category)
        cells, fills = [], {}
        for place, name in enumerate(self.names):
            plain = name.strip().lower()
            free = "".join(self.draw.choices('ab ,;\t"\n\r€é', k=self.draw.randrange(6))).strip(
                "\r"
            )
            text = {"id": product, "category": category}.get(plain, free)
            slot = None
            if plain.startswith("attr_"):
                slot = int(plain[5:]) - 1
                text = "dummy_value"
            elif plain in ("color", "border", "sleeve"):
                slot = attributes.index(plain) if plain in attributes else 9
                text = ""
            cell = self.raw(text)
            if slot is not None and slot < 2:
                classes = TAXONOMY.task(category, attributes[slot]).classes
                cell = self.draw.choice(["", "", " ", '""', self.raw(classes[-1]), "NA", "unseen"])
                if not cell.strip(' "'):
                    self.has_hole = True
                    index, is_open = known(product, slot, len(classes))
                    if not is_open:
                        fills[place] = self.quoted(classes[index], '"' in cell)
            cells.append(cell)
        self.add(cells, fills)

    def add_end(self) -> None:
        end = self.draw.choice(self.ends)
        more = self.draw.choice(["", end * 2, self.delimiter * 6 + end])
        self.before, self.after = self.before + more, self.after + more
        if self.draw.random() < 0.3:
            self.before, self.after = self.before.rstrip("\r\n"), self.after.rstrip("\r\n")

    @property
    def encoding(self) -> Encoding:
        return "latin-1" if self.codec == "cp1252" else "utf-8"


def test_of_200_drawn_files_only_empty_cells_change(tmp_path):
    path, cells, out = (tmp_path / name for name in ("a.csv", "cells.csv", "out.csv"))
    changed = 0
    for seed in range(200):
        drawn = Drawn(seed)
        path.write_bytes(drawn.before.encode(drawn.codec))
        if not drawn.has_hole:
            with pytest.raises(InputError, match="no empty cell in"):
                filling_of(path, drawn.encoding)
            continue
        filling = filling_of(path, drawn.encoding)
        # What `fill_file` does, but without the thousand waits for the disk of 200 safe writes.
        form = CellList(filling, out, "request")
        answers = Known().predict_table(filling.rows)
        cells.write_bytes(
            form.start() + b"".join(form.rows(filling.rows, scores) for scores in answers)
        )
        filling.write(out, cells)
        assert out.read_bytes() == drawn.after.encode(drawn.codec), seed
        changed += drawn.before != drawn.after
    assert changed > 150


@pytest.fixture
def named(tmp_path) -> Path:
    """Columns by name; "color" is the first attribute of Sarees and the second of Kurtis."""
    path = tmp_path / "named.csv"
    path.write_text(
        "id,Category,color,border,sleeve\n"
        "a,Sarees,,,\n"  # a + slot 0: number 97, class 1, filled; a + slot 1: 98, class 0, filled
        "b,Kurtis,,,NA\n"  # b + slot 1: 99, open
        "c,Sarees,teal,no,\n"
        "d,Kurtis,None,,\n",  # d + slot 0: 100, class 0, filled
        encoding="utf-8",
    )
    return path


def test_the_list_says_of_each_hole_what_was_answered_and_what_became_of_it(named):
    out = filled(named)
    assert out.read_text(encoding="utf-8") == (
        "id,Category,color,border,sleeve\n"
        'a,Sarees,"dark ""navy""",zari,\n'
        "b,Kurtis,,,NA\n"
        "c,Sarees,teal,no,\n"
        "d,Kurtis,None,,short\n"
    )
    assert tuple(records(out)[0]) == CELL_COLUMNS
    assert [tuple(record.values()) for record in records(out)] == [
        ("a", "color", COLORS[1], "0.750000", COLORS[0], "0.000000", "image", "filled"),
        ("a", "border", "zari", "0.750000", "no", "0.000000", "image", "filled"),
        ("b", "color", "red, blue", "0.750000", "plain", "0.000000", "image", "unknown"),
        ("d", "sleeve", "short", "0.750000", "long", "0.000000", "image", "filled"),
    ]


def test_markers_of_a_missing_value_stay_unless_asked(named):
    notes = []
    filling = filling_of(named, on_note=notes.append)
    assert filling.holes.markers == {"NA": 1, "None": 1}
    assert "with a marker of a missing value: 2 ('NA' 1, 'None' 1) stay" in notes[-1]
    text = filled(named, fill_markers=True).read_text(encoding="utf-8")
    # b: 98 + slot 0 is class 0; d: 100 + slot 1 is class 1.
    assert "b,Kurtis,,,short\n" in text
    assert 'd,Kurtis,"red, blue",,short\n' in text


def test_only_the_attributes_asked_for_are_filled(named):
    filling = filling_of(named, only=["border", "sleeve"])
    assert filling.attribute_counts(filling.holes.is_hole) == {"color": 0, "border": 1, "sleeve": 1}
    with pytest.raises(InputError, match=r"`only`: 'bordr' is none of: .* mean 'border'\?"):
        filling_of(named, only=["bordr"])


def test_an_attribute_without_a_column_is_left_out_with_a_note(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,color\na,Sarees,\n", encoding="utf-8")
    notes = []
    filling = filling_of(path, on_note=notes.append)
    assert notes == [f"note: {path}: no column, so not filled: border"]
    assert filling.holes.columns == [["color", None], [None, "color"]]
    with pytest.raises(InputError, match="no column of an attribute that is asked for; add one"):
        filling_of(path, only=["sleeve"])


def test_a_file_without_a_hole_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,color,border\na,Sarees,plain,NA\n", encoding="utf-8")
    message = r"no empty cell in color, border, so .* 1 \('NA' 1\): .* `fill_markers`"
    with pytest.raises(InputError, match=message):
        filling_of(path)


def test_rows_that_the_table_does_not_have_are_refused(named):
    filling = filling_of(named)
    for rows in ([0, 1, 2], [0, 2, 1, 3]):
        with pytest.raises(InputError, match=r"id '[bcd]': its quotes or line ends are unusual"):
            find_holes(filling.file, "id", filling.table.take(np.array(rows)))
    short = filling_of(named)
    longer = short.table.take(np.array([0, 1, 2, 3, 3]))
    with pytest.raises(InputError, match="id 'd': its quotes or line ends are unusual"):
        find_holes(short.file, "id", longer)


def test_a_file_that_changes_while_it_is_filled_is_refused(named):
    filling = filling_of(named)
    named.write_text(named.read_text().replace("teal", "blue"))
    out = named.with_name("out.csv")
    with pytest.raises(InputError, match=r"named\.csv: has changed while it was filled"):
        fill_file(Known(), filling, out, "request")
    assert not out.exists()
    assert not cells_path(out).exists()


def test_parquet_and_json_lines_are_filled_like_the_csv(named):
    frame = pl.read_csv(named, infer_schema=False)
    frame.write_parquet(named.with_suffix(".parquet"))
    frame.write_ndjson(named.with_suffix(".jsonl"))
    expected = pl.read_csv(filled(named), infer_schema=False)
    assert pl.read_parquet(filled(named.with_suffix(".parquet"))).equals(expected)
    assert pl.read_ndjson(filled(named.with_suffix(".jsonl"))).equals(expected)


@pytest.mark.parametrize(("method", "resumed"), [("append", 2), ("finish", 3)])
def test_a_killed_filling_resumes_and_both_files_come_together(named, monkeypatch, method, resumed):
    expected = [path.read_bytes() for path in (filled(named), cells_path(filled(named)))]
    out, original = named.with_name("again.csv"), getattr(ResumableFile, method)

    def killed(file, *rest):
        if file.rows >= 2:
            raise KeyboardInterrupt
        original(file, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableFile, method, killed)
        with pytest.raises(KeyboardInterrupt):
            fill_file(Known(), filling_of(named), out, "request")
    filling = filling_of(named)
    assert filled_before(out, filling.rows, "request") is None
    assert fill_file(Known(), filling, out, "request").resumed == resumed
    assert [path.read_bytes() for path in (out, cells_path(out))] == expected
    assert filled_before(out, filling.rows, "request") == 0
    assert filled_before(out, filling.rows, "another") is None
