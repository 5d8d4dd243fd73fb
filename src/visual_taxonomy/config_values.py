"""Configs as plain values and as TOML, and back.

A TOML file has the names of the flags; a run folder keeps the run in the same form.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tomli_w
import tyro

from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.typed_values import typed_fields

C = TypeVar("C")


def to_dict(config: object) -> dict[str, Any]:
    """A config as plain values: sections of strings, numbers, lists; None is left out.

    Example:
        >>> from visual_taxonomy.config import DataConfig
        >>> to_dict(DataConfig(Path("images"), Path("train.csv")))["img_dir"]
        'images'
    """
    plain: dict[str, Any] = {}
    for entry in fields(config):  # type: ignore[arg-type]
        value = getattr(config, entry.name)
        if is_dataclass(value):
            plain[entry.name] = to_dict(value)
        # TOML has no null; a field that may be None has it for its default.
        elif value is not None:
            plain[entry.name] = _plain(value)
    return plain


def from_dict(kind: type[C], values: Mapping[str, Any], source: str = "config") -> C:
    """The inverse of `to_dict`.

    Raises:
        InputError: A key is unknown, a required one is missing, or a value is of another type or
            out of range; `source` names the place.

    Example:
        >>> from visual_taxonomy.config import OptimizerConfig
        >>> from_dict(OptimizerConfig, {"epoch": 3})
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: config: 'epoch' is none of: epochs, ...
    """
    return _constructed(kind, typed_fields(kind, values, source), source)


def read_toml(kind: type[C], path: Path) -> C:
    """Read a config written by `write_toml`, or by hand.

    Raises:
        InputError: The file is missing, is not TOML, or has a key that does not exist.
    """
    return from_dict(kind, toml_values(path), str(path))


def toml_values(path: Path) -> dict[str, Any]:
    """The plain values of a TOML file.

    Raises:
        InputError: The file is missing or is not TOML.
    """
    try:
        require_regular(path)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such config file") from None
    except ValueError as error:  # of TOML, of UTF-8, or a number of thousands of digits
        raise InputError(f"{path}: not a TOML file ({error})") from None
    except RecursionError:
        raise InputError(f"{path}: not a config: its lists are nested too deeply") from None


def in_sections(kind: type, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values with every flag that stands outside its section put into it.

    Args:
        kind: A dataclass whose sections are dataclasses.
        values: Flag -> value, or section -> flags and values.
        source: Names the place in messages.

    Raises:
        InputError: A flag is given twice, in its section and outside.

    Example:
        >>> from visual_taxonomy.config import TrainConfig
        >>> in_sections(TrainConfig, {"epochs": 3, "model": {"dropout": 0}}, "run.toml")
        {'model': {'dropout': 0}, 'optimizer': {'epochs': 3}}
    """
    sections = {name: hint for name, hint in get_type_hints(kind).items() if is_dataclass(hint)}
    home = {e.name: name for name, hint in sections.items() for e in fields(hint)}
    own = {entry.name for entry in fields(kind)}
    sorted_values = {
        name: dict(value) if name in sections and isinstance(value, dict) else value
        for name, value in values.items()
        if name in own or name not in home
    }
    for name in values.keys() & home.keys() - own:
        section = sorted_values.setdefault(home[name], {})
        if not isinstance(section, dict) or name in section:
            raise InputError(f"{source}: '{name}' is given twice, at the top and in [{home[name]}]")
        section[name] = values[name]
    return sorted_values


def to_toml(config: object) -> str:
    """The text of a TOML file that `read_toml` reads back to an equal config."""
    return tomli_w.dumps(to_dict(config))


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _constructed(kind: type[C], given: Mapping[str, Any], source: str) -> C:
    hints = get_type_hints(kind)
    arguments = dict(given)
    for entry in fields(kind):  # type: ignore[arg-type]
        has_default = entry.default not in (MISSING, tyro.MISSING)
        required = not has_default and entry.default_factory is MISSING
        if required and entry.name not in given:
            raise InputError(f"{source}: '{entry.name}' is missing")
        if entry.name in given and is_dataclass(hints[entry.name]):
            section = f"{source}, [{entry.name}]"
            arguments[entry.name] = _constructed(hints[entry.name], given[entry.name], section)
    try:
        return kind(**arguments)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
