"""Look up a name in a table, and say what exists when it does not."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from visual_taxonomy.errors import InputError, shown

T = TypeVar("T")

_MOST_LISTED = 100
"""Names a message lists; a taxonomy may have thousands of classes."""


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
        InputError: The name, or a parameter of it, does not exist.

    Example:
        >>> build({"round": round}, "round", 2.55, ndigits=1)
        2.5
        >>> build({"round": round}, "round", 2.55, digits=1)
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: round: 'digits' is none of: ndigits. Did you mean ...
    """
    entry = find(table, name)
    accepted = list(inspect.signature(entry).parameters)[len(args) :]
    for parameter in parameters:
        if parameter not in accepted:
            raise InputError(f"{name}: {unknown_name(parameter, accepted or ['(no parameters)'])}")
    return entry(*args, **parameters)
