"""`vtax cross-validate`: what it prints, and what becomes of a signal."""

from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import SystemLimitError
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training import cross_validation
from visual_taxonomy.training.trainer import Interrupted


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    synthesize(tmp_path / "catalogue", 30, seed=2, image_size=32, workers=1)
    catalogue = tmp_path / "catalogue"
    given = {
        "img_dir": catalogue / "images",
        "attributes_config": catalogue / "attrs_config.json",
        "csv_path": catalogue / "train.csv",
        "backbone": "test_vit",
        "pretrained_ckpt": "none",
        "folds": 2,
        "epochs": 1,
        "unlock_block": 0,
        "train_workers": 0,
        "val_workers": 0,
        "save_dir": tmp_path / "out",
        "run_name": "cv",
        "accelerator": "cpu",
    }
    flags = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return ["cross-validate", *flags, "--image_size", "32", "32"]


def test_it_prints_the_scores_of_all_rows(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    rows = len(HeldOut.read(tmp_path / "out" / "cv" / HELD_OUT_NAME))
    assert "overall" in shown
    assert f"the scores of {rows} rows, each by the last epoch of the model that did not" in shown
    assert cli.run(arguments) == 0


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Interrupted(), "stopped; run the same command again to resume"),
        (RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed."), "then run the"),
    ],
)
def test_whatever_ends_it_the_same_command_resumes(
    raised: Exception,
    expected: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end(*_: object) -> None:
        raise raised

    monkeypatch.setattr(cross_validation, "cross_validate", end)
    if isinstance(raised, RuntimeError):
        with pytest.raises(SystemLimitError, match=expected):
            cli.run(arguments)
        return
    assert cli.run(arguments) == EXIT_INTERRUPTED
    assert expected in " ".join(capsys.readouterr().err.split())
