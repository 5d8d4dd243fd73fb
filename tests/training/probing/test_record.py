"""probe.json: what it keeps, and of which rows it is."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import Interval, ScoreIntervals
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.learning_curve import Curve, LearningCurve, Point
from visual_taxonomy.training.probing.record import (
    PROBE_NAME,
    Line,
    ProbeRecord,
    digest_of_rows,
    find_probe,
    read_probe,
)

HALF = Interval(0.5, 0.4, 0.6)
SCORES = ScoreIntervals(HALF, HALF, HALF)


def record_of(rows: str, backbone: str = "test_vit") -> ProbeRecord:
    lines = {"linear": Line(SCORES, {"Sarees/border": HALF})}
    point = Point(1.0, 80.0, HALF, HALF, HALF)
    curve = LearningCurve((point,), (Curve("Sarees/border", (point,), HALF),), 0.01)
    return ProbeRecord(rows, backbone, 0.01, 9, lines, curve)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = record_of("abc")
    record.write(tmp_path / PROBE_NAME)
    assert ProbeRecord.read(tmp_path / PROBE_NAME) == record
    replace(record, curve=None).write(tmp_path / PROBE_NAME)
    assert ProbeRecord.read(tmp_path / PROBE_NAME).curve is None


def test_a_score_that_is_none_is_null_in_json(tmp_path: Path) -> None:
    nothing = Interval(np.nan, np.nan, np.nan)
    record = replace(record_of("abc"), lines={"linear": Line(SCORES, {"Sarees/x": nothing})})
    record.write(tmp_path / PROBE_NAME)
    assert json.loads((tmp_path / PROBE_NAME).read_text())["lines"]["linear"]["attributes"] == {
        "Sarees/x": [None, None, None]
    }
    found = ProbeRecord.read(tmp_path / PROBE_NAME).lines["linear"].attributes["Sarees/x"]
    assert np.isnan(found).all()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": "a", "lines": {"x": 3}}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / PROBE_NAME).write_text(text)
    with pytest.raises(InputError, match=r"probe\.json: not written by `vtax probe`, or damaged"):
        ProbeRecord.read(tmp_path / PROBE_NAME)
    with pytest.raises(InputError, match="not there; `vtax probe` writes it"):
        ProbeRecord.read(tmp_path / "none" / PROBE_NAME)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / PROBE_NAME).open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(InputError, match="larger than 16,777,216 bytes"):
        ProbeRecord.read(tmp_path / PROBE_NAME)


def test_the_digest_is_of_ids_and_labels_in_any_order(held_out: HeldOut) -> None:
    digest = digest_of_rows(held_out)
    assert digest_of_rows(held_out.take(np.arange(400)[::-1])) == digest
    plain = held_out.taxonomy.to_dict()
    assert list(plain["Sarees"]) == ["border", "color"]
    turned = Taxonomy.from_dict({**plain, "Sarees": dict(reversed(plain["Sarees"].items()))})
    targets = held_out.targets.copy()
    targets[held_out.categories == 0, :2] = targets[held_out.categories == 0, :2][:, ::-1]
    assert digest_of_rows(replace(held_out, taxonomy=turned, targets=targets)) == digest
    # What the model said of them is no part of the rows.
    other = replace(held_out, probabilities=held_out.probabilities[::-1])
    assert digest_of_rows(other) == digest


def test_other_labels_or_rows_have_another_digest(held_out: HeldOut) -> None:
    digest = digest_of_rows(held_out)
    targets = held_out.targets.copy()
    targets[0, 0] = -1
    counts = {**held_out.class_counts, "Sarees/border": [800, 150, 49]}
    for other in (
        held_out.take(np.arange(399)),
        replace(held_out, targets=targets),
        replace(held_out, class_counts=counts),
    ):
        assert digest_of_rows(other) != digest


def test_the_newest_probe_of_the_same_rows_beside_a_run_is_found(
    held_out: HeldOut, tmp_path: Path
) -> None:
    assert find_probe(tmp_path / "run", held_out) is None
    rows = digest_of_rows(held_out)
    for time, (name, of) in enumerate({"old": rows, "new": rows, "other": "abc"}.items()):
        record_of(of, name).write(tmp_path / name / PROBE_NAME)
        os.utime(tmp_path / name / PROBE_NAME, (time, time))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / PROBE_NAME).write_text("{")
    found = [find_probe(tmp_path / name, held_out) for name in ("run", "old")]
    assert [each and each.backbone for each in found] == ["new", "old"]


def test_a_probe_that_is_named_must_be_of_the_same_rows(held_out: HeldOut, tmp_path: Path) -> None:
    record_of("abc").write(tmp_path / PROBE_NAME)
    with pytest.raises(InputError, match="are not those of this run; probe with the split"):
        read_probe(tmp_path, held_out)
    record_of(digest_of_rows(held_out)).write(tmp_path / PROBE_NAME)
    assert read_probe(tmp_path, held_out).backbone == "test_vit"
