"""`vtax train`: what a failed, repeated or resumed command leaves behind, and what it says."""

import csv
import json
import multiprocessing
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.errors import InputError, SystemLimitError
from visual_taxonomy.evaluation import Report
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.trainer import Trainer


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "catalogue"
    synthesize(folder, 50, seed=2, image_size=32, workers=1)
    return folder


@pytest.fixture
def catalogue(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "catalogue"))


def arguments(catalogue: Path, *more: object) -> list[str]:
    paths = {
        "--img_dir": catalogue / "images",
        "--csv_path": catalogue / "train.csv",
        "--attributes_config": catalogue / "attrs_config.json",
        "--save_dir": catalogue.parent / "out",
    }
    small = ("--backbone", "test_vit", "--pretrained_ckpt", "none", "--image_size", "32", "32")
    fast = ("--batch_size", "16", "--epochs", "1", "--precision", "32", "--accelerator", "cpu")
    alone = ("--train_workers", "0", "--val_workers", "0", "--batch_sampling", "joint")
    flags = [str(part) for pair in paths.items() for part in pair]
    return ["train", "--run_name", "r1", *flags, *small, *fast, *alone, *map(str, more)]


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Path -> size and time of change."""
    states = {str(path): path.stat() for path in folder.rglob("*")}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}


def relabel(path: Path, row: int) -> None:
    """Swap the labels of the first attribute of a row with another row of its category."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    column = rows[0].index("attr_1")
    category = rows[0].index("Category")
    mine = rows[row]
    other = next(
        each
        for each in rows[1:]
        if each[category] == mine[category] and each[column] != mine[column]
    )
    mine[column] = other[column]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_failed_first_start_does_not_block_the_corrected_command(catalogue: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'LDAM'"):
        cli.run(arguments(catalogue, "--loss_type", "LDMA"))
    assert not (catalogue.parent / "out").exists()
    assert cli.run(arguments(catalogue)) == 0


def test_overwriting_with_a_misspelt_flag_keeps_the_old_run(catalogue: Path) -> None:
    assert cli.run(arguments(catalogue)) == 0
    folder = catalogue.parent / "out" / "r1"
    before = contents(folder)
    with pytest.raises(InputError, match="Did you mean 'LDAM'"):
        cli.run(arguments(catalogue, "--loss_type", "LDMA", "--overwrite"))
    assert contents(folder).keys() == before.keys()
    inside = {name for name in before if name != str(folder)}
    assert {name: contents(folder)[name] for name in inside} == {n: before[n] for n in inside}


def test_a_moved_run_resumes_where_its_config_is(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert cli.run(arguments(catalogue)) == 0
    moved = (tmp_path / "out" / "r1").rename(tmp_path / "kept")
    (tmp_path / "out").rmdir()
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    capsys.readouterr()
    assert cli.run(["train", "--config", str(moved / "config.toml"), "--resume"]) == 0
    said = capsys.readouterr().out
    assert "epoch 1:" not in said  # nothing was left to train
    assert f"use {moved / 'best_score.pt'}" in said.replace("\n", "")
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "away").iterdir()) == []


def test_resuming_on_other_labels_or_images_is_refused_unless_accepted(catalogue: Path) -> None:
    assert cli.run(arguments(catalogue)) == 0
    folder = catalogue.parent / "out" / "r1"
    inside = {path.name: path.read_bytes() for path in folder.iterdir()}
    relabel(catalogue / "train.csv", 5)
    first = min((catalogue / "images").iterdir())
    first.write_bytes(first.read_bytes() + b"0")
    resume = ["train", "--config", str(folder / "config.toml"), "--resume"]
    changed = r"1 row has other labels \(id \d+\), 1 image has another size in bytes"
    with pytest.raises(InputError, match=f"`resume`: the data have changed .*{changed}"):
        cli.run(resume)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == inside
    with pytest.warns(UserWarning, match=f"the data have changed .*{changed}"):
        assert cli.run([*resume, "--accept_changed_data"]) == 0
    assert cli.run(resume) == 0  # what was accepted is what later runs are compared with


