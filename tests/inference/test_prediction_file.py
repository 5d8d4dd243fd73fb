import csv
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig, ModelConfig
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference import prediction_file
from visual_taxonomy.inference.answer_columns import MIN_SLOTS, CompetitionColumns
from visual_taxonomy.inference.answers import RowScores
from visual_taxonomy.inference.journal import CHANGED
from visual_taxonomy.inference.output_forms import WideCsv
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import (
    errors_path,
    finished,
    request_of,
    write_predictions,
)
from visual_taxonomy.inference.resumable import ResumableFile
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.taxonomy import Taxonomy

WITH_SHARES = WideCsv(CompetitionColumns(MIN_SLOTS), with_probabilities=True)
CONFIG = InferenceConfig(batch_size=2, workers=0, precision="32", accelerator="cpu")


class Known:
    """Answers that are known in advance, in place of a model: classes and their probability."""

    def __init__(self, classes: list[list[int]], probability: float = 0.75) -> None:
        self.classes = np.array(classes)
        self.probability = probability

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        for start in range(first, len(table), 2):
            rows = np.arange(start, min(start + 2, len(table)))
            classes = self.classes[rows]
            scores = np.zeros((*classes.shape, 3), np.float32)
            np.put_along_axis(scores, classes[:, :, None].clip(0), self.probability, axis=2)
            none = np.full_like(classes, -1)
            yield RowScores(rows, scores, classes, none, classes < 0, {})


@pytest.fixture
def predictor(checkpoint) -> Predictor:
    return Predictor(checkpoint, CONFIG)


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_file_has_the_columns_of_the_competition(table_of, tmp_path):
    """Row 0 a Saree (woven, red), row 1 a Kurti (green, long, default)."""
    path = tmp_path / "out.csv"
    write_predictions(Known([[2, 0, -1], [1, 1, 0]]), table_of(2), path)
    assert path.read_text(encoding="utf-8") == (
        "id,Category,len," + ",".join(f"attr_{i}" for i in range(1, 11)) + "\n"
        "0,Sarees,2,woven,red" + ",dummy_value" * 8 + "\n"
        "1,Kurtis,3,green,long,default" + ",dummy_value" * 7 + "\n"
    )


def test_probabilities_stand_behind_the_labels(table_of, tmp_path):
    path = tmp_path / "out.csv"
    known = Known([[2, 0, -1], [1, 1, 0]], probability=0.12346)
    write_predictions(known, table_of(2), path, WITH_SHARES)
    header, saree, kurti = lines(path)
    assert header[13:] == [f"prob_{i}" for i in range(1, 11)]
    assert saree[13:] == ["0.1235"] * 2 + [DUMMY] * 8
    assert [value == DUMMY for value in kurti[13:]] == [False] * 3 + [True] * 7
    assert kurti[:13] == ["1", "Kurtis", "3", "green", "long", "default", *[DUMMY] * 7]


def test_probabilities_are_those_of_the_labels(predictor, table_of, tmp_path):
    table = table_of(3)
    write_predictions(predictor, table, tmp_path / "out.csv", WITH_SHARES)
    names = [table.taxonomy.categories[k] for k in table.categories]
    predictions = predictor.predict([table.path(row) for row in range(3)], names)
    for line, expected in zip(lines(tmp_path / "out.csv")[1:], predictions, strict=True):
        count = int(line[2])
        assert line[3 : 3 + count] == list(expected.labels.values())
        best = [max(scores.values()) for scores in expected.probabilities.values()]
        assert [float(value) for value in line[13 : 13 + count]] == pytest.approx(best, abs=6e-5)


def test_rows_are_in_the_order_of_the_table(predictor, table_of, tmp_path):
    table = table_of(7).take(np.array([5, 0, 3, 6, 1, 2, 4]))
    write_predictions(predictor, table, tmp_path / "out.csv")
    assert [line[0] for line in lines(tmp_path / "out.csv")[1:]] == list("5036124")


def test_a_category_of_more_than_ten_attributes_gets_more_columns(tmp_path):
    taxonomy = Taxonomy.from_dict(
        {"Wide": {f"a{i}": ["x", "y"] for i in range(12)}, "Narrow": {"b": ["z", "w"]}}
    )
    config = ModelConfig(backbone="test_vit", image_size=(32, 32), head="linear")
    weights = build_classifier(taxonomy, config).state_dict()
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    table = Table(
        taxonomy,
        np.array(["1", "2"]),
        np.array([0, 1]),
        np.full((2, 12), -1),
        np.array(["p.png", "p.png"]),
        tmp_path,
    )
    predictor = Predictor(Checkpoint(taxonomy, config, weights), CONFIG)
    form = WideCsv(CompetitionColumns.of(taxonomy), with_probabilities=True)
    write_predictions(predictor, table, tmp_path / "out.csv", form)
    header, wide, narrow = lines(tmp_path / "out.csv")
    assert header[3:15] == [f"attr_{i}" for i in range(1, 13)]
    assert header[15:] == [f"prob_{i}" for i in range(1, 13)]
    assert wide[2] == "12"
    assert DUMMY not in wide
    assert narrow[4:15] == narrow[16:] == [DUMMY] * 11


