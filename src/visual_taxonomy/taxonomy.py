"""The taxonomy: category -> attribute -> classes, the one object all others speak of.

It alone turns labels into indices and back. Shapes: K categories, T tasks, A slots (the most
attributes any category has), C classes.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.regular_file import require_regular

UNKNOWN = -1
"""Index of a label that is not known; it takes part in no loss and no score."""

# The default `na_values` of pandas.read_csv, but for the empty text, which is always unknown.
_PANDAS_MARKERS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)

MISSING_VALUES = (*_PANDAS_MARKERS, "NAN", "Nan", "Null")
"""Texts that mean an unknown label unless told otherwise: those of pandas, in its case (`none`
stays a class), and the other ways to write NaN and null, which were read so from the start."""


def clean_label(label: str | None, missing_values: Collection[str] = MISSING_VALUES) -> str | None:
    r"""The label without outer white space; None where it is unknown (empty, or a marker of it).

    Example:
        >>> clean_label("zari\n"), clean_label(" NaN "), clean_label("None"), clean_label("none")
        ('zari', None, None, 'none')
        >>> clean_label("None", missing_values=["?"])
        'None'
    """
    stripped = (label or "").strip()
    return stripped if stripped and stripped not in missing_values else None


@dataclass(frozen=True)
class Task:
    """One attribute of one category: what a head predicts.

    Example:
        >>> Task("Sarees", "border", ("zari", "none")).name
        'Sarees/border'
    """

    category: str
    attribute: str
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The task's name in every table, log and checkpoint: "category/attribute"."""
        return f"{self.category}/{self.attribute}"

    def label(self, index: int) -> str | None:
        """The class at an index; None for `UNKNOWN`.

        Example:
            >>> Task("Sarees", "border", ("zari", "none")).label(1)
            'none'
        """
        return None if index == UNKNOWN else self.classes[index]


