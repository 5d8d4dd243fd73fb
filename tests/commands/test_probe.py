"""`vtax probe`: flags, what it prints, and where its lines stand."""

from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.catalogue import synthesize


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    synthesize(tmp_path / "catalogue", 40, seed=2, image_size=32, workers=1)
    catalogue = tmp_path / "catalogue"
    given = {
        "img_dir": catalogue / "images",
        "attributes_config": catalogue / "attrs_config.json",
        "csv_path": catalogue / "train.csv",
        "backbone": "test_vit",
        "pretrained_ckpt": "none",
        "train_workers": 0,
        "val_workers": 0,
        "save_dir": tmp_path / "out",
        "accelerator": "cpu",
        "precision": 32,
    }
    flags = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return [*flags, "--image_size", "32", "32"]


def test_its_lines_stand_in_its_own_report_and_in_one_beside_it(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [*arguments, "--run_name", "p", "--learning_curve", "--test_ratio", "0.2"]
    assert cli.run(["probe", *first]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("linear, half prior", "gain from 500 more", "test rows, which no choice", "use "):
        assert text in shown
    # The folder of any run with the same rows will do; this one has nothing but held-out rows.
    (tmp_path / "out" / "run").mkdir()
    held_out = (tmp_path / "out" / "p" / "held_out.npz").read_bytes()
    (tmp_path / "out" / "run" / "held_out.npz").write_bytes(held_out)
    assert cli.run(["report", str(tmp_path / "out" / "run")]) == 0
    for name in ("p", "run"):
        html = (tmp_path / "out" / name / "report.html").read_text(encoding="utf-8")
        assert "Simple methods on the features of the frozen test_vit" in html
    with pytest.raises(InputError, match=r"run/probe\.json: not there"):
        cli.run(["report", str(tmp_path / "out" / "p"), "--baselines", str(tmp_path / "out/run")])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--folds", "3"], "`folds` 3 needs `fold`, the one that the probe is scored on"),
        (["--final"], "`final`: a probe is scored on validation rows; leave it out"),
        (["--tta", "flip"], "`tta=flip`: a probe sees each image as it is; leave it out"),
        (["--feature_views", "2"], "`feature_views`: a probe sees each image as it is"),
        (["--c", "0"], r"`c` must be above 0, not 0\.0"),
        (["--neighbours", "0"], "`neighbours` must be above 0, not 0"),
    ],
)
def test_what_a_probe_cannot_have_is_refused(flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cli.run(["probe", "--img_dir", "a", "--csv_path", "b", *flags])


def test_a_named_probe_is_for_run_folders() -> None:
    flags = ["--ckpt_path", "a", "--csv_path", "b", "--img_dir", "c", "--baselines", "d"]
    with pytest.raises(InputError, match="name the run folder in place of --ckpt_path"):
        cli.run(["report", *flags])


def test_the_config_of_a_training_gives_rows_and_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[data]\nimg_dir = "a"\ncsv_path = "b"\nval_ratio = 0.3\n[model]\nbackbone = "test_vit"\n'
        '[objective]\nloss_type = "LA"\n[optimizer]\nbatch_size = 7\n[run]\nrun_name = "r1"\n'
    )
    seen = []
    command = cli.COMMANDS["probe"]._replace(function=lambda config: seen.append(config) or 0)
    monkeypatch.setitem(cli.COMMANDS, "probe", command)
    assert cli.run(["probe", "--config", str(path), "--c", "0.5"]) == 0
    (config,) = seen
    assert (config.data.val_ratio, config.model.backbone, config.probe.c) == (0.3, "test_vit", 0.5)
    assert (config.probe.run_name, config.probe.batch_size) == ("visual_taxonomy_probe", 64)
    assert (config.frozen_model.freeze_backbone, config.frozen_model.head) == (True, "linear")
