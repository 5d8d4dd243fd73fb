"""Look up a name in a table, and say what exists when it does not."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Literal, TypeVar, get_args, get_origin

from visual_taxonomy.errors import InputError, shown

T = TypeVar("T")

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# Types that the command line gives -> their names in messages.
_PLAIN = {bool: "boolean", int: "whole number", float: "number", str: "word", NoneType: ""}
# Names a message lists; a taxonomy may have thousands of classes.
_MOST_LISTED = 100


def unknown_name(name: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with the nearest one that does.

    Example:
        >>> unknown_name("LDMA", ["CE", "LDAM"])
        InputError("'LDMA' is none of: CE, LDAM. Did you mean 'LDAM'?")
    """
    known = list(known)
    by_folded_name = {entry.casefold(): entry for entry in known}
    near = get_close_matches(name.casefold(), by_folded_name, n=1)
    hint = f" Did you mean '{shown(by_folded_name[near[0]])}'?" if near else ""
    rest = len(known) - _MOST_LISTED
    more = f", and {rest:,} more" if rest > 0 else ""
    names = ", ".join(map(shown, known[:_MOST_LISTED]))
    return InputError(f"'{shown(name)}' is none of: {names}{more}.{hint}")


def find(table: Mapping[str, T], name: str) -> T:
    """The entry of `table` under `name`, whatever the case of its letters.

    Raises:
        InputError: No entry has that name; the message lists all and suggests the nearest.

    Example:
        >>> find({"CE": 1, "LDAM": 2}, "ldam")
        2
    """
    for key, entry in table.items():
        if key.casefold() == name.casefold():
            return entry
    raise unknown_name(name, table)


def build(
    table: Mapping[str, Callable[..., T]], name: str, *args: object, **parameters: object
) -> T:
    """Construct the entry of `table` under `name`: `entry(*args, **parameters)`.

    Args:
        table: Published short name -> class or function.
        name: Key of the table, matched without case.
        *args: What every entry of the table takes first (class counts, task names, ...).
        **parameters: The entry's own parameters, by keyword.

    Raises:
        InputError: The name, or a parameter of it, does not exist; a parameter is missing, of
            another type or out of its range; the entry needs a package that is not installed.

    Example:
        >>> build({"round": round}, "round", 2.55, ndigits=1)
        2.5
        >>> build({"round": round}, "round", 2.55, digits=1)
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: round: 'digits' is none of: ndigits. Did you mean ...
    """
    entry = find(table, name)
    _check_parameters(name, entry, len(args), parameters)
    try:
        return entry(*args, **parameters)
    except ImportError as error:  # of an optional package, which its message names
        raise InputError(f"{name}: {error}") from None
    except ValueError as error:
        # It is a ValueError too, and has said already what is wrong.
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: {error}") from error


def _check_parameters(
    name: str, entry: Callable[..., object], taken: int, parameters: Mapping[str, object]
) -> None:
    # Behind the positional ones, which are not the user's to give.
    own = dict(list(inspect.signature(entry).parameters.items())[taken:])
    for parameter, value in parameters.items():
        if parameter not in own:
            raise InputError(f"{name}: {unknown_name(parameter, own or ['(no parameters)'])}")
        reason = _misfit(value, own[parameter].annotation)
        if reason:
            raise InputError(f"{parameter}: {value!r} is {reason} (parameter of {name})")
    needed = [p.name for p in own.values() if p.default is p.empty and p.kind in _BY_NAME]
    missing = [parameter for parameter in needed if parameter not in parameters]
    if missing:
        raise InputError(f"{name}: {', '.join(missing)} must be given")


def _misfit(value: object, annotation: object) -> str:
    """Why a value is not of the annotated type; empty for annotations that are not plain types."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "" if value in parts else f"none of: {', '.join(map(str, parts))}"
    kinds = [kind for kind in parts or [annotation] if kind in _PLAIN]
    # An alternative that is not plain may take the value after all.
    if not kinds or len(kinds) < len(parts):
        return ""
    # By exact type, because True is an int to isinstance.
    if any(type(value) is kind or (kind, type(value)) == (float, int) for kind in kinds):
        return ""
    return "not a " + " or a ".join(_PLAIN[kind] for kind in kinds if kind is not NoneType)