def test_the_file_can_be_read_as_labels(predictor, table_of, tmp_path):
    table = table_of(4)
    write_predictions(predictor, table, tmp_path / "out.csv")
    read = read_table(tmp_path / "out.csv", table.img_dir, table.taxonomy)
    classes = np.concatenate([scores.classes for scores in predictor.predict_table(table)])
    assert np.array_equal(read.targets, classes)


def test_an_unreadable_picture_has_empty_labels_and_is_listed(predictor, table_of, tmp_path):
    table = table_of(4)
    table.path(1).write_bytes(b"")
    table.path(2).unlink()
    path = tmp_path / "out.csv"
    written = write_predictions(predictor, table, path, WITH_SHARES)
    rows = lines(path)[1:]
    assert rows[1] == ["1", "Kurtis", "3", *[""] * 3, *[DUMMY] * 7, *[""] * 3, *[DUMMY] * 7]
    assert rows[2] == ["2", "Sarees", "2", *[""] * 2, *[DUMMY] * 8, *[""] * 2, *[DUMMY] * 8]
    assert all(rows[row][3:5] != ["", ""] for row in (0, 3))
    assert written.errors_path == tmp_path / "out.csv.errors.csv"
    assert lines(written.errors_path) == [
        ["id", "reason"],
        ["1", "the file is empty"],
        ["2", "the file is missing"],
    ]
    assert written.problems == {"1": "the file is empty", "2": "the file is missing"}


def test_without_problems_there_is_no_list_of_them_not_even_an_old_one(
    predictor, table_of, tmp_path
):
    (tmp_path / "out.csv.errors.csv").write_text("id,reason\n7,old\n")
    written = write_predictions(predictor, table_of(2), tmp_path / "out.csv")
    assert written.problems == {}
    assert not written.errors_path.exists()


def test_rows_and_seconds_are_counted_by_category(table_of, tmp_path, monkeypatch):
    """Batches of rows (0, 1), (2, 3), (4) take 1, 2 and 4 seconds: 0.5 + 1 + 4 and 0.5 + 1."""
    clock = iter([10.0, 11.0, 13.0, 17.0])
    monkeypatch.setattr(prediction_file, "perf_counter", lambda: next(clock))
    known = Known([[0, 0, -1], [0, 0, 0]] * 3)
    written = write_predictions(known, table_of(5), tmp_path / "out.csv")
    assert written.rows == {"Sarees": 3, "Kurtis": 2}
    assert written.seconds == {"Sarees": 5.5, "Kurtis": 1.5}


def test_a_category_without_rows_is_not_counted(table_of, tmp_path):
    table = table_of(2).take(np.array([0]))
    written = write_predictions(Known([[0, 0, -1]]), table, tmp_path / "out.csv")
    assert written.rows == {"Sarees": 1}


def test_progress_counts_rows(table_of, tmp_path):
    done: list[int] = []
    known = Known([[0, 0, -1], [0, 0, 0]] * 3)
    write_predictions(known, table_of(5), tmp_path / "out.csv", on_progress=done.append)
    assert done == [2, 4, 5]


def test_the_folder_is_made(table_of, tmp_path):
    path = tmp_path / "new" / "out.csv"
    write_predictions(Known([[0, 0, -1]]), table_of(1), path)
    assert len(lines(path)) == 2


def test_commas_quotes_and_any_script_survive(table_of, tmp_path):
    table = table_of(1)
    taxonomy = Taxonomy.from_dict({"साड़ी, ल": {"रंग": ['"ल, ल"']}})
    table = Table(taxonomy, table.ids, np.array([0]), np.array([[-1]]), table.image_names, tmp_path)
    write_predictions(Known([[0]]), table, tmp_path / "out.csv")
    assert lines(tmp_path / "out.csv")[1][:4] == ["0", "साड़ी, ल", "1", '"ल, ल"']


def test_on_a_full_disk_the_previous_file_stays(table_of, tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"out\.csv: no space left on the disk"):
        write_predictions(Known([[0, 0, -1]]), table_of(1), path)
    assert path.read_text() == "old"


def test_a_run_that_is_broken_off_leaves_the_previous_file(table_of, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(Known([[0, 0, -1]]), table_of(1), path, on_progress=stop)
    assert path.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "pictures"]


def break_off_after(rows: int, predictor: Predictor, table: Table, path: Path) -> None:
    def stop(done: int) -> None:
        if done >= rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(predictor, table, path, WITH_SHARES, stop, "request")


