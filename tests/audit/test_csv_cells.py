import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.audit.csv_cells import replace_cells
from visual_taxonomy.errors import InputError

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", MARK])
def test_all_other_bytes_stay(end, mark):
    lines = [b' "ID" ,Color,note', b'7, red ,"two ""old"""', b"", b'"8",,last']
    expected = [b' "ID" ,Color,note', b'7,blue,"two ""old"""', b"", b'"8",,last']
    content, wanted = mark + end.join(lines), mark + end.join(expected)
    assert replace_cells(content, {"7": {"Color": "blue"}}) == wanted


def test_a_value_may_hold_line_ends_and_commas():
    content = b'id,note,color\n7,"a, b\nc\r\n",red\n8,x,red\n'
    assert replace_cells(content, {"8": {"color": "blue"}}) == content.replace(b"x,red", b"x,blue")
    assert replace_cells(content, {"7": {"color": "a\nb"}}) == content.replace(
        b'",red', b'","a\nb"'
    )


def test_new_texts_are_quoted_where_they_must_be():
    content = b"id,color\n7,red\n"
    for text, written in (("a,b", b'"a,b"'), ('5" wide', b'"5"" wide"'), ("", b""), ("x", b"x")):
        assert replace_cells(content, {"7": {"color": text}}) == b"id,color\n7," + written + b"\n"


def test_a_row_that_ends_early_grows():
    content = b"id,a,b,c\n7\n8,x\n"
    changes = {"7": {"c": "z", "a": "y"}, "8": {"b": "w"}}
    assert replace_cells(content, changes) == b"id,a,b,c\n7,y,,z\n8,x,w\n"


def test_numbered_columns_are_found_whatever_the_case_of_their_letters():
    assert replace_cells(b"Id,ATTR_1\n7,x", {"7": {"attr_1": "y"}}) == b"Id,ATTR_1\n7,y"
    # Names of attributes are taken as they are, if both are there.
    content = b"id,Color,color\n7,x,x"
    assert replace_cells(content, {"7": {"color": "y"}}) == b"id,Color,color\n7,x,y"


def test_an_id_that_is_not_found_is_refused():
    with pytest.raises(InputError, match="no row with id '9' can be found"):
        replace_cells(b"id,color\n7,red\n", {"9": {"color": "x"}})


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), new=TEXTS, data=st.data())
def test_python_reads_the_changed_cell_and_the_same_others(rows, new, data):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow(["id", "a", "b"])
    writer.writerows((row, *cells) for row, cells in enumerate(rows))
    chosen = data.draw(st.integers(0, len(rows) - 1))
    found = replace_cells(text.getvalue().encode(), {str(chosen): {"a": new}}).decode()
    _, *read = csv.reader(io.StringIO(found, newline=""))
    rows[chosen] = (new, rows[chosen][1])
    assert read == [[str(row), *cells] for row, cells in enumerate(rows)]


def test_another_delimiter_and_another_column_of_ids_are_kept():
    content = b'sku;id;a\r\n7;1;"x;y"\r\n8;7;z, w\r\n9\r\n'
    changes = {"7": {"a": "p;q"}, "8": {"a": "r, s"}, "9": {"a": "t"}}
    assert replace_cells(content, changes, "sku", ";") == (
        b'sku;id;a\r\n7;1;"p;q"\r\n8;7;r, s\r\n9;;t\r\n'
    )


def test_all_rows_of_a_product_are_changed():
    content = b"id,a\n7,x\n8,y\n7,\n"
    assert replace_cells(content, {"7": {"a": "z"}}) == b"id,a\n7,z\n8,y\n7,z\n"
