"""The command line: help, exit statuses, messages for people."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from visual_taxonomy import __version__, cli
from visual_taxonomy.commands.failures import explain
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


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_mentions_config(command: str) -> None:
    assert "--config FILE.toml" in (GOLDEN / f"{command}.txt").read_text(encoding="utf-8")


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"vtax {__version__}\n"


def test_a_command_says_its_name_before_it_imports_torch() -> None:
    code = (
        "import sys\n"
        "from visual_taxonomy import cli\n"
        "stop = lambda flags: print('torch' in sys.modules) or 0\n"
        "cli.COMMANDS['benchmark'] = cli.COMMANDS['benchmark']._replace(function=stop)\n"
        "sys.argv = ['vtax', 'benchmark']\n"
        "cli.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert (result.stderr, result.stdout) == (f"vtax {__version__}: benchmark\n", "False\n")
    heavy = {name for name, command in cli.COMMANDS.items() if command.is_heavy}
    torch_free = {"audit", "compare-runs", "create-config", "inspect"}
    torch_free |= {"download-weights", "synthesize", "list"}
    assert heavy == cli.COMMANDS.keys() - torch_free


@pytest.mark.parametrize("rank", ["0", "1"])
def test_only_the_first_of_several_processes_says_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    quick = cli.Command(cli.Benchmark, lambda _: 0, is_heavy=True)
    monkeypatch.setitem(cli.COMMANDS, "benchmark", quick)
    cli.run(["benchmark"])
    assert capsys.readouterr().err == ("vtax 0.1.0: benchmark\n" if rank == "0" else "")


def refused(*flags: str) -> str:
    """What the command line says when a run cannot have these flags."""
    with pytest.raises(InputError) as caught:
        cli.run(["train", "--img_dir", "a", "--csv_path", "b", *flags])
    failure = explain(caught.value)
    assert failure is not None
    return failure.message


def test_a_value_that_a_command_refuses_is_one_line_without_a_frame() -> None:
    assert refused("--epochs", "0") == "--epochs must be above 0, not 0"


def test_a_usage_error_keeps_paths_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = "/a/folder" * 15
    with pytest.raises(InputError, match=path) as caught:
        cli.run(["train", "--img_dir", "a", "--csv_path", "b", "--epochs", path])
    assert not set(str(caught.value)) & set("│╭╮╰╯─")
    assert "--epochs" in str(caught.value)
    assert os.environ["COLUMNS"] == "40"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--random_state", "4294967296"], "--random_state must be at most 4294967295"),
        (["--epochs", "9" * 30], "--epochs must be at most 4294967295"),
        (["--clip_norm", "inf"], "--clip_norm must be a finite number, not inf"),
        (["--loss_parameters", "gamma", "nan"], "--loss_parameters gamma must be a finite"),
        (["--row_budget_mb", "0"], "--row_budget_mb must be above 0"),
        (["--run_name", ".."], r"--run_name must be the name of a folder .* not '\.\.'"),
    ],
)
def test_a_number_or_name_that_no_run_can_have_is_refused(flags: list[str], message: str) -> None:
    assert re.match(message, refused(*flags))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_that_nobody_can_read_is_one_line() -> None:
    command = [sys.executable, "-m", "visual_taxonomy", "list", "losses"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 2
    assert result.stderr == (
        "error: standard output: no space left on the disk; free some or name a folder on another "
        "disk\n"
    )


def test_an_ascii_terminal_shows_other_letters_as_escapes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "visual_taxonomy", "create-config", "--csv_path", "né.csv"]
    result = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert result.returncode == 2
    assert result.stderr == b"error: n\\xe9.csv: no such file; check the path\n"
