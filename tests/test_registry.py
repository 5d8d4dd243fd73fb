"""Entries from outside: `module:name`, and the entry points of installed packages."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from visual_taxonomy import registry as module
from visual_taxonomy.class_weighting import build_class_weighting
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSS_REGISTRY, LOSSES, build_loss, find_loss
from visual_taxonomy.registry import Registry, derived_from, import_named
from visual_taxonomy.task_weighting import build_task_weighting

SOURCE = """
from visual_taxonomy.class_weighting.inverse_frequency import InverseFrequency
from visual_taxonomy.losses.cross_entropy import CrossEntropy
from visual_taxonomy.task_weighting.methods.equal import EqualWeighting

class Mine(CrossEntropy):
    '''A loss of my own.

    More about it.
    '''

class Rule(InverseFrequency):
    '''A schedule of my own.'''

class Method(EqualWeighting):
    '''A method of my own.'''

other = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """A function that writes a module which can be imported; `own_entries` is there."""
    written: list[str] = []

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        written.append(name)

    monkeypatch.syspath_prepend(tmp_path)
    write("own_entries", SOURCE)
    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def package(
    own: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """A function that installs a package with entry points, `name="module:value"`."""
    del own

    def install(group: str, package: str = "shop_losses", **points: str) -> None:
        folder = tmp_path / f"{package}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        module._installed.cache_clear()

    yield install
    module._installed.cache_clear()


@pytest.mark.usefixtures("own")
def test_a_class_of_ones_own_is_named_by_its_module() -> None:
    import torch

    loss = build_loss("own_entries:Mine", torch.tensor([3, 1]), smoothing=0.1)
    assert (type(loss).__name__, loss.smoothing) == ("Mine", 0.1)
    assert type(build_class_weighting("own_entries:Rule", 5)).__name__ == "Rule"
    assert type(build_task_weighting("own_entries:Method", ["c/a"])).__name__ == "Method"


@pytest.mark.usefixtures("own")
def test_a_parameter_that_ones_own_class_does_not_take_is_refused() -> None:
    import torch

    with pytest.raises(InputError, match="own_entries:Mine: 'smooth' is none of: smoothing"):
        build_loss("own_entries:Mine", torch.tensor([3, 1]), smooth=0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone_module:Mine", r"there is no module gone_module; install it, put it into the folder"),
        ("own_entries.deep:Mine", r"no module own_entries\.deep"),
        ("own_entries:Mien", r"has no such name; 'Mien' is none of: .*Did you mean 'Mine'\?"),
        ("own_entries:other", "is not a loss: it must be a class derived from Loss"),
        ("own_entries:Rule", "is not a loss: it must be a class derived from Loss"),
        ("visual_taxonomy.losses:Loss", "is not a loss: it must be a class derived from Loss"),
        (":Mine", "expected MODULE:NAME, such as my_module:MyClass"),
        ("own_entries:", "expected MODULE:NAME"),
        ("own-entries:Mine", "expected MODULE:NAME"),
        ("needs_more:Mine", "its module needs absent_package, not installed"),
        ("fails:Mine", r"importing fails fails \(ZeroDivisionError: division by zero\)"),
        ("empty:Mine", "empty has no such name; it is empty"),
    ],
)
def test_what_cannot_be_a_loss_is_one_message(
    own: Callable[[str, str], None], name: str, message: str
) -> None:
    own("needs_more", "import absent_package\n")
    own("fails", "1 / 0\n")
    own("empty", "")
    with pytest.raises(InputError, match=message):
        find_loss(name)


@pytest.mark.usefixtures("own")
def test_a_method_must_be_of_one_of_the_kinds(own: Callable[[str, str], None]) -> None:
    own("kindless", "from visual_taxonomy.task_weighting import *\nclass M(TaskWeighting): ...")
    with pytest.raises(InputError, match="derived from LossWeighting or GramianWeighting or Jac"):
        build_task_weighting("kindless:M", ["c/a"])


def test_an_unknown_name_says_how_to_name_ones_own() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'LDAM'\? Name your own loss as MODULE"):
        find_loss("LDMA")


def test_the_entry_of_an_installed_package_is_found_by_its_name(package) -> None:
    package("visual_taxonomy.losses", Shop="own_entries:Mine")
    assert find_loss("shop").__name__ == "Mine"
    with pytest.raises(InputError, match=r"Poly1, Shop\. Did you mean 'Shop'"):
        find_loss("Shpo")


def test_all_entries_are_listed_with_their_origin(package) -> None:
    package("visual_taxonomy.losses", Shop="own_entries:Mine", Broken="own_entries:other")
    listed = LOSS_REGISTRY.listed()
    assert [entry.name for entry in listed] == [*LOSSES, "Broken", "Shop"]
    assert [entry.origin for entry in listed[-3:]] == ["", "shop_losses 1.2", "shop_losses 1.2"]
    assert listed[-2].entry is None
    assert "'Broken' is not a loss" in listed[-2].problem
    assert listed[-1].entry is find_loss("own_entries:Mine")


def test_a_name_that_two_have_is_never_guessed(package) -> None:
    package("visual_taxonomy.losses", CE="own_entries:Mine")
    message = (
        r"'ce' names a loss of vtax and of shop_losses 1\.2; name the one you want by its module: "
        r"visual_taxonomy\.losses\.cross_entropy:CrossEntropy or own_entries:Mine"
    )
    with pytest.raises(InputError, match=message):
        find_loss("ce")
    assert find_loss("visual_taxonomy.losses.cross_entropy:CrossEntropy") is LOSSES["CE"]


def test_two_packages_with_one_name_are_told_apart_by_module(package) -> None:
    package("visual_taxonomy.losses", Shop="own_entries:Mine")
    package("visual_taxonomy.losses", "other_losses", Shop="own_entries:Mine")
    with pytest.raises(InputError, match=r"of other_losses 1\.2 and of shop_losses 1\.2;"):
        find_loss("Shop")


def test_a_broken_package_is_named(package) -> None:
    package("visual_taxonomy.losses", Shop="gone_module:Mine")
    with pytest.raises(InputError, match=r"loss 'gone_module:Mine' of shop_losses 1\.2: there is"):
        find_loss("Shop")


def test_a_table_of_values_without_a_module_is_looked_up_too() -> None:
    registry = Registry("number", "none.numbers", {"one": 1}, lambda value: "")
    assert registry.find("One") == 1
    assert not registry.is_packaged("one")
    assert derived_from(int)(bool) == ""
    assert import_named("os:path.sep", "text") == "/"
