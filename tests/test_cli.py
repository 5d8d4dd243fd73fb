"""The command line: help, exit statuses, messages for people."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.errors import InputError

GOLDEN = Path(__file__).parent / "help"
IMPORTS = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
"""Also where another checkout is installed, the code beside these tests is what they start."""


def vtax(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "visual_taxonomy", *map(str, arguments)]
    environment = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1", "PATH": "", **IMPORTS}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", cli.COMMANDS)
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
    remember = cli.Command(cli.TrainConfig, lambda config: seen.append(config) or 0)
    monkeypatch.setitem(cli.COMMANDS, "train", remember)
    assert cli.run(["train", "--config", str(path), "--batch_size", "8", "--no-batch-norm"]) == 0
    assert (seen[0].data.img_dir, seen[0].optimizer.epochs) == (Path("a"), 7)
    assert (seen[0].optimizer.batch_size, seen[0].model.batch_norm) == (8, False)
    with pytest.raises(InputError, match="--config needs a TOML file"):
        cli.run(["train", "--config"])
