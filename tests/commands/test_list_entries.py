"""`vtax list`."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

from visual_taxonomy import cli
from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
from visual_taxonomy.commands.list_entries import REGISTRIES, tables
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.losses.cross_entropy import CrossEntropy
from visual_taxonomy.registry import Listed, Registry, import_named
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


def test_list_shows_engines_with_what_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", "engines"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(ENGINES)
    assert shown[-1].endswith("runs weights.safetensors; pip install visual-taxonomy")


@pytest.mark.parametrize("what", REGISTRIES)
def test_the_group_of_a_registry_is_the_one_it_reads(what: str) -> None:
    group, address = REGISTRIES[what]
    assert import_named(address, "registry").group == group


def test_what_comes_from_a_package_is_listed_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(self: Registry[Any]) -> list[Listed[Any]]:
        broken = Listed("Broken", "shop 1.2", None, "'Broken' is not a loss: it must be a class")
        return [Listed("CE", "", CrossEntropy), Listed("Shop", "shop 1.2", CrossEntropy), broken]

    monkeypatch.setattr(Registry, "listed", listed)
    monkeypatch.setattr("visual_taxonomy.registry.is_extended", lambda group: True)
    cli.run(["list", "losses"])
    *_, last, shop, broken = capsys.readouterr().out.splitlines()
    assert last.startswith("Poly1")
    assert shop.startswith("Shop")
    assert shop.endswith("(shop 1.2)")
    assert "'Broken' is not a loss: it must be a class (shop 1.2)" in broken
    cli.run(["list", "losses", "--verbose"])
    assert "Shop (shop 1.2)" in capsys.readouterr().out
