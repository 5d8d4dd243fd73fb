"""Values from files: every type that a field can have, and what is refused."""

import math
from pathlib import Path

import pytest

from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.typed_values import LARGEST, check_numbers, typed, typed_fields


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float | None, 0.5, 0.5),
        (bool, True, True),
        (str, "a", "a"),
        (Path | None, "a/b", Path("a/b")),
        (tuple[int, int] | None, [3, 4], (3, 4)),
        (tuple[str, ...] | None, ["a", "b", "c"], ("a", "b", "c")),
        (tuple[str, ...], [], ()),
        (dict[str, int | float | bool | str], {"a": 1, "b": True, "c": "x"}, None),
        (int, LARGEST, LARGEST),
    ],
)
def test_a_value_of_the_type_is_taken(hint: object, value: object, expected: object) -> None:
    found = typed(hint, value, "key")
    assert found == (value if expected is None else expected)
    assert type(found) is type(value if expected is None else expected)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("model", {"image_size": ["a", "b"]}, r"image_size = 'a' cannot be used; expected int"),
        ("model", {"image_size": [1]}, r"image_size = \[1\] .*expected a list of 2: int, int"),
        ("model", {"image_size": [1, 2, 3]}, "expected a list of 2"),
        ("model", {"image_size": 32}, "expected a list of 2"),
        ("data", {"missing_values": [1]}, "missing_values = 1 cannot be used; expected str"),
        ("data", {"missing_values": "NA"}, "missing_values = 'NA' .*expected a list of str"),
        ("model", {"image_size": [1.5, 2.0]}, r"image_size = 1\.5 cannot be used"),
        ("model", {"dropout": math.nan}, "dropout must be a finite number, not nan"),
        ("model", {"dropout": [0.1]}, r"dropout = \[0\.1\] cannot be used; expected float"),
        ("model", {"dropout": True}, "dropout = True cannot be used"),
        ("model", {"backbone": ["a"]}, "cannot be used; expected str"),
        ("model", {"backbone": "a\0b"}, "cannot be used; expected str"),
        ("model", {"backbone_parameters": [1]}, "expected a table of names and values"),
        ("model", {"backbone_parameters": {"a": [1]}}, r"backbone_parameters\.a = \[1\] cannot"),
        ("model", {"backbone_parameters": {"a": math.inf}}, r"parameters\.a must be a finite"),
        ("model", {"head": ["auto"]}, "expected one of auto, linear, cosine"),
        ("optimizer", {"epochs": 1e3}, "epochs = 1000.0 cannot be used; expected int"),
        ("optimizer", {"epochs": 2**32}, f"epochs must be at most {LARGEST}"),
        ("optimizer", {"epochs": -(2**70)}, f"epochs must be at least -{LARGEST}"),
        ("optimizer", {"scratch_lr": 1 << 20_000}, "scratch_lr must be .* a number of 20001 bits"),
        ("optimizer", {"scratch_lr": -math.inf}, "scratch_lr must be a finite number"),
        ("data", {"img_dir": 3}, "img_dir = 3 cannot be used; expected a path"),
        ("data", {"img_dir": ""}, "img_dir = '' cannot be used"),
        ("data", {"img_dir": {"a": 1}}, "cannot be used; expected a path"),
        ("data", {"attributes_config": [1]}, "attributes_config = .* expected a path"),
        ("run", {"wandb": 1}, "wandb = 1 cannot be used; expected bool"),
        ("run", {"save_dirs": "x"}, "'save_dirs' is none of: .* mean 'save_dir'"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    section: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=rf"run\.toml, \[{section}\]: .*{message}"):
        typed_fields(TrainConfig, {section: values}, "run.toml")


@pytest.mark.parametrize("value", [3, "x", [1], True])
@pytest.mark.parametrize("section", ["data", "model", "objective", "optimizer", "run"])
def test_a_section_that_holds_no_names_is_refused(section: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"\[{section}\] must be a section of names and values"):
        typed_fields(TrainConfig, {section: value}, "run.toml")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InputError, match=r"epochs = 'xxx") as caught:
        typed(int, "x" * 10_000, "epochs")
    assert len(str(caught.value)) < 200


def test_numbers_of_the_command_line_are_checked_in_sections_too() -> None:
    train = TrainConfig(DataConfig(Path("a"), Path("b")), ModelConfig(image_size=(1, 2**40)))
    with pytest.raises(InputError, match="`image_size` must be at most"):
        check_numbers(train)
    with pytest.raises(InputError, match="`scratch_lr` must be a finite number"):
        check_numbers(OptimizerConfig(scratch_lr=math.inf))
    check_numbers(RunConfig())
