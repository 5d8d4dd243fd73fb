"""`vtax list`."""

import pytest

from visual_taxonomy import cli
from visual_taxonomy.commands.list_entries import tables


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