@dataclass(frozen=True)
class Taxonomy:
    """Which attributes each category has, and which classes each attribute.

    Immutable and ordered: categories, attributes and classes keep the order they were given in,
    and that order is the order of a model's outputs, so a checkpoint carries its taxonomy.

    Args:
        tasks: All tasks, those of one category next to each other.

    Raises:
        InputError: A name is empty or doubled, an attribute has no class.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["red"]}})
        >>> taxonomy.categories, taxonomy.attributes("Sarees")
        (('Sarees',), ('border', 'color'))
        >>> taxonomy.encode("Sarees", "border", "no "), taxonomy.encode("Sarees", "border", "")
        (1, -1)
    """

    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("the taxonomy has no category with an attribute")
        seen: set[str] = set()
        for task in self.tasks:
            _check_names(task)
            if task.name in seen:
                raise InputError(f"taxonomy: attribute '{task.name}' appears twice")
            seen.add(task.name)
        # `to_dict` joins the attributes of a category: apart, they would come back in another
        # order, which is that of a model's outputs.
        runs = [category for category, _ in groupby(task.category for task in self.tasks)]
        if len(runs) != len(set(runs)):
            raise InputError("taxonomy: the attributes of a category must stand together")

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Mapping[str, Sequence[str]]]) -> "Taxonomy":
        """Build from `{category: {attribute: [class, ...]}}`, the form of attrs_config.json."""
        for category, attributes in mapping.items():
            if not isinstance(attributes, Mapping) or not attributes:
                raise InputError(f"taxonomy: category '{category}' must map attributes to classes")
            for attribute, classes in attributes.items():
                if isinstance(classes, str) or not isinstance(classes, Sequence):
                    raise InputError(f"taxonomy: '{category}/{attribute}' must list its classes")
        return cls(
            tuple(
                Task(category.strip(), attribute.strip(), tuple(map(_class_name, classes)))
                for category, attributes in mapping.items()
                for attribute, classes in attributes.items()
            )
        )

    @classmethod
    def read(cls, path: Path, missing_values: Collection[str] = ()) -> "Taxonomy":
        """Read the JSON form of `from_dict`.

        Args:
            path: The file.
            missing_values: As for `check_missing_values`.

        Raises:
            InputError: The file is missing, not JSON, or not of that form.
        """
        try:
            require_regular(path)
            mapping = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"{path}: no such taxonomy; write one with `vtax create-config`, or leave "
                "`attributes_config` out to build it from the CSV"
            ) from None
        except IsADirectoryError:
            raise InputError(f"{path}: is a folder; name the file in it") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a JSON file ({error})") from None
        except RecursionError:
            raise InputError(f"{path}: not a taxonomy: it is nested too deeply") from None
        if not isinstance(mapping, dict):
            raise InputError(f"{path}: expected {{category: {{attribute: [class, ...]}}}}")
        try:
            taxonomy = cls.from_dict(mapping)
            taxonomy.check_missing_values(missing_values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return taxonomy

    def check_missing_values(self, missing_values: Collection[str]) -> None:
        """Refuse a class that the cells of a file could never name.

        Raises:
            InputError: A class is one of the texts that mean an unknown label.
        """
        for task in self.tasks:
            for label in task.classes:
                if label in missing_values:
                    raise InputError(
                        f"taxonomy: '{task.name}' has class '{shown(label)}', which means unknown; "
                        "rename the class, or give `missing_values` without it"
                    )

    def check_same(self, path: Path, model: Path) -> None:
        """Check the taxonomy of a model against a file that a command was given.

        Raises:
            InputError: They differ, in the order too, or the file cannot be read.
        """
        if Taxonomy.read(path) != self:
            raise InputError(
                f"{path} is not the taxonomy of {model}; leave `attributes_config` out: "
                "a model carries its own"
            )

    def to_dict(self) -> dict[str, dict[str, list[str]]]:
        """The inverse of `from_dict`."""
        mapping: dict[str, dict[str, list[str]]] = {}
        for task in self.tasks:
            mapping.setdefault(task.category, {})[task.attribute] = list(task.classes)
        return mapping

    def to_json(self) -> str:
        """The text of attrs_config.json."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The K category names, in order."""
        return tuple(dict.fromkeys(task.category for task in self.tasks))

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The T names "category/attribute", in order."""
        return tuple(task.name for task in self.tasks)

    @cached_property
    def slots(self) -> tuple[tuple[int, ...], ...]:
        """[K] tuples of task indices: `slots[k][a]` is the task in slot a of category k."""
        return tuple(
            tuple(i for i, task in enumerate(self.tasks) if task.category == category)
            for category in self.categories
        )

    @property
    def num_slots(self) -> int:
        """A, the most attributes any category has; labels are stored as [N, A]."""
        return max(map(len, self.slots))

    def category_index(self, category: str) -> int:
        """Index of a category.

        Raises:
            InputError: There is no such category.
        """
        try:
            return self.categories.index(category)
        except ValueError:
            raise InputError(f"category {unknown_name(category, self.categories)}") from None

    def attributes(self, category: str) -> tuple[str, ...]:
        """The attribute names of a category, in the order of its CSV columns attr_1, attr_2, ..."""
        return tuple(self.tasks[i].attribute for i in self.slots[self.category_index(category)])

    def task(self, category: str, attribute: str) -> Task:
        """The task of an attribute of a category.

        Raises:
            InputError: There is no such category or attribute.
        """
        for i in self.slots[self.category_index(category)]:
            if self.tasks[i].attribute == attribute:
                return self.tasks[i]
        raise InputError(
            f"attribute of {category}: {unknown_name(attribute, self.attributes(category))}"
        )

    def encode(self, category: str, attribute: str, label: str | None) -> int:
        """Index of a label among the classes of its task; `UNKNOWN` where the label is unknown.

        A class is found even if its name is a usual marker of an unknown label.

        Raises:
            InputError: The label is no class of the attribute.
        """
        task = self.task(category, attribute)
        cleaned = clean_label(label, set(MISSING_VALUES) - set(task.classes))
        if cleaned is None:
            return UNKNOWN
        if cleaned not in task.classes:
            raise InputError(f"label of {task.name}: {unknown_name(cleaned, task.classes)}")
        return task.classes.index(cleaned)

    def decode(self, category: str, attribute: str, index: int) -> str | None:
        """The label at an index; None for `UNKNOWN`."""
        return self.task(category, attribute).label(index)


def _class_name(label: object) -> str:
    # JSON may hold numbers, which are texts in a CSV, and null, which is refused as empty.
    return "" if label is None else str(label).strip()


def _check_names(task: Task) -> None:
    if not task.category or not task.attribute:
        raise InputError("taxonomy: a category or an attribute has no name")
    if not task.classes:
        raise InputError(f"taxonomy: attribute '{task.name}' has no class")
    for label in task.classes:
        if not label:
            raise InputError(f"taxonomy: '{task.name}' has class '{label}', which means unknown")
        if task.classes.count(label) > 1:
            raise InputError(f"taxonomy: '{task.name}' has class '{label}' twice")
