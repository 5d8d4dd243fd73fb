import os
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.errors import InputError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    path.write_text("id\n1\n")
    return path


def test_an_input_is_refused_under_any_name(source: Path, monkeypatch) -> None:
    monkeypatch.chdir(source.parent)
    Path("hard.csv").hardlink_to(source)
    Path("soft.csv").symlink_to(source)
    Path("folder").mkdir()
    for name in ("train.csv", "./folder/../train.csv", "hard.csv", "soft.csv"):
        with pytest.raises(InputError, match=r"--out .*: this command reads it"):
            check_output("--out", Path(name), [None, source], overwrite=True)
    with pytest.raises(InputError, match=r"hard\.csv: this command reads it as .*train\.csv; name"):
        check_output("--out", Path("hard.csv"), [source], overwrite=True)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "a device or a pipe"),
        (Path("/dev/null"), "a device or a pipe"),
    ):
        with pytest.raises(InputError, match=f"--out {path}: is {kind}, expected a file; name"):
            check_output("--out", path, [], overwrite=True)


def test_an_existing_file_needs_overwrite(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--out .*train\.csv: already exists; .* --overwrite$"):
        check_output("--out", source, [], overwrite=False)
    check_output("--out", source, [], overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists"):
        check_output("--out", tmp_path / "link", [source], overwrite=False)


def test_a_new_file_is_accepted(source: Path) -> None:
    check_output("--out", source.with_name("new.csv"), [source, None], overwrite=False)


def test_links_in_a_circle_are_no_traceback(source: Path, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="already exists"):
        check_output("--out", tmp_path / "a", [source], overwrite=False)


@pytest.fixture
def evaluate(table_of, checkpoint, tmp_path: Path) -> list[str]:
    """`vtax evaluate` on 4 labelled rows."""
    table = table_of(4)
    counts = {task.name: [1] * len(task.classes) for task in checkpoint.taxonomy.tasks}
    write_checkpoint(tmp_path / "best.pt", replace(checkpoint, class_counts=counts))
    lines = ["id,Category,border,color,sleeve,occasion"]
    lines += [
        f"{row},Sarees,zari,red,," if row % 2 == 0 else f"{row},Kurtis,,green,long,default"
        for row in range(4)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    paths = ["--img_dir", table.img_dir, "--csv_path", tmp_path / "rows.csv"]
    model = ["--ckpt_path", tmp_path / "best.pt", "--workers", 0, "--precision", 32]
    return ["evaluate", *map(str, [*paths, *model, "--accelerator", "cpu"])]


def test_evaluate_refuses_its_inputs_and_needs_overwrite(
    evaluate: list[str], tmp_path: Path
) -> None:
    for path in (tmp_path / "best.pt", tmp_path / "rows.csv"):
        before = path.read_bytes()
        with pytest.raises(InputError, match=r"--out .*: this command reads it"):
            cli.run([*evaluate, "--out", str(path), "--overwrite"])
        assert path.read_bytes() == before
    report = tmp_path / "report.json"
    report.write_text("mine")
    with pytest.raises(InputError, match=r"--out .*report\.json: already exists; .*--overwrite"):
        cli.run([*evaluate, "--out", str(report)])
    assert report.read_text() == "mine"
    assert cli.run([*evaluate, "--out", str(report), "--overwrite"]) == 0
    written = report.read_bytes()
    assert cli.run([*evaluate, "--out", str(report)]) == 0  # its own report is made anew
    assert report.read_bytes() == written
    assert b'"hm"' in written


def test_evaluate_does_not_plot_over_the_plots_of_a_run_or_over_an_image(
    evaluate: list[str], tmp_path: Path
) -> None:
    """A run folder holds a scores.png of its own."""
    (tmp_path / "scores.png").write_text("of the run")
    with pytest.raises(InputError, match=r"--plots .*scores\.png: already exists"):
        cli.run([*evaluate, "--plots", str(tmp_path)])
    images = tmp_path / "images"
    (images / "000000.png").rename(images / "gallery.png")
    with pytest.raises(InputError, match=r"--plots .*gallery\.png: this command reads it"):
        cli.run([*evaluate, "--plots", str(images), "--overwrite"])
    assert (tmp_path / "scores.png").read_text() == "of the run"


def test_create_config_keeps_its_csv_and_a_taxonomy_edited_by_hand(
    evaluate: list[str], tmp_path: Path, capsys
) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "attrs.json"
    before = rows.read_bytes()
    command = ["create-config", "--csv_path", str(rows), "--out_path"]
    with pytest.raises(InputError, match=r"--out_path .*: this command reads it"):
        cli.run([*command, str(rows), "--overwrite"])
    assert rows.read_bytes() == before
    assert cli.run([*command, str(out)]) == 0
    text = out.read_text()
    assert cli.run([*command, str(out)]) == 0  # it would be the same
    out.write_text(text.replace("zari", "Zari"))
    with pytest.raises(InputError, match=r"--out_path .*attrs\.json: already exists"):
        cli.run([*command, str(out)])
    assert cli.run([*command, str(out), "--overwrite"]) == 0
    assert out.read_text() == text


def test_benchmark_keeps_an_existing_file_and_its_weights(tmp_path: Path) -> None:
    out = tmp_path / "weights.pt"
    out.write_text("mine")
    with pytest.raises(InputError, match=r"--out .*: already exists"):
        cli.run(["benchmark", "--out", str(out)])
    with pytest.raises(InputError, match=r"--out .*: this command reads it"):
        cli.run(["benchmark", "--out", str(out), "--overwrite", "--pretrained_ckpt", str(out)])
    assert out.read_text() == "mine"
