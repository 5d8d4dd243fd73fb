"""`vtax list`."""

import inspect
import subprocess
import sys

import pytest

from visual_taxonomy import cli
from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
from visual_taxonomy.commands.list_entries import tables
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS

REAL = {"losses": LOSSES, "schedules": CLASS_WEIGHTINGS, "methods": TASK_WEIGHTINGS}


@pytest.mark.parametrize("what", REAL)
def test_what_is_read_from_the_source_is_what_is_imported(what: str) -> None:
    documented = {
        name: inspect.cleandoc(entry.__doc__).strip() for name, entry in REAL[what].items()
    }
    assert tables()[what] == documented


def test_list_of_a_table_does_not_import_torch() -> None:
    code = (
        "import sys; from visual_taxonomy import cli; "
        "[cli.run(['list', what]) for what in ('losses', 'schedules', 'methods')]; "
        "assert not {'torch', 'timm', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("what", ["losses", "schedules", "methods"])
def test_list_shows_every_entry_of_a_table(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", what]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == list(tables()[what])


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
