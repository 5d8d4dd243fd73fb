"""`vtax convert`, and the original system's checkpoints given to the other commands."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.commands.export import Export
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor

ORDER = r"original\.pt names no attribute and no class: they are taken from .*attrs\.json\. If its"
THE_ORDER = "ignore:.*names no attribute and no class"


@pytest.fixture
def rows(table_of, tmp_path: Path) -> list[str]:
    """The flags that name six labelled rows."""
    table = table_of(6)
    lines = ["id,Category,len,attr_1,attr_2,attr_3"]
    for i, category, targets in zip(table.ids, table.categories, table.targets, strict=True):
        tasks = [table.taxonomy.tasks[t] for t in table.taxonomy.slots[category]]
        labels = [
            task.classes[target] if target >= 0 else ""
            for task, target in zip(tasks, targets, strict=False)
        ]
        name = table.taxonomy.categories[category]
        lines.append(",".join([i, name, str(len(tasks)), *labels, *[""] * (3 - len(labels))]))
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    return ["--img_dir", str(table.img_dir), "--csv_path", str(tmp_path / "rows.csv")]


def test_a_converted_checkpoint_gives_the_same_csv_and_needs_no_json(
    thin_towers, original_path, attributes_config, rows, tmp_path, capsys
) -> None:
    config = ["--attributes_config", str(attributes_config)]
    predict = ["predict", *rows, "--workers", "0", "--probabilities", "--ckpt_path"]
    with pytest.warns(UserWarning, match=ORDER):
        assert cli.run([*predict, str(original_path), *config]) == 0
    converted = tmp_path / "best.pt"
    with pytest.warns(UserWarning, match=ORDER):
        assert cli.run(["convert", str(original_path), *config, "--out", str(converted)]) == 0
    assert "ViT-B-32, 2 categories, 5 attributes" in capsys.readouterr().out
    assert cli.run([*predict, str(converted)]) == 0
    assert (tmp_path / "best.csv").read_text() == (tmp_path / "original.csv").read_text()
    assert read_checkpoint(converted).metrics == {"hm": 0.5, "micro": 0.75, "macro": 0.25}


@pytest.mark.filterwarnings(THE_ORDER)
def test_an_original_can_be_evaluated(
    thin_towers, original_path, attributes_config, rows, tmp_path
) -> None:
    flags = ["--ckpt_path", str(original_path), "--attributes_config", str(attributes_config)]
    flags += ["--out", str(tmp_path / "report.json"), "--workers", "0"]
    assert cli.run(["evaluate", *rows, *flags]) == 0
    assert set(json.loads((tmp_path / "report.json").read_text())["categories"]) == {
        "Sarees",
        "Kurtis",
    }


@pytest.mark.filterwarnings(THE_ORDER)
def test_an_original_can_be_exported_and_answers_as_before(
    thin_towers, original_path, attributes_config, rows, tmp_path, capsys
) -> None:
    flags = ["--ckpt_path", str(original_path), "--attributes_config", str(attributes_config)]
    out = ["--out", str(tmp_path / "bundle"), "--to", "onnx", "--workers", "0"]
    assert cli.run(["export", *flags, *out, *rows]) == 0
    assert "100.000% of " in capsys.readouterr().out
    assert "HM-F1 0.5000, micro 0.7500, macro 0.2500" in (tmp_path / "bundle/README.md").read_text()


def test_export_wants_one_checkpoint() -> None:
    for flags in ({}, {"checkpoint": Path("a.pt"), "ckpt_path": Path("a.pt")}):
        with pytest.raises(InputError, match="give one checkpoint: `vtax export FILE`, or --ckpt"):
            Export(Path("out"), **flags)


def test_without_the_json_the_file_and_the_command_are_named(original_path) -> None:
    with pytest.raises(InputError) as caught:
        Predictor.load(original_path)
    message = str(caught.value)
    assert "original.pt: a checkpoint of the original competition system" in message
    assert f"vtax convert {original_path} --attributes_config FILE --out best.pt" in message
    assert "weights_only" not in message


def test_convert_overwrites_nothing(original_path, attributes_config) -> None:
    arguments = ["convert", str(original_path), "--attributes_config", str(attributes_config)]
    with pytest.raises(InputError, match=r"--out .*original\.pt: already exists"):
        cli.run([*arguments, "--out", str(original_path)])


def test_convert_refuses_a_checkpoint_of_vtax(checkpoint_path, attributes_config, tmp_path) -> None:
    arguments = ["convert", str(checkpoint_path), "--attributes_config", str(attributes_config)]
    with pytest.raises(InputError, match=r"best\.pt: not a checkpoint of the original system; not"):
        cli.run([*arguments, "--out", str(tmp_path / "a.pt")])


@pytest.mark.filterwarnings(THE_ORDER)
@pytest.mark.parametrize("layer", ["batch_norm", "inter_linear"])
def test_a_flag_against_the_weights_is_refused(
    thin_towers, original_path, attributes_config, tmp_path, layer
) -> None:
    arguments = ["convert", str(original_path), "--attributes_config", str(attributes_config)]
    with pytest.raises(InputError, match=f"--no-{layer}: .* has the weights of that layer"):
        cli.run([*arguments, "--out", str(tmp_path / "a.pt"), f"--no-{layer}"])
    assert not (tmp_path / "a.pt").exists()


@pytest.mark.filterwarnings(THE_ORDER)
def test_without_args_the_weights_say_which_layers_there_are(
    thin_towers, original_content, attributes_config, tmp_path
) -> None:
    state = original_content["state_dict"]
    bare = {name: value for name, value in state.items() if not name.startswith("b_norm.")}
    torch.save({"state_dict": bare}, tmp_path / "a.pt")
    arguments = ["convert", str(tmp_path / "a.pt"), "--attributes_config", str(attributes_config)]
    for flags in ([], ["--no-batch_norm", "--inter_linear"]):
        assert cli.run([*arguments, *flags, "--out", str(tmp_path / f"{len(flags)}.pt")]) == 0
        model = read_checkpoint(tmp_path / f"{len(flags)}.pt").model
        assert (model.batch_norm, model.inter_linear) == (False, True)


def test_another_json_beside_a_checkpoint_of_vtax_is_refused(
    checkpoint_path, attributes_config, tmp_path
) -> None:
    assert read_checkpoint(checkpoint_path, attributes_config).epoch == -1
    attributes_config.write_text('{"Sarees": {"border": ["zari"]}}')
    arguments = [str(checkpoint_path), "--attributes_config", str(attributes_config)]
    with pytest.raises(InputError, match=r"attrs\.json is not the taxonomy of .*best\.pt"):
        cli.run(["export", *arguments, "--out", str(tmp_path / "out")])


@pytest.mark.filterwarnings(THE_ORDER)
@pytest.mark.parametrize(
    "number", [np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int64(2), np.bool_(True)]
)
def test_numbers_of_numpy_are_read_as_plain_ones(
    thin_towers, original_content, attributes_config, tmp_path, number
) -> None:
    scores = original_content["metrics"]["Overall Scores"]
    scores |= dict.fromkeys(scores, number)
    torch.save(original_content, tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt", attributes_config).metrics
    assert found == dict.fromkeys(["hm", "micro", "macro"], number.item())
    assert {type(value) for value in found.values()} == {type(number.item())}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.zeros(2), r"numpy\.ndarray"),
        (argparse.Namespace(backbone="ViT-B-32"), r"it holds argparse\.Namespace"),
        (np.complex64(1), "not made of tensors and plain values"),
        (np.str_("a"), "not made of tensors and plain values"),
    ],
)
def test_nothing_else_of_numpy_or_python_is_unpickled(
    original_content, attributes_config, tmp_path, value, name
) -> None:
    torch.save(original_content | {"args": value}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=rf"a\.pt: not a checkpoint of vtax, or damaged .*{name}"):
        read_checkpoint(tmp_path / "a.pt", attributes_config)


def test_the_names_of_numpy_are_allowed_only_while_a_checkpoint_is_read(
    original_path, checkpoint_path
) -> None:
    allowed = torch.serialization.get_safe_globals()
    read_checkpoint(checkpoint_path)
    assert set(torch.serialization.get_safe_globals()) == set(allowed)
    with pytest.raises(Exception, match="numpy"):
        torch.load(original_path, weights_only=True)
