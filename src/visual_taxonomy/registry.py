"""What a name stands for: an entry of our table, of an installed package, or of your own module.

A name is looked up in the table first and then among the entry points of the installed packages
(group `visual_taxonomy.losses`, ...). A name with a colon, `my_module:MyLoss`, is imported.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from visual_taxonomy.choice import build, find, unknown_name
from visual_taxonomy.errors import InputError

T = TypeVar("T")


class Listed(NamedTuple, Generic[T]):
    """An entry as `vtax list` shows it."""

    name: str
    origin: str
    """The package and version it comes from; empty for ours."""
    entry: T | None
    """None where it cannot be used."""
    problem: str = ""
    """Why not."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The entries of one kind, ours and those from outside.

    Args:
        noun: What an entry is, for messages.
        group: Group of the entry points of other packages.
        table: Our entries, by their public short name.
        check: Says why a value from outside cannot be an entry; "" if it can.

    Example:
        >>> registry = Registry("number", "none.numbers", {"one": 1}, lambda value: "")
        >>> registry.find("ONE"), registry.find("math:pi") > 3
        (1, True)
    """

    noun: str
    group: str
    table: Mapping[str, T]
    check: Callable[[Any], str]

    def find(self, name: str) -> T:
        """The entry of that name, whatever the case; `module:name` is imported.

        Raises:
            InputError: No entry has that name, several have it, or what it names cannot be used.
        """
        if ":" in name:
            return self._checked(name, import_named(name, self.noun))
        packaged = [p for p in _installed(self.group) if p.name.casefold() == name.casefold()]
        ours = any(key.casefold() == name.casefold() for key in self.table)
        if packaged and len(packaged) + ours > 1:
            # Never guessed: a run would mean something else once a package is installed.
            origins = ["vtax"] * ours + [_origin(point) for point in packaged]
            raise InputError(
                f"'{name}' names a {self.noun} of {' and of '.join(origins)}; name the one you "
                f"want by its module: {' or '.join(self._addresses(name, packaged))}"
            )
        if packaged:
            return self._load(packaged[0])
        if not ours:
            known = [*self.table, *(point.name for point in _installed(self.group))]
            raise InputError(
                f"{unknown_name(name, known)} Name your own {self.noun} as MODULE:NAME."
            )
        return find(self.table, name)

    def is_packaged(self, name: str) -> bool:
        """Whether an installed package has an entry of that name."""
        return any(p.name.casefold() == name.casefold() for p in _installed(self.group))

    def build(self, name: str, *args: object, **parameters: object) -> Any:  # noqa: ANN401 - of T
        """Construct the entry: `entry(*args, **parameters)`, as `choice.build` does.

        Raises:
            InputError: As `find`; or a parameter does not exist.
        """
        entry: Any = self.find(name)
        return build({name: entry}, name, *args, **parameters)

    def listed(self) -> list[Listed[T]]:
        """All entries with a short name; one that cannot be imported says why."""
        found = [Listed(name, "", entry) for name, entry in self.table.items()]
        for point in _installed(self.group):
            try:
                found.append(Listed(point.name, _origin(point), self._load(point)))
            except InputError as error:
                found.append(Listed(point.name, _origin(point), None, str(error)))
        return found

    def _load(self, point: EntryPoint) -> T:
        return self._checked(point.name, import_named(point.value, self.noun, _origin(point)))

    def _checked(self, name: str, entry: Any) -> T:  # noqa: ANN401 - whatever the name stands for
        problem = self.check(entry)
        if problem:
            article = "an" if self.noun[0] in "aeiou" else "a"
            raise InputError(f"'{name}' is not {article} {self.noun}: {problem}")
        return entry

    def _addresses(self, name: str, packaged: list[EntryPoint]) -> list[str]:
        ours = [entry for key, entry in self.table.items() if key.casefold() == name.casefold()]
        named = [e for e in ours if hasattr(e, "__module__") and hasattr(e, "__qualname__")]
        return [
            *(f"{entry.__module__}:{entry.__qualname__}" for entry in named),
            *(point.value for point in packaged),
        ]


def is_extended(group: str) -> bool:
    """Whether an installed package has entries of a group.

    Example:
        >>> is_extended("none.numbers")
        False
    """
    return bool(_installed(group))


def derived_from(*bases: type) -> Callable[[Any], str]:
    """A check that an entry is a class that derives from one of these.

    Example:
        >>> derived_from(OSError, KeyError)(int)
        'it must be a class derived from OSError or KeyError'
    """
    names = " or ".join(base.__name__ for base in bases)

    def check(entry: Any) -> str:  # noqa: ANN401 - whatever the name stands for
        # A base itself has no formula; it would fail only at the first step.
        fits = isinstance(entry, type) and issubclass(entry, bases) and entry not in bases
        return "" if fits else f"it must be a class derived from {names}"

    return check


def import_named(name: str, noun: str, origin: str = "") -> Any:  # noqa: ANN401 - of any type
    """The value of `module:attribute`.

    Args:
        name: Module and attribute; either may hold dots.
        noun: What it is to be, for messages.
        origin: The package that names it, if one does.

    Raises:
        InputError: The module cannot be imported, or has no such attribute.

    Example:
        >>> import_named("math:pi", "number")
        3.141592653589793
    """
    module_name, _, attributes = name.partition(":")
    where = f"{noun} '{name}'" + (f" of {origin}" if origin else "")
    if not module_name or not attributes or not module_name.replace(".", "").isidentifier():
        raise InputError(f"{where}: expected MODULE:NAME, such as my_module:MyClass")
    try:
        value = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Missing is either the module (or a package around it) or something that it imports. With
        # the dots, "my" is no package around "my_module".
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(f"{where}: its module needs {error.name}, not installed") from error
        raise InputError(
            f"{where}: there is no module {module_name}; install it, put it into the folder that "
            "`vtax train` is started in, or add its folder to PYTHONPATH"
        ) from None
    except Exception as error:  # its own code runs, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{where}: importing {module_name} fails ({reason})") from error
    for attribute in attributes.split("."):
        if not hasattr(value, attribute):
            public = [key for key in vars(value) if not key.startswith("_")]
            raise InputError(f"{where}: {module_name} has no such name; {_near(attribute, public)}")
        value = getattr(value, attribute)
    return value


def _near(attribute: str, public: list[str]) -> str:
    return str(unknown_name(attribute, public)) if public else "it is empty"


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group, by name; reading the metadata of all packages takes milliseconds."""
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, _origin(point))))


def _origin(point: EntryPoint) -> str:
    package = point.dist
    return "another package" if package is None else f"{package.name} {package.version}"
