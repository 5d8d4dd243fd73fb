"""`vtax predict` of images that are named on the line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, write_checkpoint
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import Bundle
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.taxonomy import Taxonomy

CPU = ("--workers", "0", "--precision", "32", "--accelerator", "cpu")
KURTIS = ("--category", "Kurtis")


@pytest.fixture
def images(table_of) -> Path:
    """The folder of four images, the last of them damaged."""
    table = table_of(4)
    table.path(3).write_bytes(b"no image")
    return table.img_dir


@pytest.fixture
def run(checkpoint_path: Path) -> Callable[..., int]:
    def predict(*arguments: object, model: Path = checkpoint_path) -> int:
        return cli.run(["predict", "--ckpt_path", str(model), *map(str, arguments), *CPU])

    return predict


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_answers_of_images_on_the_line_are_those_of_a_table(
    run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(images / "000002.png", images, *KURTIS, "--json") == 3
    found = lines(capsys)
    names = ("000002.png", "000000.png", "000001.png", "000003.png")
    assert [line["image"] for line in found] == [str(images / name) for name in names]
    csv = tmp_path / "rows.csv"
    csv.write_text("id,Category\n2,Kurtis\n0,Kurtis\n1,Kurtis\n3,Kurtis\n")
    out = tmp_path / "out.jsonl"
    table = ("--img_dir", images, "--csv_path", csv, "--out_csv_path", out, "--format", "jsonl")
    assert run(*table) == 3
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    for line, product in zip(found, ("2", "0", "1"), strict=False):
        assert line["attributes"] == {
            cell["attribute"]: {name: cell[name] for name in cell if name not in GIVEN}
            for cell in cells
            if cell["id"] == product
        }


GIVEN = ("id", "category", "attribute")


def test_the_form_of_a_line_stays_as_it_is(
    run, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs read these keys: new ones may come, none may go."""
    assert run(images / "000000.png", images / "000003.png", *KURTIS, "--json") == 3
    good, bad = lines(capsys)
    assert list(good) == ["image", "category", "problem", "attributes"]
    assert (good["category"], good["problem"]) == ("Kurtis", None)
    assert list(good["attributes"]) == ["color", "sleeve", "occasion"]
    keys = ["label", "probability", "runner_up", "runner_up_probability", "status"]
    assert list(good["attributes"]["color"]) == keys
    assert good["attributes"]["color"]["status"] == "answered"
    assert good["attributes"]["occasion"]["runner_up"] is None  # it has one class
    assert bad["problem"] == "not a JPEG, PNG, WebP, BMP or GIF image"
    assert bad["attributes"] == {}


def test_people_get_a_table_and_reasons(
    run, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(images / "000000.png", images / "000003.png", "--category", "kurtis") == 3
    printed = capsys.readouterr()
    assert f"{images / '000000.png'} (Kurtis)" in printed.out
    assert "three-quarter" in printed.out or "long" in printed.out or "short" in printed.out
    assert f"{images / '000003.png'}: not a JPEG" in printed.err
    assert "000003" not in printed.out


def test_unsure_answers_are_unknown(
    run,
    images: Path,
    checkpoint: Checkpoint,
    decision: Decision,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "best.pt"
    write_checkpoint(path, replace(checkpoint, decision=decision))
    flags = (images / "000000.png", *KURTIS, "--target_precision", "0.99")
    assert run(*flags, model=path) == 0
    assert "unknown (perhaps " in capsys.readouterr().out
    assert run(*flags, "--json", model=path) == 0
    (line,) = lines(capsys)
    assert "unknown" in {cell["status"] for cell in line["attributes"].values()}


def test_without_a_category_those_of_the_model_are_listed(run, images: Path) -> None:
    with pytest.raises(InputError, match="--category which one the images are of: Sarees, Kurtis"):
        run(images)
    with pytest.raises(InputError, match=r"--category 'Kurti' is none of.* mean 'Kurtis'"):
        run(images, "--category", "Kurti")


def test_a_model_of_one_category_needs_no_word(
    run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taxonomy = Taxonomy.from_dict({"Shoes": {"color": ["red", "blue"]}})
    config = ModelConfig(backbone="test_vit", image_size=(32, 32), head="linear")
    weights = build_classifier(taxonomy, config).state_dict()
    write_checkpoint(tmp_path / "shoes.pt", Checkpoint(taxonomy, config, weights))
    assert run(images / "000000.png", "--json", model=tmp_path / "shoes.pt") == 0
    (line,) = lines(capsys)
    assert line["category"] == "Shoes"


def test_a_bundle_answers_as_its_checkpoint_does(
    run, images: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(images / "000000.png", *KURTIS, "--json", model=bundle.folder) == 0
    (of_bundle,) = lines(capsys)
    assert run(images / "000000.png", *KURTIS, "--json") == 0
    (of_checkpoint,) = lines(capsys)
    for name, cell in of_checkpoint["attributes"].items():
        other = of_bundle["attributes"][name]
        assert other["label"] == cell["label"]
        # Its images are resized by Pillow, not by torch: a grey level here and there.
        assert other["probability"] == pytest.approx(cell["probability"], abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.jpg", "--csv_path", "a.csv", "--img_dir", "b"), "leave out --img_dir, --csv_path, or"),
        (("a.jpg", "--id_column", "sku"), "leave out --id_column, or the images"),
        (("a.jpg", "--out_csv_path", "o.csv", "--overwrite"), "leave out --out_csv_path, --overwr"),
        (("--json",), "--category and --json are for images that are named on the line"),
        (("--csv_path", "a.csv", "--img_dir", "b", "--category", "c"), "are for images that are"),
        ((), r"^--csv_path: missing; .* or name the images: vtax predict --ckpt_path"),
        (("none.jpg",), r"none\.jpg: no such file or folder; check the path"),
    ],
)
def test_images_and_a_table_exclude_each_other(run, arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        run(*arguments)
