"""Values of a file or of the command line, checked against the fields of a dataclass."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError

LARGEST = 2**32 - 1
"""Largest whole number of any setting; NumPy takes no larger seed, and no count comes near it."""

# Not None, which is the value of a setting that is left open.
_UNFIT = object()
# Letters of a value in a message: a list of thousands would hide the message.
_LONGEST_SHOWN = 80


def typed_fields(kind: type, values: object, source: str) -> dict[str, Any]:
    """The values of a mapping as the fields of a dataclass need them; sections stay mappings.

    Args:
        kind: The dataclass; a field that is a dataclass itself is a section.
        values: Name of a field -> value, as TOML or JSON gives it.
        source: Names the place in messages.

    Raises:
        InputError: A name is unknown, or a value is of another type or out of all bounds.

    Example:
        >>> from visual_taxonomy.config import OptimizerConfig
        >>> typed_fields(OptimizerConfig, {"clip_norm": 2}, "run.toml")
        {'clip_norm': 2.0}
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{source} must be a section of names and values, not {_shown(values)}")
    hints = get_type_hints(kind)
    known = [entry.name for entry in fields(kind)]
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{source}: {unknown_name(name, known)}")
        hint = hints[name]
        if is_dataclass(hint) and isinstance(hint, type):
            found[name] = typed_fields(hint, value, f"{source}, [{name}]")
        else:
            found[name] = typed(hint, value, f"{source}: {name}")
    return found


def typed(hint: object, value: object, key: str) -> Any:  # noqa: ANN401 - of the type of the hint
    """A plain value as the type of a field; whole numbers serve as fractions.

    Raises:
        InputError: It is of another type, not finite, or too large; `key` names it.

    Example:
        >>> typed(tuple[int, int] | None, [160, 120], "image_size")
        (160, 120)
    """
    alternatives = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    # The first that fits counts: as int | float, a 2 stays a whole number.
    for kind in alternatives:
        found = _converted(kind, value, key)
        if found is not _UNFIT:
            return found
    raise InputError(f"{key} = {_shown(value)} cannot be used; expected {_readable(hint)}")


def check_numbers(config: object) -> None:
    """Refuse numbers that no setting can have: NaN, infinite, beyond `LARGEST`.

    Raises:
        InputError: A number of a field, or of a field of a section, is one; the field is named.
    """
    for entry in fields(config):  # type: ignore[arg-type]
        value = getattr(config, entry.name)
        if is_dataclass(value):
            check_numbers(value)
            continue
        named = value if isinstance(value, dict) else {"": value}
        for name, part in named.items():
            for number in part if isinstance(part, tuple) else (part,):
                _check_number(number, f"`{entry.name}` {name}".strip())


def _converted(kind: Any, value: object, key: str) -> object:  # noqa: ANN401 - any annotation
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value if isinstance(value, str) and value in parts else _UNFIT
    if origin is tuple:
        return _converted_list(parts, value, key)
    if origin is dict:
        return _converted_table(parts[1], value, key)
    # By exact type, because True is an int to isinstance.
    if kind in (int, float) and type(value) in (int, kind):
        _check_number(value, key)
        return kind(value)
    if kind in (str, Path) and isinstance(value, str):
        # The system ends a name at NUL; an empty path would silently be the current folder.
        return _UNFIT if "\0" in value or (kind is Path and not value) else kind(value)
    return value if type(value) is kind else _UNFIT


def _converted_list(kinds: tuple[object, ...], value: object, key: str) -> object:
    if not isinstance(value, list):
        return _UNFIT
    if kinds[-1] is Ellipsis:  # of any length
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        return _UNFIT
    return tuple(typed(kind, part, key) for kind, part in zip(kinds, value, strict=True))


def _converted_table(kind: object, value: object, key: str) -> object:
    if not isinstance(value, dict):
        return _UNFIT
    return {name: typed(kind, part, f"{key}.{name}") for name, part in value.items()}


def _check_number(value: object, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key} must be a finite number, not {value}")
    if isinstance(value, int) and abs(value) > LARGEST:
        least = "at least -" if value < 0 else "at most "
        raise InputError(f"{key} must be {least}{LARGEST}, not {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"  # Python refuses to print the longest
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _readable(hint: object) -> str:
    parts = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_readable, parts))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, parts))
    if get_origin(hint) is tuple and parts[-1] is Ellipsis:
        return f"a list of {_readable(parts[0])}"
    if get_origin(hint) is tuple:
        return f"a list of {len(parts)}: {', '.join(map(_readable, parts))}"
    if get_origin(hint) is dict:
        return "a table of names and values"
    return "a path" if hint is Path else getattr(hint, "__name__", str(hint))
