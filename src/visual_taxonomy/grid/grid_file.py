"""GRID.toml: a base, lists to be crossed, single changes, and ranges to search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import in_sections, toml_values
from visual_taxonomy.errors import InputError

BASE = "base"
"""Name of the variant that changes nothing."""

_TABLES = ("base", "grid", "variants", "baseline", "search")
_FIXED = {
    **dict.fromkeys(("save_dir", "run_name", "overwrite", "resume"), "the ledger names the runs"),
    "accept_changed_data": "changed data are other runs",
    "final": "a run without held-out rows has no score to compare",
    "decision_from": "each run fits its decision on its own held-out rows",
    "patience": "all runs take all `epochs`, so that the rows they are scored on end none",
}
"""Settings that a grid cannot have, and why."""

_BY_LIST = {"random_state": "seeds", "fold": "folds"}


@dataclass(frozen=True)
class Range:
    """Values that a search draws from.

    Args:
        low: Smallest.
        high: Largest.
        log: Whether factors count, not differences; for learning rates and the like.
    """

    low: float
    high: float
    log: bool = False


class Variant(NamedTuple):
    """A configuration; its runs differ in seed and fold only."""

    name: str
    settings: Mapping[str, Any]
    """Flag -> value, where it differs from the base."""


@dataclass(frozen=True)
class Grid:
    """What a grid file asks for.

    Args:
        path: The file.
        base: Flag or section -> value, of all runs.
        variants: What is compared, in order.
        baseline: Name of the variant that the others are compared with.
        seeds: Values of `random_state`.
        folds: Number of folds, each a run of its own; None for one split.
        search: Flag -> range.
    """

    path: Path
    base: Mapping[str, Any]
    variants: Sequence[Variant]
    baseline: str
    seeds: Sequence[int]
    folds: int | None
    search: Mapping[str, Range]


def read_grid(path: Path, overrides: Mapping[str, Any]) -> Grid:
    """Read a grid file.

    Args:
        path: The file.
        overrides: Flag -> value, in place of what the base says.

    Raises:
        InputError: It is not TOML, a name in it is unknown, or the baseline does not exist.
    """
    given = toml_values(path)
    for name in given:
        if name not in _TABLES:
            raise InputError(f"{path}: {unknown_name(name, _TABLES)}")
    base = {**_flat(_table(given, "base", path), path), **overrides}
    _check_names(base, f"{path}, [base]")
    lists = dict(_table(given, "grid", path))
    seeds = _seeds(lists.pop("seeds", [base.get("random_state", 42)]), path)
    folds = _folds(lists.pop("folds", None), path)
    changes = given.get("variants", [])
    variants = [*_cells(lists, path), *_changes(changes, path)]
    baseline = given.get("baseline", variants[0].name if lists and not changes else BASE)
    if not lists or baseline == BASE:
        variants.insert(0, Variant(BASE, {}))
    _check_variants(variants, baseline, path)
    search = _ranges(_table(given, "search", path), path)
    return Grid(path, base, variants, baseline, seeds, folds, search)


def _table(given: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{path}: '{name}' must be a table, [{name}]")
    return found


def _flat(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Flag -> value; sections as in a run's config.toml are taken apart."""
    sections = in_sections(TrainConfig, values, f"{path}, [base]")
    hints = get_type_hints(TrainConfig)
    flags: dict[str, Any] = {}
    for name, value in sections.items():
        is_section = is_dataclass(hints.get(name)) and isinstance(value, dict)
        flags |= value if is_section else {name: value}
    return flags


def _check_names(settings: Mapping[str, Any], source: str, listed: bool = False) -> None:
    hints = get_type_hints(TrainConfig)
    known = [e.name for hint in hints.values() for e in fields(hint)]
    for name in settings:
        if listed and name in _BY_LIST:
            raise InputError(f"{source}: '{name}' is given by `{_BY_LIST[name]}` of [grid]")
        if name in _FIXED:
            raise InputError(f"{source}: '{name}' cannot be set here: {_FIXED[name]}")
        if name not in known:
            raise InputError(f"{source}: {unknown_name(name, known)}")


def _seeds(given: object, path: Path) -> list[int]:
    """A list of seeds; a number stands for 0, 1, ..."""
    seeds = list(range(given)) if type(given) is int else given
    if (
        not isinstance(seeds, list)
        or not seeds
        or any(type(seed) is not int or seed < 0 for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise InputError(
            f"{path}, [grid]: seeds = {given!r} cannot be used; give their number, or a list of "
            "different whole numbers: seeds = [0, 1, 2]"
        )
    return seeds


def _folds(given: object, path: Path) -> int | None:
    if given is None:
        return None
    if type(given) is not int or given < 2:
        raise InputError(
            f"{path}, [grid]: folds = {given!r} cannot be used; give their number, 2 or more: each "
            "fold is a run"
        )
    return given


def _cells(lists: Mapping[str, Any], path: Path) -> list[Variant]:
    """A variant for each combination of the lists."""
    _check_names(lists, f"{path}, [grid]", listed=True)
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{path}, [grid]: '{name}' must be a list of values: {name} = [...]")
    cells = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    return [Variant("/".join(map(_shown, cell.items())), cell) for cell in cells if cell]


def _shown(setting: tuple[str, Any]) -> str:
    name, value = setting
    # A word says itself what it is; a number does not.
    return value if isinstance(value, str) else f"{name}={value}"


def _changes(given: object, path: Path) -> list[Variant]:
    if not isinstance(given, list) or any(not isinstance(each, dict) for each in given):
        raise InputError(f"{path}: 'variants' must be tables, each headed [[variants]]")
    variants = []
    for number, each in enumerate(given, 1):
        settings = dict(each)
        name = settings.pop("name", None)
        if not isinstance(name, str) or not name:
            raise InputError(f"{path}: number {number} of [[variants]] has no name: name = '...'")
        _check_names(settings, f"{path}, variant '{name}'", listed=True)
        if not settings:
            raise InputError(f"{path}, variant '{name}': it changes nothing; '{BASE}' is there")
        variants.append(Variant(name, settings))
    return variants


def _check_variants(variants: Sequence[Variant], baseline: object, path: Path) -> None:
    names = [variant.name for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: two variants are called '{twice[0]}'; rename one of them")
    if baseline not in names:
        raise InputError(f"{path}: baseline: {unknown_name(str(baseline), names)}")


def _ranges(given: Mapping[str, Any], path: Path) -> dict[str, Range]:
    _check_names(given, f"{path}, [search]", listed=True)
    found = {}
    for name, value in given.items():
        try:
            ends = Range(**value)
            is_usable = ends.low < ends.high and (not ends.log or ends.low > 0)
        except TypeError:
            is_usable = False
        if not is_usable:
            raise InputError(
                f"{path}, [search]: {name} = {value!r} cannot be used; give the two ends, and log "
                f"for factors: {name} = {{ low = 1e-4, high = 1e-2, log = true }}"
            )
        found[name] = ends
    return found
