"""`vtax evaluate` on a file that holds labels and markers the model does not know."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, write_checkpoint
from visual_taxonomy.errors import InputError


@pytest.fixture
def arguments(tmp_path: Path, checkpoint: Checkpoint) -> list[str]:
    """Six sarees; of the borders two are unknown to the model, and one is a marker."""
    counts = {task.name: [1] * len(task.classes) for task in checkpoint.taxonomy.tasks}
    model = tmp_path / "best.pt"
    write_checkpoint(model, replace(checkpoint, class_counts=counts))
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 50, 3), dtype=np.uint8)
    for row, image in enumerate(pixels):
        Image.fromarray(image).save(images / f"{row:06d}.png")
    borders = ["zari", "no", "[b]lace", "[b]lace", "None", "woven"]
    lines = "".join(f"{row},Sarees,{border},red\n" for row, border in enumerate(borders))
    path = tmp_path / "held_out.csv"
    path.write_text("id,Category,attr_1,attr_2\n" + lines)
    files = ["--img_dir", images, "--csv_path", path, "--ckpt_path", model]
    options = ["--out", tmp_path / "out.json", "--workers", "0", "--precision", "32"]
    return ["evaluate", *map(str, (*files, *options))]


def test_labels_the_model_does_not_know_are_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"row 4, column 'attr_1': '\[b\]lace' is none of: zari,"):
        cli.run(arguments)


@pytest.mark.parametrize(("choice", "support"), [("wrong", 5), ("ignore", 3)])
def test_labels_the_model_does_not_know_can_be_scored(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    choice: str,
    support: int,
) -> None:
    plots = ["--plots", str(tmp_path / "plots")]
    assert cli.run([*arguments, *plots, "--unknown_labels", choice]) == 0
    printed = capsys.readouterr().out
    assert f"(--unknown_labels {choice}): 2 (Sarees/border '[b]lace' 2)" in printed
    assert "cells read as unknown because they hold a marker of a missing value: 1" in printed
    report = json.loads((tmp_path / "out.json").read_text())
    border = report["categories"]["Sarees"]["attributes"]["border"]
    assert border["support"] == support
    assert ("[b]lace" in border["classes"]) == (choice == "wrong")
    assert (tmp_path / "plots" / "gallery.png").exists()


def test_other_markers_make_it_a_label_again(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"'\[b\]lace' is none of: .* \(2 more rows are wrong\)"):
        cli.run([*arguments, "--missing_values", "nan"])
