from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.choice import build, find, unknown_name
from visual_taxonomy.errors import InputError


class Margin:
    def __init__(self, counts: list[int], scale: float = 30.0, power: float = 0.25) -> None:
        self.given = (counts, scale, power)


class Plain:
    def __init__(self, counts: list[int]) -> None:
        self.counts = counts


NAMES = ["CE", "BalancedSoftmax"]
TABLE = {"LDAM": Margin, "CE": Plain}


@pytest.mark.parametrize("name", ["LDAM", "ldam", "Ldam"])
def test_names_are_found_whatever_their_case(name):
    assert find(TABLE, name) is Margin


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
@settings(deadline=None)
def test_every_name_of_a_table_is_found_unless_another_differs_only_in_case(table):
    for name, entry in table.items():
        twins = [other for other in table if other.casefold() == name.casefold()]
        assert find(table, name) in {table[twin] for twin in twins}
        assert len(twins) > 1 or find(table, name) == entry


def test_an_unknown_name_lists_all_and_suggests_the_nearest():
    with pytest.raises(InputError, match=r"'LDMA' is none of: LDAM, CE\. Did you mean 'LDAM'\?"):
        find(TABLE, "LDMA")


def test_case_does_not_hide_the_nearest_name():
    assert "Did you mean 'BalancedSoftmax'?" in str(unknown_name("balancedsoftmx", NAMES))


def test_a_name_that_is_near_to_none_gets_no_suggestion():
    assert str(unknown_name("xyz", ["CE"])) == "'xyz' is none of: CE."


def test_an_entry_is_built_with_its_own_parameters():
    built = build(TABLE, "ldam", [3, 1], power=0.5)
    assert isinstance(built, Margin)
    assert built.given == ([3, 1], 30.0, 0.5)


def test_a_parameter_that_the_entry_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"LDAM: 'scal' is none of: scale, power\. .*'scale'"):
        build(TABLE, "LDAM", [3, 1], scal=2)


def test_what_every_entry_takes_first_is_no_parameter():
    with pytest.raises(InputError, match="LDAM: 'counts' is none of: scale, power"):
        build(TABLE, "LDAM", [3, 1], counts=[1])


def test_an_entry_without_parameters_says_so():
    with pytest.raises(InputError, match=r"CE: 'scale' is none of: \(no parameters\)"):
        build(TABLE, "CE", [3, 1], scale=2)


def test_an_unknown_entry_is_refused_before_its_parameters():
    with pytest.raises(InputError, match="'MSE' is none of: LDAM, CE"):
        build(TABLE, "MSE", [3, 1], scale=2)


class Strict:
    def __init__(
        self, counts: list[int], power: float, mode: Literal["a", "b"] = "a", floor: int | None = 1
    ) -> None:
        if power < 0:
            raise ValueError("power: -1.0 is negative")
        if mode == "b":
            raise ImportError("needs nothing; pip install nothing")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"power": "x"}, r"power: 'x' is not a number \(parameter of S\)"),
        ({"power": True}, "power: True is not a number"),
        ({"power": 1, "mode": "c"}, "mode: 'c' is none of: a, b"),
        ({"power": 1, "floor": 1.5}, r"floor: 1\.5 is not a whole number"),
        ({}, "S: power must be given"),
        ({"power": -1.0}, r"S: power: -1\.0 is negative"),
        ({"power": 1, "mode": "b"}, "S: needs nothing; pip install nothing"),
    ],
)
def test_a_parameter_that_the_entry_cannot_take_is_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        build({"S": Strict}, "S", [3, 1], **parameters)


def test_a_whole_number_serves_as_a_fraction_and_none_where_it_may():
    assert isinstance(build({"S": Strict}, "S", [3, 1], power=1, floor=None), Strict)


def test_a_message_lists_at_most_a_hundred_names_on_one_line() -> None:
    message = str(unknown_name("x" * 5000, [f"class\n{i}" for i in range(5000)]))
    assert "(5,000 characters)' is none of: class\\n0, class\\n1" in message
    assert "class\\n99, and 4,900 more." in message
    assert len(message) < 2000
