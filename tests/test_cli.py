"""The command line: help, exit statuses, messages for people."""

import subprocess
import sys
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.errors import InputError

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "create-config",
    "download-weights",
    "synthesize",
    "list",
)
GOLDEN = Path(__file__).parent / "help"


def vtax(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "visual_taxonomy", *map(str, arguments)]
    environment = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1", "PATH": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_public_flags_are_the_frozen_ones(command: str) -> None:
    """Rewrite the file on purpose only: `vtax COMMAND --help > tests/help/COMMAND.txt`."""
    result = vtax(command, "--help")
    assert result.returncode == 0
    assert result.stdout == (GOLDEN / f"{command}.txt").read_text(encoding="utf-8")


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, visual_taxonomy.cli; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_flags_work_with_underscores_and_hyphens(tmp_path: Path) -> None:
    for flag in ("--csv_path", "--csv-path"):
        with pytest.raises(InputError, match=r"none\.csv"):
            cli.run(["create-config", flag, str(tmp_path / "none.csv")])


def test_wrong_input_prints_one_message_and_exits_with_2(tmp_path: Path) -> None:
    result = vtax("create-config", "--csv_path", tmp_path / "none.csv")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "none.csv" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_flag_exits_with_2() -> None:
    result = vtax("predict", "--img_dri", "x")
    assert result.returncode == 2
    assert "--img_dri" in result.stderr


def test_a_toml_file_gives_defaults_that_flags_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[data]\nimg_dir = "a"\ncsv_path = "b"\n[optimizer]\nepochs = 7\n')
    seen = []
    monkeypatch.setitem(cli._FUNCTIONS, cli.TrainConfig, lambda config: seen.append(config) or 0)
    assert cli.run(["train", "--config", str(path), "--batch_size", "8", "--no-batch-norm"]) == 0
    assert (seen[0].data.img_dir, seen[0].optimizer.epochs) == (Path("a"), 7)
    assert (seen[0].optimizer.batch_size, seen[0].model.batch_norm) == (8, False)
    with pytest.raises(InputError, match="--config needs a TOML file"):
        cli.run(["train", "--config"])


@pytest.mark.parametrize("what", ["losses", "schedules", "methods"])
def test_list_shows_every_entry_of_a_table(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", what]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == list(cli._tables()[what])


def test_list_verbose_shows_parameters_and_paper(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["list", "losses", "--verbose"])
    shown = capsys.readouterr().out
    assert "max_margin" in shown
    assert "arxiv.org/abs/1906.07413" in shown


def test_list_backbones_shows_ours_and_those_of_timm(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["list", "backbones"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["ViT-B-32", "ViT-L-14"]
    assert "mobilenetv2_100" in shown


def test_outputs_of_a_folder_are_one_csv_a_checkpoint(tmp_path: Path) -> None:
    for name in ("best_both.pt", "best_loss.pt", "last.pt", "notes.txt"):
        (tmp_path / name).touch()
    both, loss = cli._outputs(tmp_path, None)
    assert both == (tmp_path / "best_both.pt", tmp_path / "best_both.csv")
    assert loss[1] == tmp_path / "best_loss.csv"
    assert cli._outputs(tmp_path, tmp_path / "csv")[0][1] == tmp_path / "csv" / "best_both.csv"
    assert cli._outputs(both[0], None) == [both]
    with pytest.raises(InputError, match="need a folder, not a file"):
        cli._outputs(tmp_path, tmp_path / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no checkpoint"):
        cli._outputs(tmp_path / "empty", None)