def test_rows_that_are_new_are_trained_on_when_accepted(catalogue: Path) -> None:
    table = catalogue / "train.csv"
    whole = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(whole[:-1]), encoding="utf-8")
    assert cli.run(arguments(catalogue)) == 0
    table.write_text("".join(whole), encoding="utf-8")
    folder = catalogue.parent / "out" / "r1"
    resume = ["train", "--config", str(folder / "config.toml"), "--resume"]
    with pytest.raises(InputError, match="1 row is new"):
        cli.run(resume)
    with pytest.warns(UserWarning, match="1 row is new"):
        cli.run([*resume, "--accept_changed_data"])
    product = whole[-1].split(",")[0]
    assert f"{product},train," in (folder / "split.csv").read_text(encoding="utf-8")


def test_the_third_part_is_scored_at_the_end_by_the_recommended_checkpoint(
    catalogue: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.run(arguments(catalogue, "--test_ratio", "0.2")) == 0
    folder = catalogue.parent / "out" / "r1"
    report = Report.from_dict(json.loads((folder / "test_detailed_metrics.json").read_text()))
    splits = re.findall(",(\\w+)", (folder / "split.csv").read_text().partition("\n")[2])
    assert splits.count("test") > 0
    assert report.support > 0
    said = capsys.readouterr().out
    assert f"its scores on {splits.count('test')} test rows, which no choice depended on" in said


def test_a_file_for_each_part_trains(catalogue: Path) -> None:
    lines = (catalogue / "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("val", lines[-8:-4]), ("test", lines[-4:]), ("train", lines[1:-8])):
        (catalogue / f"{name}.csv").write_text("".join([lines[0], *part]), encoding="utf-8")
    files = ("--val_csv_path", catalogue / "val.csv", "--test_csv_path", catalogue / "test.csv")
    assert cli.run(arguments(catalogue, *files)) == 0
    folder = catalogue.parent / "out" / "r1"
    assert (folder / "split.csv").read_text().count(",validation,") == 4
    assert (folder / "test_detailed_metrics.json").exists()
    resume = ["train", "--config", str(folder / "config.toml"), "--resume"]
    assert cli.run(resume) == 0


@pytest.mark.parametrize("saves", [False, True])
def test_a_loading_process_that_is_killed_is_one_message(
    saves: bool, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_step

    def step_and_kill(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        if trainer.source.step_of_run == 1:
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(Trainer, "train_step", step_and_kill)
    flags = ("--train_workers", 1, "--save_every", 1 if saves else 200, "--batch_size", 2)
    remedy = r"resume: vtax train --config .*r1/config\.toml --resume" if saves else "start again"
    message = rf"ran out of memory and killed it; lower --train_workers \(now 1\) .* then {remedy}"
    with pytest.raises(SystemLimitError, match=message):
        cli.run(arguments(catalogue, *flags))
    left = sorted(path.name for path in (catalogue.parent / "out").rglob("*"))
    assert ((catalogue.parent / "out").exists(), bool(left)) == (saves, saves), left
    monkeypatch.setattr(Trainer, "train_step", step)
    assert cli.run(arguments(catalogue, *flags, *(["--resume"] if saves else []))) == 0


def test_what_the_system_ended_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def end(_: list[str]) -> int:
        raise SystemLimitError("a loading process was killed; lower --train_workers")

    monkeypatch.setattr(cli, "run", end)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "error: a loading process was killed; lower" in capsys.readouterr().err


def test_a_run_on_all_rows_says_where_its_model_is_and_that_it_has_no_scores(
    catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments(catalogue, "--final", "--test_ratio", "0.2")) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "without validation rows there are no scores and no plots" in text
    assert "for a decision give --decision_from RUN/held_out.npz" in text
    assert "its scores on" in text  # of the test rows
    assert "final.pt" in text.partition("use ")[2]
    folder = catalogue.parent / "out/r1"
    assert (folder / "test_detailed_metrics.json").exists()
    assert not list(folder.glob("*.png"))
    assert cli.run([*arguments(catalogue, "--final", "--test_ratio", "0.2"), "--resume"]) == 0
    with pytest.raises(InputError, match="already holds a run"):
        cli.run(arguments(catalogue, "--final"))