def test_a_run_that_is_broken_off_goes_on_and_leaves_the_same_files(predictor, table_of, tmp_path):
    table = table_of(7)
    table.path(1).unlink()
    table.path(6).unlink()
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    expected = write_predictions(predictor, table, whole, WITH_SHARES)
    break_off_after(4, predictor, table, resumed)
    assert not resumed.exists()
    done: list[int] = []
    written = write_predictions(predictor, table, resumed, WITH_SHARES, done.append, "request")
    assert resumed.read_bytes() == whole.read_bytes()
    assert written.errors_path.read_bytes() == expected.errors_path.read_bytes()
    assert written.problems == {"1": "the file is missing", "6": "the file is missing"}
    assert (written.resumed, sum(written.rows.values()), done) == (4, 3, [6, 7])


@pytest.mark.parametrize("row", [0, 3, 5])
def test_an_image_that_changed_meanwhile_is_predicted_again(
    predictor, table_of, tmp_path, row: int
) -> None:
    """Rows 0 ... 3 were done; what was predicted before the change is not mixed with the rest."""
    table, path = table_of(7), tmp_path / "out.csv"
    break_off_after(4, predictor, table, path)
    Image.new("RGB", (30, 60), (250, 10, 90)).save(table.path(row))
    written = write_predictions(predictor, table, path, WITH_SHARES, request="request")
    kept = {0: 0, 3: 2, 5: 4}[row]
    assert (written.resumed, written.dropped) == (kept, 4 - kept)
    assert written.reason == (CHANGED if row < 4 else "")
    write_predictions(predictor, table, tmp_path / "whole.csv", WITH_SHARES)
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_an_image_that_appears_meanwhile_is_predicted(predictor, table_of, tmp_path) -> None:
    table, path = table_of(5), tmp_path / "out.csv"
    content = table.path(1).read_bytes()
    table.path(1).unlink()
    break_off_after(4, predictor, table, path)
    table.path(1).write_bytes(content)
    written = write_predictions(predictor, table, path, WITH_SHARES, request="request")
    assert (written.resumed, written.problems) == (0, {})


def test_the_list_of_errors_is_there_before_the_csv_has_its_name(
    predictor, table_of, tmp_path, monkeypatch
) -> None:
    table, path = table_of(2), tmp_path / "out.csv"
    table.path(0).unlink()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ResumableFile, "finish", fail)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(predictor, table, path, request="request")
    assert errors_path(path).exists()
    assert not path.exists()


def test_a_finished_file_is_known_until_it_or_an_image_changes(
    predictor, table_of, tmp_path
) -> None:
    table, path = table_of(3), tmp_path / "out.csv"
    table.path(1).unlink()
    assert finished(path, table, "request") is None
    write_predictions(predictor, table, path, request="request")
    assert finished(path, table, "request") == 1
    assert finished(path, table, "other") is None
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Sarees", b"sarees"))
    assert finished(path, table, "request") is None
    path.write_bytes(content)
    assert finished(path, table, "request") == 1
    os.utime(table.path(2), (1, 1))
    assert finished(path, table, "request") is None


def test_a_run_broken_off_before_its_first_row_has_one_header(predictor, table_of, tmp_path):
    table = table_of(2)

    class Stopped:
        def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(Stopped(), table, tmp_path / "out.csv", request="request")
    write_predictions(predictor, table, tmp_path / "out.csv", request="request")
    assert [line[0] for line in lines(tmp_path / "out.csv")] == ["id", "0", "1"]


def test_a_finished_request_is_predicted_anew(predictor, table_of, tmp_path):
    table = table_of(2)
    for _ in range(2):
        written = write_predictions(predictor, table, tmp_path / "out.csv", request="request")
        assert (written.resumed, sum(written.rows.values())) == (0, 2)


def test_a_request_is_known_by_model_rows_and_settings(checkpoint_path, bundle, table_of, tmp_path):
    table = table_of(3)
    other = tmp_path / "other.pt"
    other.write_bytes(checkpoint_path.read_bytes() + b"x")
    copy = tmp_path / "copy.pt"
    copy.write_bytes(checkpoint_path.read_bytes())
    request = request_of(checkpoint_path, table, "csv", "torch", "32")
    assert request_of(copy, table_again(table), "csv", "torch", "32") == request
    others = [
        request_of(other, table, "csv", "torch", "32"),
        request_of(bundle.folder, table, "csv", "torch", "32"),
        request_of(checkpoint_path, table, "jsonl", "torch", "32"),
        request_of(checkpoint_path, table, "csv", "torch", "bf16"),
        request_of(checkpoint_path, table.take(np.array([0, 2, 1])), "csv", "torch", "32"),
        request_of(checkpoint_path, table.take(np.array([0, 1])), "csv", "torch", "32"),
    ]
    assert len({request, *others}) == 7


def table_again(table: Table) -> Table:
    return table.take(np.arange(len(table)))
