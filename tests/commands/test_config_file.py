"""`--config FILE.toml` of every command."""

from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.config_values import to_toml
from visual_taxonomy.errors import InputError

FLAGS = 'img_dir = "a"\ncsv_path = "b"\nckpt_path = "c"\n'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a command that only remembers its flags, with a config file of the given text."""
    path = tmp_path / "run.toml"

    def call(name: str, text: str, *arguments: str, form: str = "--config={}") -> object:
        path.write_text(text, encoding="utf-8")
        seen: list[object] = []
        command = cli.Command(cli.COMMANDS[name].flags, lambda flags: seen.append(flags) or 0)
        monkeypatch.setitem(cli.COMMANDS, name, command)
        cli.run([name, *arguments, *form.format(path).split(" ")])
        return seen[0]

    return call


@pytest.mark.parametrize("form", ["--config={}", "--config {}"])
@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("train", '[data]\nimg_dir = "a"\ncsv_path = "b"\n', "data.img_dir", Path("a")),
        ("cross-validate", '[data]\nimg_dir = "a"\ncsv_path = "b"\n', "data.img_dir", Path("a")),
        ("probe", '[data]\nimg_dir = "a"\ncsv_path = "b"\n', "data.img_dir", Path("a")),
        ("evaluate", FLAGS, "ckpt_path", Path("c")),
        ("predict", FLAGS + "probabilities = true\n", "probabilities", True),
        ("audit", 'run = "a"\n', "run", Path("a")),
        ("report", 'run = "a"\n', "run", Path("a")),
        ("compare", 'grid = "a"\nsamples = 300\n', "samples", 300),
        ("compare-runs", 'first = "a"\nsecond = "b"\n', "second", Path("b")),
        ("fill", 'csv = "a"\nckpt_path = "b"\nout_csv_path = "c"\n', "ckpt_path", Path("b")),
        ("soup", 'checkpoints = ["a", "b"]\nout = "c"\n', "out", Path("c")),
        ("export", 'checkpoint = "a"\nout = "b"\n', "checkpoint", Path("a")),
        ("convert", 'checkpoint = "a"\nattributes_config = "b"\nout = "c"\n', "out", Path("c")),
        ("inspect", 'csv_path = "b"\n', "path", Path("b")),
        ("calibrate", 'checkpoint = "a"\nheld_out = "b"\nout = "c"\n', "out", Path("c")),
        ("create-config", 'csv_path = "b"\n', "csv_path", Path("b")),
        ("download-weights", 'name = "ViT-L-14"\n', "name", "ViT-L-14"),
        ("synthesize", 'out = "b"\nrows = 7\n', "rows", 7),
        ("list", 'what = "losses"\n', "what", "losses"),
        ("benchmark", "rows = 64\n", "rows", 64),
    ],
)
def test_every_command_takes_its_flags_from_a_file(run, name, text, field, value, form) -> None:
    found = run(name, text, form=form)
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value


def test_the_list_of_commands_above_is_complete() -> None:
    marks = test_every_command_takes_its_flags_from_a_file.pytestmark
    (cases,) = (mark.args[1] for mark in marks if mark.args[0] != "form")
    assert {case[0] for case in cases} == set(cli.COMMANDS)


def test_a_flag_overrides_the_file_and_may_stand_in_a_section_of_it(run) -> None:
    text = FLAGS + "batch_size = 3\n[inference]\nworkers = 0\n"
    found = run("predict", text, "--workers", "4", "--csv_path", "d")
    assert (found.inference.batch_size, found.inference.workers) == (3, 4)
    assert found.csv_path == Path("d")


def test_flags_and_file_complete_each_other(run) -> None:
    assert run("predict", 'img_dir = "a"\n', "--csv_path=b", "--ckpt_path=c").img_dir == Path("a")
    assert run(
        "export", 'checkpoint = "a"\ncsv_path = "b"\n', "--out=o", "--img_dir=i"
    ).out == Path("o")
    train = run("train", "[optimizer]\nepochs = 3\n", "--img_dir", "a", "--csv_path", "b")
    assert train.optimizer.epochs == 3


def test_the_file_may_stand_before_the_command(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "l.toml").write_text('what = "schedules"\n')
    seen: list[object] = []
    monkeypatch.setitem(cli.COMMANDS, "list", cli.Command(cli.List, lambda x: seen.append(x) or 0))
    assert cli.run(["--config", str(tmp_path / "l.toml"), "list"]) == 0
    assert seen == [cli.List("schedules")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("predict", "", r"Missing from vtax predict:.*--ckpt_path.* \(defaults from .*run\.toml\)"),
        ("predict", FLAGS + "worker = 1\n", r"run\.toml: 'worker' is none of: .*"),
        ("predict", FLAGS + "workers = 1\n[inference]\nworkers = 2\n", "'workers' is given twice"),
        ("predict", FLAGS + "workers = -1\n", r"`workers` must be 0 or more.*run\.toml"),
        ("list", 'what = "loses"\n', r"what = 'loses' cannot be used; expected one of losses"),
        ("train", 'data = "x"\n', r"run\.toml, \[data\] must be a section of names and values"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_the_file(run, name, text, message) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        run(name, text)


@pytest.mark.parametrize("name", ["predict", "evaluate", "benchmark", "export"])
def test_the_config_of_a_run_is_for_train_only(run, name: str) -> None:
    text = to_toml(TrainConfig(DataConfig(Path("a"), Path("b"))))
    with pytest.raises(InputError, match=rf"is the config of a training run, .*vtax {name}` takes"):
        run(name, text)


@pytest.mark.parametrize("arguments", [["--config"], ["--config="], ["--config", "--resume"]])
def test_config_without_a_file_is_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="--config needs a TOML file"):
        cli.run(["train", *arguments])


def test_two_config_files_are_refused() -> None:
    with pytest.raises(InputError, match=r"--config is given 2 times \(a\.toml, b\.toml\)"):
        cli.run(["list", "--config", "a.toml", "--config=b.toml"])
