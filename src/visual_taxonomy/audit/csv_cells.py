"""Replace single cells of a CSV file, and leave every other byte as it is."""

import io
from collections.abc import Mapping

from visual_taxonomy.data.cell_files.csv_records import (
    cell_text,
    lines_of,
    put_cell,
    split_records,
    written_cell,
)
from visual_taxonomy.data.csv_text import BYTE_ORDER_MARK
from visual_taxonomy.errors import InputError


def replace_cells(
    content: bytes,
    changes: Mapping[str, Mapping[str, str]],
    id_column: str = "id",
    delimiter: str = ",",
) -> bytes:
    r"""The file with other texts in some cells.

    Rows are found by their id and columns by their name, as `LabelFile` finds them: without outer
    white space, and whatever the case of the letters of `id` and `attr_k`.

    Args:
        content: A CSV file in UTF-8 with a header; of an id that is repeated, all rows change.
        changes: Id -> column -> new text; "" empties a cell.
        id_column: The column of the ids.
        delimiter: What separates the values.

    Raises:
        InputError: The file has no row of an id.

    Example:
        >>> replace_cells(b'id,color\r\n7,"red"\r\n8,\r\n', {"7": {"color": "red, blue"}})
        b'id,color\r\n7,"red, blue"\r\n8,\r\n'
    """
    parting = delimiter.encode()
    # Its lines end with newlines, or it has none: see `lines_of`.
    records = split_records(lines_of(io.BytesIO(content), b"\n" in content), parting)
    names: list[str] = []
    missing, parts = set(changes), []
    for record in records:
        cells = record.cells
        if not names and not record.is_blank:
            names = [cell_text(cell.removeprefix(BYTE_ORDER_MARK)) for cell in cells]
            id_position = _position(names, id_column)
        elif names and len(cells) > id_position:
            product = cell_text(cells[id_position])
            if product in changes:
                # Several rows may be the images of one product: all of them say the same.
                missing.discard(product)
                for name, text in changes[product].items():
                    place = _position(names, name)
                    put_cell(cells, place, written_cell(text, delimiter).encode())
        parts.append(parting.join(cells) + record.end)
    if missing:
        raise InputError(f"no row with id '{min(missing)}' can be found to be changed")
    return b"".join(parts)


def _position(names: list[str], name: str) -> int:
    if name in names:
        return names.index(name)
    return [each.casefold() for each in names].index(name.casefold())
