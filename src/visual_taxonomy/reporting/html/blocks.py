"""What a section of the report is made of: plain values, each kind drawn by a template of its own.

Text is given as it is; the templates escape it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class Block:
    """A part of a section."""

    template: ClassVar[str]
    """The file in `templates` that draws it, as `block`."""


@dataclass(frozen=True)
class Text(Block):
    """A paragraph.

    Args:
        text: What it says.
        is_note: Whether it is an aside, in small print.
    """

    template: ClassVar[str] = "text.html"
    text: str
    is_note: bool = False


@dataclass(frozen=True)
class Tile:
    """A figure that is seen first.

    Args:
        name: What was measured.
        value: The figure.
        details: What to hold it against, a line each.
    """

    name: str
    value: str
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Tiles(Block):
    """Figures side by side."""

    template: ClassVar[str] = "tiles.html"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Span:
    """A score with its interval and what it is compared with, drawn on a line from 0 to 1.

    Args:
        value: In [0, 1]; None is drawn as an empty line.
        low: Lower end of the interval; None without one.
        high: Upper end.
        reference: What it is compared with; None without it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reference: float | None = None

    @property
    def is_behind(self) -> bool:
        """Whether the score is below what it is compared with."""
        return self.value is not None and self.reference is not None and self.value < self.reference


@dataclass(frozen=True)
class Share:
    """A number in [0, 1] with a bar of that length behind it; None is shown as a dash."""

    value: float | None


Cell = str | int | float | Span | Share | None


@dataclass(frozen=True)
class Table(Block):
    """A table; where it is wider than the page, it scrolls and the page does not.

    Args:
        columns: The headings.
        rows: Cells; a number with a fraction is shown with three digits, None as a dash.
        strong: Numbers of the rows that stand out, such as totals.
        caption: What the table shows.
    """

    template: ClassVar[str] = "table.html"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    strong: frozenset[int] = frozenset()
    caption: str = ""

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers, which are set flush right."""
        return any(isinstance(row[column], int | float) for row in self.rows)


@dataclass(frozen=True)
class Fold(Block):
    """Blocks behind a line that opens them; printed if they are open."""

    template: ClassVar[str] = "fold.html"
    title: str
    detail: str
    blocks: Sequence[Block]
    is_open: bool = False


@dataclass(frozen=True)
class Beside(Block):
    """Blocks side by side where there is room, each with a heading."""

    template: ClassVar[str] = "beside.html"
    blocks: Sequence[tuple[str, Block]]


@dataclass(frozen=True)
class Matrix(Block):
    """Counts of true classes (rows) by answers (columns), shaded by the share of the row.

    Args:
        names: [C] classes.
        counts: [C][C] counts.
    """

    template: ClassVar[str] = "matrix.html"
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    def share(self, row: int, column: int) -> float:
        """Of the labels of a class, the share that was answered so."""
        total = sum(self.counts[row])
        return self.counts[row][column] / total if total else 0.0


@dataclass(frozen=True)
class Picture:
    """A thumbnail with what is said of it.

    Args:
        source: A `data:` address of a JPEG.
        title: What it shows.
        lines: Pairs of a name and a value.
    """

    source: str
    title: str
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gallery(Block):
    """Thumbnails in a grid."""

    template: ClassVar[str] = "gallery.html"
    images: Sequence[Picture]


@dataclass(frozen=True)
class Facts(Block):
    """Names and values."""

    template: ClassVar[str] = "facts.html"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Drawing(Block):
    """A plot that was drawn elsewhere.

    Args:
        source: A `data:` address of a PNG.
        text: What it shows, for those who do not see it.
    """

    template: ClassVar[str] = "drawing.html"
    source: str
    text: str
