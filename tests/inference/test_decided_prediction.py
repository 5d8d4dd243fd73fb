"""Predictions by the decision of a model: alike from checkpoint and bundle, and argmax as ever."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import Bundle, read_bundle
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.inference.export.bundle_writer import export
from visual_taxonomy.inference.output_forms import JsonLines, LongCsv, OutputForm, Parquet
from visual_taxonomy.inference.prediction import NO_DECISION, Predictor
from visual_taxonomy.inference.prediction_file import write_predictions
from visual_taxonomy.taxonomy import Taxonomy

CONFIG = InferenceConfig(batch_size=4, workers=0, precision="32", accelerator="cpu")


@pytest.fixture(scope="module")
def path(
    checkpoint: Checkpoint, decision: Decision, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The checkpoint with a decision."""
    found = tmp_path_factory.mktemp("decided") / "best.pt"
    write_checkpoint(found, replace(checkpoint, decision=decision))
    return found


@pytest.fixture(scope="module")
def bundle(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(path, tmp_path_factory.mktemp("bundle") / "model", "bundle")


@pytest.fixture
def table(table_of: Callable[[int], Table]) -> Table:
    """12 rows, the image of one of them damaged."""
    drawn = table_of(12)
    drawn.path(7).write_bytes(b"")
    return drawn


@pytest.fixture
def flags(path: Path, table: Table, tmp_path: Path) -> list[str]:
    """Of `vtax predict`, but for the form and the file."""
    names = [table.taxonomy.categories[k] for k in table.categories]
    lines = [f"{i},{name}" for i, name in zip(table.ids, names, strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,Category,len", *(f"{x}," for x in lines)]))
    given = {"img_dir": table.img_dir, "csv_path": tmp_path / "rows.csv", "ckpt_path": path}
    given |= {"workers": 0, "precision": "32", "accelerator": "cpu", "batch_size": 4}
    return [
        "predict",
        *(text for name, value in given.items() for text in (f"--{name}", str(value))),
    ]


def test_a_decision_survives_checkpoint_and_bundle(
    path: Path, bundle: Bundle, decision: Decision
) -> None:
    assert read_checkpoint(path).decision == decision
    assert read_bundle(bundle.folder).decision == decision


@pytest.mark.parametrize("target", [None, 0.9])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_publishes_the_classes_of_the_checkpoint(
    engine: str, target: float | None, path: Path, bundle: Bundle, table: Table
) -> None:
    expected = Predictor.load(path, replace(CONFIG, target_precision=target))
    found = Predictor.load(bundle.folder, replace(CONFIG, engine=engine, target_precision=target))
    assert np.array_equal(found.predict_classes(table)[0], expected.predict_classes(table)[0])


def test_metric_and_argmax_are_two_answers(path: Path, table: Table, decision: Decision) -> None:
    """By hand: argmax of log p - tau log prior, and softmax(log p / T + b log prior)."""
    raw = Predictor.load(path, replace(CONFIG, decision="argmax"))
    decided = Predictor.load(path, CONFIG)
    (before,), (after,) = (
        [p.score(table.path, table.categories)] and [next(iter(p.predict_table(table)))]
        for p in (raw, decided)
    )
    task = table.taxonomy.tasks.index(table.taxonomy.task("Sarees", "border"))
    head, p = decision.heads[task], before.probabilities[0, 0].astype(np.float64)
    assert before.classes[0, 0] == p.argmax()
    assert after.classes[0, 0] == (np.log(p) - head.tau * np.array(head.log_prior)).argmax()
    scores = np.log(p) / head.temperature + head.prior_exponent * np.array(head.log_prior)
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(after.probabilities[0, 0], expected, atol=1e-6)


def test_argmax_writes_the_csv_it_always_wrote(
    flags: list[str], path: Path, table: Table, tmp_path: Path
) -> None:
    """The golden rows are made here, without any code of ours behind the engine."""
    out = tmp_path / "out.csv"
    assert cli.run([*flags, "--decision", "argmax", "--out_csv_path", str(out), *SHARES]) == 3
    engine = Predictor.load(path, CONFIG).engine
    lines = ["id,Category,len," + ",".join([*ATTRIBUTES, *(f"prob_{i + 1}" for i in range(10))])]
    for row in range(len(table)):
        category = int(table.categories[row])
        tasks = [table.taxonomy.tasks[t] for t in table.taxonomy.slots[category]]
        labels, shares = [""] * len(tasks), [""] * len(tasks)
        if row != 7:
            (batch,) = engine.batches(lambda _, row=row: table.path(row), np.array([category]))
            (p,) = engine.probabilities(batch.images, batch.categories)
            labels = [task.classes[p[a].argmax()] for a, task in enumerate(tasks)]
            shares = [f"{p[a].max():.4f}" for a in range(len(tasks))]
        rest = ["dummy_value"] * (10 - len(tasks))
        start = [str(table.ids[row]), table.taxonomy.categories[category], str(len(tasks))]
        lines.append(",".join([*start, *labels, *rest, *shares, *rest]))
    assert out.read_text() == "\n".join(lines) + "\n"


SHARES = ("--probabilities", "--columns", "competition")
ATTRIBUTES = [f"attr_{i + 1}" for i in range(10)]


def test_unsure_answers_are_left_open_in_the_csv(flags: list[str], tmp_path: Path) -> None:
    texts = {}
    for name, more in {"all": (), "sure": ("--target_precision", "0.9", "--unknown", "?")}.items():
        out = tmp_path / f"{name}.csv"
        assert cli.run([*flags, "--out_csv_path", str(out), *more, "--columns", "named"]) == 3
        texts[name] = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    open_cells = 0
    for complete, sure in zip(texts["all"], texts["sure"], strict=True):
        for one, other in zip(complete, sure, strict=True):
            assert other in (one, "?")
            open_cells += other == "?"
    assert 0 < open_cells < 20


def test_the_long_forms_hold_the_same_records(
    flags: list[str], table: Table, tmp_path: Path
) -> None:
    found = {}
    for form in ("long-csv", "jsonl", "parquet"):
        out = tmp_path / f"out.{form}"
        more = ("--format", form, "--target_precision", "0.9", "--out_csv_path", str(out))
        assert cli.run([*flags, *more]) == 3
        assert cli.run([*flags, *more]) == 3  # finished already
        found[form] = out
    rows = list(csv.DictReader(found["long-csv"].read_text(encoding="utf-8").splitlines()))
    records = [json.loads(line) for line in found["jsonl"].read_text().splitlines()]
    assert rows == [
        {k: "" if v is None else f"{v:.6f}" if isinstance(v, float) else v for k, v in r.items()}
        for r in records
    ]
    frame = pl.read_parquet(found["parquet"])
    assert [list(each.values())[:4] for each in frame.to_dicts()] == [
        list(each.values())[:4] for each in records
    ]
    shares = [np.float32(each["probability"] or np.nan) for each in records]
    np.testing.assert_array_equal(frame["probability"].fill_null(np.nan).to_numpy(), shares)
    assert len(rows) == sum(len(table.taxonomy.slots[k]) for k in table.categories)
    assert {row["status"] for row in rows} == {"answered", "unknown", "no image"}
    assert {row["status"] for row in rows if row["id"] == "7"} == {"no image"}
    assert all(row["label"] for row in rows if row["status"] == "unknown")


def test_a_prediction_publishes_only_what_is_sure(path: Path, table: Table) -> None:
    predictor = Predictor.load(path, replace(CONFIG, target_precision=0.9))
    paths, names = zip(
        *((table.path(r), table.taxonomy.categories[table.categories[r]]) for r in range(8)),
        strict=True,
    )
    predictions = predictor.predict(paths, names)
    for each in predictions[:7]:
        sure = {a: x.label for a, x in each.answers.items() if x.status == "answered"}
        assert each.labels == sure
        for attribute, answer in each.answers.items():
            shares = each.probabilities[attribute]
            assert answer.probability == shares[answer.label]
            assert (answer.runner_up is None) == (len(shares) == 1)
    assert sum(len(each.labels) for each in predictions) < sum(len(x.answers) for x in predictions)
    assert {x.status for x in predictions[7].answers.values()} == {"no image"}
    assert predictions[7].labels == {}


def test_another_decision_is_another_request(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out_csv_path", str(tmp_path / "out.csv"))
    assert cli.run([*flags, *out]) == 3
    for more in (("--decision", "argmax"), ("--target_precision", "0.9"), ("--format", "jsonl")):
        with pytest.raises(InputError, match="answers another request"):
            cli.run([*flags, *out, *more])


def test_without_a_decision_it_says_so_and_answers_by_argmax(
    checkpoint_path: Path, table: Table
) -> None:
    plain = Predictor.load(checkpoint_path, CONFIG)
    assert plain.decision_note == NO_DECISION
    asked = Predictor.load(checkpoint_path, replace(CONFIG, decision="argmax"))
    assert asked.decision_note == ""
    assert np.array_equal(plain.predict_classes(table)[0], asked.predict_classes(table)[0])
    with pytest.raises(InputError, match=r"`target_precision` 0\.9: .*vtax calibrate"):
        Predictor.load(checkpoint_path, replace(CONFIG, target_precision=0.9))


def test_the_note_is_printed_once(
    flags: list[str], checkpoint_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [*flags, "--ckpt_path", str(checkpoint_path), "--out_csv_path", str(tmp_path / "o.csv")]
    cli.run(plain)
    assert " ".join(capsys.readouterr().out.split()).count("carries no decision") == 1


def test_a_decision_for_another_taxonomy_is_refused(
    path: Path, checkpoint: Checkpoint, decision: Decision, tmp_path: Path
) -> None:
    mapping = checkpoint.taxonomy.to_dict()
    mapping["Sarees"]["color"] = ["blue", "red"]
    other = replace(checkpoint, taxonomy=Taxonomy.from_dict(mapping), decision=decision)
    write_checkpoint(tmp_path / "other.pt", other)
    with pytest.raises(InputError, match=r"other\.pt: a decision fitted for another taxonomy"):
        read_checkpoint(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--unknown", "?"), r"--unknown \?: without --target_precision"),
        (("--unknown", "red", "--target_precision", "0.9"), "is a class of Sarees/color"),
        (("--format", "jsonl", "--probabilities"), "--format jsonl has probabilities"),
        (("--target_precision", "1"), "`target_precision` must lie between 0 and 1"),
    ],
)
def test_flags_without_effect_are_refused(
    more: tuple[str, ...], message: str, flags: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        cli.run([*flags, "--out_csv_path", str(tmp_path / "out.csv"), *more])


@pytest.mark.parametrize("form", [LongCsv(), Parquet(), JsonLines()])
def test_a_killed_run_of_a_long_form_resumes(
    form: OutputForm, path: Path, table: Table, tmp_path: Path
) -> None:
    predictor = Predictor.load(path, CONFIG)
    out, whole = tmp_path / "out", tmp_path / "whole"

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(predictor, table, out, form, stop, "request")
    assert not out.exists()
    assert write_predictions(predictor, table, out, form, request="request").resumed == 4
    write_predictions(predictor, table, whole, form)
    assert out.read_bytes() == whole.read_bytes()
    assert not [each.name for each in tmp_path.iterdir() if ".part" in each.name]
