"""Starting, replacing, resuming and locking a run folder, without training anything."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from visual_taxonomy.config import DataConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.errors import InputError
from visual_taxonomy.training import run_folder
from visual_taxonomy.training.run_folder import CONFIG_NAME, LAST_NAME, at_its_place, claim


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(DataConfig(Path("a"), Path("b")), run=RunConfig(tmp_path / "out", "r1"))


def changed(config: TrainConfig, **run: object) -> TrainConfig:
    return replace(config, run=replace(config.run, **run))


def files(folder: Path) -> dict[str, str]:
    """Path -> content of all files below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def start(config: TrainConfig, name: str, saves: bool = True, fails: bool = False) -> None:
    """A run that writes files with its name in them."""
    with claim(config) as folder:

        def write() -> None:
            (folder.path / "split.csv").write_text(name)

        folder.begin(config, write)
        if saves:
            (folder.path / LAST_NAME).write_text(name)
            folder.settle()
        if fails:
            raise InputError("step 3: the loss is nan")


def test_a_run_leaves_what_it_wrote_and_nothing_else(config: TrainConfig) -> None:
    start(config, "one")
    assert set(files(config.run.folder)) == {"split.csv", LAST_NAME, CONFIG_NAME}


def test_a_first_start_that_fails_leaves_nothing(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such loss"), claim(config):
        raise InputError("no such loss")
    with pytest.raises(InputError, match="the loss is nan"):
        start(config, "one", saves=False, fails=True)
    assert list(tmp_path.iterdir()) == []
    start(config, "two")


@pytest.mark.parametrize("begins", [False, True])
def test_an_overwriting_run_that_fails_brings_the_old_one_back(
    begins: bool, config: TrainConfig
) -> None:
    start(config, "old")
    (config.run.folder / "tensorboard").mkdir()
    (config.run.folder / "tensorboard" / "events").write_text("old")
    (config.run.folder / "notes.txt").write_text("mine")
    before = files(config.run.folder)
    with pytest.raises(InputError, match="nan"):
        fail(changed(config, overwrite=True), begins)
    assert files(config.run.folder) == before


def fail(config: TrainConfig, begins: bool) -> None:
    with claim(config) as folder:
        if begins:
            folder.begin(config, lambda: (folder.path / "unreadable.csv").write_text("new"))
            visible = {name for name in files(folder.path) if name[0] != "."}
            assert visible == {"notes.txt", "unreadable.csv", CONFIG_NAME}
        raise InputError("nan")


def test_the_old_run_goes_when_the_new_one_has_saved(config: TrainConfig) -> None:
    start(config, "old")
    (config.run.folder / "best_score.pt").write_text("old")
    (config.run.folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="nan"):
        start(changed(config, overwrite=True), "new", fails=True)
    found = files(config.run.folder)
    found.pop(CONFIG_NAME)
    assert found == {"split.csv": "new", LAST_NAME: "new", "notes.txt": "mine"}


KILLED = """
import os, sys
from pathlib import Path
from visual_taxonomy.config import DataConfig, RunConfig, TrainConfig
from visual_taxonomy.training import run_folder

save_dir, function, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = 0

def dying(*arguments, do=getattr(os, function), **more):
    global count
    count += 1
    if count == number:
        os._exit(9)  # no block is left in order, as after SIGKILL
    return do(*arguments, **more)

setattr(os, function, dying)
run = RunConfig(save_dir, "r1", overwrite=True)
config = TrainConfig(DataConfig(Path("a"), Path("b")), run=run)
with run_folder.claim(config) as folder:
    folder.begin(config, lambda: (folder.path / "split.csv").write_text("new"))
    (folder.path / "last.pt").write_text("new")
    folder.settle()
"""


@pytest.mark.parametrize(
    ("function", "number", "expected"),
    [
        *[("rename", number, "old") for number in (1, 2, 3)],
        *[("replace", number, "old") for number in (1, 2, 3, 4)],
        ("rmdir", 1, "new"),
    ],
)
def test_a_kill_while_replacing_leaves_one_whole_run(
    function: str, number: int, expected: str, config: TrainConfig
) -> None:
    start(config, "old")
    before = files(config.run.folder)
    command = [sys.executable, "-c", KILLED, str(config.run.save_dir), function, str(number)]
    assert subprocess.run(command, check=False).returncode == 9
    with pytest.raises(InputError, match="already holds a run"), claim(config):
        pass
    found = {name: text for name, text in files(config.run.folder).items() if name[0] != "."}
    if expected == "old":
        assert found == before
    else:
        assert (found["split.csv"], found[LAST_NAME]) == ("new", "new")
    assert not (config.run.folder / ".replaced").exists()


def test_a_first_start_that_was_killed_is_started_anew_or_resumed(config: TrainConfig) -> None:
    with claim(config) as folder:
        folder.begin(config, lambda: None)
        folder._is_unsaved = False  # as if the process had gone here
    assert (config.run.folder / CONFIG_NAME).exists()
    resumed = changed(config, resume=True)
    with claim(resumed) as folder:
        folder.begin(resumed, lambda: None)
        folder.settle()
    assert list(files(config.run.folder)) == [CONFIG_NAME]


@pytest.mark.parametrize("name", [CONFIG_NAME, LAST_NAME, "best_loss.pt"])
def test_what_a_run_has_left_is_not_started_over(name: str, config: TrainConfig) -> None:
    config.run.folder.mkdir(parents=True)
    (config.run.folder / name).write_text("old")
    with pytest.raises(InputError, match=r"already holds a run: resume it \(`resume`\)"):
        start(config, "new")
    assert files(config.run.folder) == {name: "old"}


def test_a_refused_resume_changes_nothing(config: TrainConfig) -> None:
    start(config, "old")
    before = files(config.run.folder)
    other = replace(changed(config, resume=True), optimizer=OptimizerConfig(scratch_lr=0.5))
    with pytest.raises(InputError, match=r"`scratch_lr` is 0\.5, but the run in .* has 0\.0001"):
        start(other, "new")
    late = changed(config, resume=True)
    with pytest.raises(InputError, match=r"last\.pt lacks"), claim(late):
        raise InputError("last.pt lacks scaler")
    assert files(config.run.folder) == before


def test_the_place_of_data_and_caches_may_change(config: TrainConfig) -> None:
    cached = replace(config, data=replace(config.data, image_cache=Path("there")))
    start(cached, "old")
    moved = replace(cached.data, img_dir=Path("x"), csv_path=Path("y"), image_cache=Path("z"))
    start(replace(changed(cached, resume=True), data=moved), "resumed")
    assert read_toml(TrainConfig, config.run.folder / CONFIG_NAME).data.img_dir == Path("x")
    without = replace(changed(cached, resume=True), data=config.data)
    with pytest.raises(InputError, match="`image_cache` is None, but the run"):
        start(without, "other")


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
def test_the_second_at_once_is_refused_with_who_holds_the_folder(
    flags: dict[str, bool], config: TrainConfig
) -> None:
    start(config, "old")
    holding = changed(config, overwrite=True)
    with claim(holding):
        before = files(config.run.folder)
        process = f"process {os.getpid()} on {socket.gethostname()} since 20"
        with pytest.raises(InputError, match=rf"another training run uses it \({process}"):
            start(changed(config, **flags), "second")
        assert files(config.run.folder) == before


def test_who_has_only_just_got_the_lock_is_named_too(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claim(config):
        holder = config.run.folder / ".lock_holder.json"
        text = holder.read_text()
        holder.unlink()
        monkeypatch.setattr(run_folder.time, "sleep", lambda _: holder.write_text(text))
        with pytest.raises(InputError, match=rf"uses it \(process {os.getpid()} on"):
            start(config, "second")


def test_two_names_of_one_folder_are_one_lock(config: TrainConfig, tmp_path: Path) -> None:
    with claim(config):
        (tmp_path / "link").symlink_to(config.run.folder)
        other = changed(config, save_dir=tmp_path, run_name="link")
        with pytest.raises(InputError, match="another training run uses it"):
            start(other, "second")


def test_what_the_loaders_of_a_killed_run_still_hold_is_waited_for(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    start(config, "old")
    holder = {"process": gone.pid, "host": socket.gethostname(), "since": "today"}
    (config.run.folder / ".lock_holder.json").write_text(json.dumps(holder))
    waited = []

    def acquire(self: FileLock, timeout: float) -> object:
        if timeout == 0:
            raise run_folder.Timeout("held")
        waited.append(timeout)
        return lock(self, timeout=0)

    lock = FileLock.acquire
    monkeypatch.setattr(FileLock, "acquire", acquire)
    start(changed(config, resume=True), "resumed")
    assert waited == [run_folder._SECONDS_FOR_LOADERS]


def test_left_overs_of_killed_writers_are_removed(config: TrainConfig) -> None:
    start(config, "old")
    for name in (".last.0123456789ab.pt", ".config.0123456789ab.toml", ".mine.pt"):
        (config.run.folder / name).write_text("half")
    start(changed(config, resume=True), "resumed")
    assert {name for name in files(config.run.folder) if name[0] == "."} == {".mine.pt"}


def test_a_moved_folder_is_where_its_config_is(config: TrainConfig, tmp_path: Path) -> None:
    start(config, "old")
    moved = config.run.folder.rename(tmp_path / "elsewhere")
    found = at_its_place(moved / CONFIG_NAME, read_toml(TrainConfig, moved / CONFIG_NAME))
    assert found.run.folder == moved
    assert replace(found, run=config.run) == config


@pytest.mark.parametrize("name", ["demo.toml", CONFIG_NAME])
def test_a_config_that_belongs_to_no_run_stays_as_it_is(
    name: str, config: TrainConfig, tmp_path: Path
) -> None:
    assert at_its_place(tmp_path / name, config) == config


def test_the_working_directory_does_not_matter(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start(changed(config, save_dir=Path("out")), "old")
    kept = tmp_path / "out" / "r1" / CONFIG_NAME
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    found = at_its_place(kept, read_toml(TrainConfig, kept))
    start(changed(found, resume=True), "resumed")
    assert (kept.parent / LAST_NAME).read_text() == "resumed"
    assert list((tmp_path / "away").iterdir()) == []


def test_resume_and_overwrite_exclude_each_other() -> None:
    with pytest.raises(InputError, match="`resume` and `overwrite` exclude each other"):
        RunConfig(resume=True, overwrite=True)
