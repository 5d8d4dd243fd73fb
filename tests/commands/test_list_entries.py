"""`vtax list`."""

from typing import Any

import pytest

from visual_taxonomy import cli
from visual_taxonomy.commands.list_entries import registry
from visual_taxonomy.losses.cross_entropy import CrossEntropy
from visual_taxonomy.registry import Listed, Registry


@pytest.mark.parametrize("what", ["losses", "schedules", "methods", "engines"])
def test_list_shows_every_entry_of_a_table(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", what]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == list(registry(what).table)


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


def test_what_comes_from_a_package_is_listed_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(self: Registry[Any]) -> list[Listed[Any]]:
        broken = Listed("Broken", "shop 1.2", None, "'Broken' is no loss: it must be a class")
        return [Listed("Shop", "shop 1.2", CrossEntropy), broken]

    monkeypatch.setattr(Registry, "listed", listed)
    cli.run(["list", "losses"])
    shop, broken = capsys.readouterr().out.splitlines()
    assert shop.startswith("Shop")
    assert shop.endswith("(shop 1.2)")
    assert "'Broken' is no loss: it must be a class (shop 1.2)" in broken
    cli.run(["list", "losses", "--verbose"])
    assert "Shop (shop 1.2)" in capsys.readouterr().out
