"""`vtax audit`: from the held-out predictions of a run to lists, and from reviewed lists back."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy import cli
from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.config_values import to_toml
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

ROWS = 240
WRONG, HOLE, TWINS = 7, 11, (20, 21)
"""A row labelled red that is blue; one without a label; two near-duplicates, red and blue."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose model is sure and right about the color, and knows nothing of the border."""
    taxonomy = Taxonomy.from_dict(
        {"Sarees": {"color": ["red", "blue $\\no$"], "border": ["zari", "none", "woven"]}}
    )
    random = np.random.default_rng(0)
    colors, borders = random.integers(0, 2, ROWS), random.integers(0, 3, ROWS)
    colors[list(TWINS)] = 0
    colors[WRONG] = 1
    probabilities = np.zeros((ROWS, 2, 3), dtype=np.float32)
    probabilities[np.arange(ROWS), 0, colors] = 0.99
    probabilities[np.arange(ROWS), 0, 1 - colors] = 0.01
    probabilities[:, 1] = 1 / 3
    targets = np.stack([colors, borders], axis=1)
    targets[WRONG, 0], targets[HOLE, 0], targets[TWINS[1], 0] = 0, -1, 1
    groups = np.arange(ROWS)
    groups[TWINS[1]] = TWINS[0]
    counts = {"Sarees/color": [100, 100], "Sarees/border": [70, 70, 70]}
    ids = np.array([str(row) for row in range(ROWS)])
    zeros = np.zeros(ROWS, dtype=np.int64)
    held_out = HeldOut(taxonomy, counts, ids, zeros, groups, probabilities, targets)
    folder = tmp_path / "run"
    held_out.write(folder / "held_out.npz")
    lines = ["id,Category,attr_1,attr_2"]
    for row, (color, border) in enumerate(targets.tolist()):
        names = [
            task.label(k) or "" for task, k in zip(taxonomy.tasks, (color, border), strict=True)
        ]
        lines.append(f"{row},Sarees,{names[0]},{names[1]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "images").mkdir()
    for row in (WRONG, HOLE, *TWINS):
        Image.new("RGB", (6, 8)).save(tmp_path / "images" / f"{row:06d}.png")
    data = DataConfig(img_dir=tmp_path / "images", csv_path=tmp_path / "labels.csv")
    write_text(folder / "config.toml", to_toml(TrainConfig(data)))
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def audit(*arguments: object) -> int:
    return cli.run(["audit", *map(str, arguments)])


def test_a_run_is_audited_into_three_lists(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--run", run) == 0
    wrong, contradictions, fillable = (
        rows_of(run / "audit" / f"{name}.csv")
        for name in ("likely_wrong", "contradictions", "fillable")
    )
    assert {row["id"] for row in wrong} == {"7", "21"}
    first = next(row for row in wrong if row["id"] == str(WRONG))
    assert (first["category"], first["attribute"], first["label"], first["suggested"]) == (
        *("Sarees", "color", "red", "blue $\\no$"),
    )
    assert float(first["probability"]) > 0.9 > 0.1 > float(first["probability_of_label"])
    assert [(row["id"], row["label"]) for row in contradictions if row["attribute"] == "color"] == [
        ("21", "blue $\\no$"),
        ("20", "red"),
    ]
    (hole,) = (row for row in fillable if row["attribute"] == "color")
    assert (hole["id"], hole["label"], hole["reviewed"]) == (str(HOLE), "", "")
    assert {row["reviewed"] for row in wrong} == {""}
    for name in ("likely_wrong", "contradictions", "fillable"):
        with Image.open(run / "audit" / f"{name}.png") as image:
            assert image.format == "PNG"
    printed = capsys.readouterr().out
    assert "audited: 240 of 240 labelled rows (100%)" in printed
    assert "cross-validate" not in printed
    assert "Labels worth a second look" in printed
    assert f"lists to review: {run / 'audit'}" in printed


def test_reviewed_lists_become_a_corrected_copy(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit("--run", run) == 0
    lists = [run / "audit" / f"{name}.csv" for name in ("likely_wrong", "fillable")]
    for path in lists:
        rows = rows_of(path)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            takes = {str(WRONG): "+", str(HOLE): "+"}
            color = "color"
            writer.writerows(
                {**row, "reviewed": takes.get(row["id"], "") if row["attribute"] == color else ""}
                for row in rows
            )
    out = tmp_path / "corrected.csv"
    assert audit("--run", run, "--apply", *lists, "--out_csv_path", out) == 0
    assert "2 labels changed" in capsys.readouterr().out
    before, after = ((tmp_path / n).read_text().splitlines() for n in ("labels.csv", out.name))
    changed = {
        row for row, pair in enumerate(zip(before, after, strict=True), -1) if len({*pair}) > 1
    }
    assert changed == {WRONG, HOLE}
    assert after[WRONG + 1] == before[WRONG + 1].replace("red", "blue $\\no$")
    # The copy audits clean: what was corrected is suspicious no more.
    assert audit("--run", run, "--csv_path", out, "--out", tmp_path / "again") == 0
    assert str(WRONG) not in {
        row["id"]
        for row in rows_of(tmp_path / "again" / "likely_wrong.csv")
        if row["attribute"] == "color"
    }
    assert "2 labels have changed since" in capsys.readouterr().out


def test_the_report_of_the_run_shows_the_lists(run: Path, tmp_path: Path) -> None:
    assert cli.run(["audit", "--run", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "2 labels are probably wrong; 4 labels of near-duplicates contradict" in page
    assert cli.run(["audit", "--run", str(run), "--out", str(tmp_path / "lists")]) == 0
    assert not (tmp_path / "lists/report.html").exists()


def test_a_copy_can_be_made_without_the_run(run: Path, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    review.write_text("id,attribute,reviewed\n3,attr_2,-\n")
    out = tmp_path / "corrected.csv"
    files = ["--csv_path", tmp_path / "labels.csv", "--apply", review, "--out_csv_path", out]
    assert audit(*files) == 0
    assert out.read_text().splitlines()[4].endswith(",")
    with pytest.raises(InputError, match=r"corrected\.csv: already exists; .* --overwrite"):
        audit(*files)
    assert audit(*files, "--overwrite") == 0
    config = tmp_path / "attrs.json"
    config.write_text('{"Sarees": {"color": ["red"], "border": ["zari"]}}')
    with pytest.raises(InputError, match="column 'attribute': 'attr_2' is none of: color, border"):
        audit(*files, "--overwrite", "--attributes_config", config)
    with pytest.raises(InputError, match="this command reads it"):
        audit(*files[:-1], tmp_path / "labels.csv", "--overwrite")


def test_rows_that_were_trained_on_are_counted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = HeldOut.read(run / "held_out.npz")
    held_out.take(np.arange(ROWS) < 60).write(run / "held_out.npz")
    labels = tmp_path / "labels.csv"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join([*lines[:50], *lines[61:]]) + "\n")
    assert audit("--run", run) == 0
    printed = capsys.readouterr().out
    assert "audited: 49 of 229 labelled rows (21%)" in printed
    assert "`vtax cross-validate` holds out every row once" in printed
    assert "11 held-out rows are not in the catalogue any more; left out" in printed


def test_validation_rows_of_another_file_are_found(run: Path, tmp_path: Path) -> None:
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    (tmp_path / "labels.csv").write_text("\n".join(lines[:100]) + "\n")
    (tmp_path / "val.csv").write_text("\n".join([lines[0], *lines[100:]]) + "\n")
    for row in range(ROWS):
        Image.new("RGB", (6, 8)).save(tmp_path / "images" / f"{row:06d}.png")
    data = DataConfig(
        tmp_path / "images", tmp_path / "labels.csv", val_csv_path=tmp_path / "val.csv"
    )
    write_text(run / "config.toml", to_toml(TrainConfig(data)))
    assert audit("--run", run, "--limit", "1") == 0
    assert len(rows_of(run / "audit" / "likely_wrong.csv")) == 1


def test_an_unreachable_precision_fills_nothing_and_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "audit").mkdir()
    assert audit("--run", run, "--target_precision", "0.9999", "--out", run / "o") == 0
    assert "no unknown label can be filled in at precision 0.9999" in capsys.readouterr().out
    assert rows_of(run / "o" / "fillable.csv") == []
    assert not (run / "o" / "fillable.png").exists()


def test_existing_lists_are_replaced_only_when_told_to(run: Path) -> None:
    assert audit("--run", run) == 0
    with pytest.raises(InputError, match=r"likely_wrong\.csv: already exists; .* --overwrite"):
        audit("--run", run)
    (run / "audit" / "fillable.png").write_bytes(b"old")
    assert audit("--run", run, "--overwrite", "--target_precision", "0.9999") == 0
    assert not (run / "audit" / "fillable.png").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target_precision", "1"], "--target_precision must lie between 0 and 1, not 1.0"),
        (["--target_precision", "0"], "--target_precision must lie between 0 and 1, not 0.0"),
        (["--limit", "0"], "--limit must be 1 or more, not 0"),
        (["--out_csv_path", "a"], "--out_csv_path needs --apply"),
        (["--apply", "a"], "--apply needs reviewed lists and --out_csv_path"),
        ([], "name the labelled CSV: --run RUN_FOLDER, or --csv_path"),
        (["--csv_path", "a"], "name what is to be audited: --run RUN_FOLDER, or --held_out"),
        (["--csv_path", "a", "--held_out", "b"], "name the folder for the lists: --out"),
        (["--run", "nowhere"], "--run nowhere: holds no config.toml, so it is no run folder"),
        (["--csv_path", "a", "--held_out", "b", "--out", "c"], "b: no held-out predictions"),
    ],
)
def test_what_is_missing_or_out_of_range_is_named(
    flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        audit(*flags)


def test_held_out_rows_of_another_catalogue_are_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("id,Category,attr_1,attr_2\nx,Sarees,red,zari\n")
    with pytest.raises(InputError, match="none of its 240 rows is in the catalogue"):
        audit("--run", run, "--csv_path", other)
    other.write_text("id,Category,attr_1,attr_2\n1,Saris,red,zari\n")
    with pytest.raises(InputError, match="'Saris' is none of: Sarees"):
        audit("--run", run, "--csv_path", other)
    files = ["--held_out", run / "held_out.npz", "--csv_path", tmp_path / "labels.csv"]
    with pytest.raises(
        InputError, match="its images are files, named by the ids; name their folder"
    ):
        audit(*files, "--out", tmp_path / "lists")


def test_a_head_without_answers_or_labels_does_not_stop_the_audit(run: Path) -> None:
    held_out = HeldOut.read(run / "held_out.npz")
    probabilities = held_out.probabilities.copy()
    probabilities[:, 1] = np.nan
    replace(held_out, probabilities=probabilities).write(run / "held_out.npz")
    assert audit("--run", run) == 0
    assert {row["attribute"] for row in rows_of(run / "audit" / "likely_wrong.csv")} == {"color"}


def test_nothing_of_it_waits_for_torch() -> None:
    code = (
        "import sys\n"
        "import visual_taxonomy.audit.corrections, visual_taxonomy.audit.lists\n"
        "import visual_taxonomy.reporting.findings, visual_taxonomy.training.row_files\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
