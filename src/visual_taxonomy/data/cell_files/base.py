"""What every file does whose cells can be filled one by one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

Fill = Mapping[str, str]
"""Column -> text for the empty cells of one row; {} for a row that stays as it is."""


class CellFile(ABC):
    """A catalogue file, read and copied a row at a time.

    Its rows are those that have an id, in the order of the file.

    Args:
        path: The file; `LabelFile` has read it without an error.
    """

    names: Sequence[str]
    """The columns, as `LabelFile` calls them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def texts(self, id_column: str, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Id and texts of some columns of each row, "" where there is none.

        Args:
            id_column: The column of the ids.
            columns: Names out of `names`.

        Raises:
            InputError: A row cannot be taken apart without doubt.
        """

    @abstractmethod
    def write(self, out: Path, id_column: str, fills: Iterable[Fill]) -> None:
        """Write a copy with other texts in some cells.

        Args:
            out: The copy.
            id_column: The column of the ids.
            fills: For each row; of columns and texts that pass `check_writable`.
        """

    def check_writable(self, labels: Mapping[str, Iterable[str]]) -> None:  # noqa: B027 - JSON can
        """Refuse texts that the file cannot hold, before any work is done for them.

        Args:
            labels: Column -> what may be written into it.

        Raises:
            InputError: There is a text that the column cannot hold.
        """
