"""One catalogue in several forms: the same split, the same weights, the same answers."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import Taxonomy

COLUMNS = ("--id_column", "sku", "--category_column", "gender", "type", "--image_column", "photo")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn catalogue of the categories whose names have two words, in the usual form."""
    folder = tmp_path_factory.mktemp("usual") / "drawn"
    synthesize(folder, 60, seed=1, image_size=64, workers=1)
    frame = pl.read_csv(folder / "train.csv", infer_schema=False)
    frame.filter(pl.col("Category").str.contains(" ")).write_csv(folder / "train.csv")
    mapping = Taxonomy.read(folder / "attrs_config.json").to_dict()
    kept = {name: each for name, each in mapping.items() if " " in name}
    (folder / "attrs_config.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def own(usual: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other names, semicolons, and images in subfolders, named without suffix."""
    folder = tmp_path_factory.mktemp("own")
    taxonomy = Taxonomy.read(usual / "attrs_config.json")
    rows = []
    for row in pl.read_csv(usual / "train.csv", infer_schema=False).iter_rows(named=True):
        gender, kind = row["Category"].split(" ", 1)
        image = f"pics/{gender}/p{row['id']}"
        source = usual / "images" / f"{int(row['id']):06d}.jpg"
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / f"{image}.jpg")
        names = taxonomy.attributes(row["Category"])
        labels = {name: row[f"attr_{k}"] for k, name in enumerate(names, start=1)}
        rows.append({"photo": image, "sku": row["id"], "gender": gender, "type": kind} | labels)
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in names})
    frame.write_csv(folder / "own.csv", separator=";", include_bom=True)
    frame.write_ndjson(folder / "own.jsonl")
    frame.write_parquet(folder / "own.parquet")
    contents = [(folder / f"{row['photo']}.jpg").read_bytes() for row in rows]
    held = frame.with_columns(photo=pl.Series(contents, dtype=pl.Binary))
    held.write_parquet(folder / "held.parquet", row_group_size=7)
    structs = [{"bytes": each, "path": "gone.jpg"} for each in contents]
    # Some of them are files, as Hugging Face datasets allow.
    structs[3] = {"bytes": None, "path": f"{rows[3]['photo']}.jpg"}
    frame.with_columns(photo=pl.Series(structs)).write_parquet(folder / "structs.parquet")
    return folder


def run_of(folder: Path, csv: Path, images: Path | None, taxonomy: Path, *more: str) -> Path:
    flags = ["--csv_path", csv, "--attributes_config", taxonomy]
    flags += ["--img_dir", images] if images else []
    flags += ["--save_dir", folder, "--run_name", "run", "--epochs", 1, "--batch_size", 8]
    flags += ["--backbone", "test_vit", "--pretrained_ckpt", "none", "--precision", 32]
    flags += ["--image_size", 32, 32, "--train_workers", 0, "--val_workers", 0]
    assert cli.run(["train", *map(str, flags), "--accelerator", "cpu", *more]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def of_usual(usual: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("of_usual")
    return run_of(folder, usual / "train.csv", usual / "images", usual / "attrs_config.json")


@pytest.fixture(scope="module")
def of_own(own: Path, usual: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the file that `vtax inspect` writes, without a word more."""
    folder = tmp_path_factory.mktemp("of_own")
    toml = folder / "catalogue.toml"
    attributes = {t.attribute for t in Taxonomy.read(usual / "attrs_config.json").tasks}
    chosen = ["--attribute_columns", *sorted(attributes)]
    assert cli.run(["inspect", str(own / "own.csv"), "--out", str(toml), *chosen]) == 0
    flags = ("--catalogue", str(toml))
    return run_of(folder, own / "own.csv", own, usual / "attrs_config.json", *flags)


@pytest.fixture(scope="module")
def of_held(own: Path, usual: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From images in the table itself; there is no folder of images."""
    folder = tmp_path_factory.mktemp("of_held")
    return run_of(folder, own / "held.parquet", None, usual / "attrs_config.json", *COLUMNS)


def answers(
    run: Path, csv: Path, images: Path | None, out: Path, *more: str
) -> tuple[bytes, object]:
    flags = ["--csv_path", csv, "--ckpt_path", run / "best_score.pt"]
    flags += ["--img_dir", images] if images else []
    flags += ["--workers", 0, "--precision", 32, "--accelerator", "cpu"]
    texts = [str(flag) for flag in flags]
    csv_path, scores = out / "answers.csv", out / "scores.json"
    named = ["--out_csv_path", str(csv_path), "--columns", "named", "--overwrite"]
    assert cli.run(["predict", *texts, *named, *more]) == 0
    assert cli.run(["evaluate", *texts, "--out", str(scores), *more]) == 0
    found = pl.read_csv(csv_path, infer_schema=False)
    return found.select(sorted(found.columns)).write_csv().encode(), json.loads(scores.read_text())


def test_the_form_of_a_catalogue_changes_neither_split_nor_weights(
    of_usual: Path, of_own: Path, of_held: Path
) -> None:
    one = read_checkpoint(of_usual / "best_score.pt")
    for run in (of_own, of_held):
        assert (of_usual / "split.csv").read_bytes() == (run / "split.csv").read_bytes()
        other = read_checkpoint(run / "best_score.pt")
        assert one.taxonomy == other.taxonomy
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
        assert one.metrics == other.metrics


def test_a_model_reads_other_files_of_its_columns_without_flags(
    usual: Path, own: Path, of_usual: Path, of_own: Path, of_held: Path, tmp_path: Path
) -> None:
    expected = answers(of_usual, usual / "train.csv", usual / "images", tmp_path)
    for name in ("own.csv", "own.jsonl", "own.parquet"):
        assert answers(of_own, own / name, own, tmp_path) == expected
    # Neither does it matter that the model has seen files and now gets bytes, or both.
    assert answers(of_own, own / "held.parquet", None, tmp_path) == expected
    assert answers(of_held, own / "structs.parquet", own, tmp_path) == expected
    # A file in the usual form needs none either, and a model of that form takes flags.
    assert answers(of_own, usual / "train.csv", usual / "images", tmp_path) == expected
    assert answers(of_usual, own / "own.csv", own, tmp_path, *COLUMNS) == expected


def test_a_run_is_resumed_without_the_file_it_was_told_its_columns_by(of_own: Path) -> None:
    text = (of_own / "config.toml").read_text(encoding="utf-8")
    assert 'id_column = "sku"' in text
    assert "catalogue.toml" not in text


def test_a_model_of_the_usual_form_names_the_flags_for_another(
    own: Path, of_usual: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"column 'id' is none of: photo, .*`id_column`"):
        answers(of_usual, own / "own.csv", own, tmp_path)
