"""What can go wrong: each scenario harms one command in one way and looks what is left.

A scenario takes the workspace and its own random numbers; it returns None if all is well, else what
is not.
"""

import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from process import Command, Outcome, mounted, vtax
from workspace import Workspace, digest, left_overs, metrics

Scenario = Callable[[Workspace, random.Random], str | None]
_TRAINING_SECONDS = 2.0
_KILLS = 3


def _resumed(work: Workspace, random: random.Random, number: signal.Signals) -> str | None:
    """A training that is stopped a few times at random, and resumed each time."""
    folder = work.round_folder()
    run = folder / "run"
    for _ in range(_KILLS):
        command = Command(work.train(run, "--resume"), folder / "log.txt")
        stopped = command.stop_after(random.uniform(0, _TRAINING_SECONDS), number)
        if stopped.status not in (0, -number, 130, 128 + number):
            return f"stopped: {stopped}"
    ended = vtax(work.train(run, "--resume"), folder / "log.txt")
    return _same_run(work, run, ended)


def _same_run(work: Workspace, run: Path, ended: Outcome) -> str | None:
    if ended.status != 0:
        return f"resumed: {ended}"
    if digest(run / "last.pt") != work.weights:
        return "other weights than those of the run without a fault"
    if metrics(run) != work.metrics:
        return "other metrics.csv than that of the run without a fault"
    return f"left behind: {left_overs(run)}" if left_overs(run) else None


def killed_training(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL at random moments of a training; it resumes to the same weights."""
    return _resumed(work, random, signal.SIGKILL)


def interrupted_training(work: Workspace, random: random.Random) -> str | None:
    """Ctrl-C or SIGTERM at random moments of a training; it resumes to the same weights."""
    return _resumed(work, random, random.choice([signal.SIGINT, signal.SIGTERM]))


def killed_overwrite(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL while a run replaces another: the old checkpoints or new ones are always there."""
    folder = work.round_folder()
    run = work.copy_of_run(folder)
    command = work.train(run, "--overwrite")
    Command(command, folder / "log.txt").stop_after(
        random.uniform(0, _TRAINING_SECONDS), signal.SIGKILL
    )
    if not list(folder.rglob("last.pt")):
        return f"no last.pt is left, neither the old nor a new one: {sorted(folder.rglob('*'))}"
    return _same_run(work, run, vtax(command, folder / "log.txt"))


def refused_overwrite(work: Workspace, random: random.Random) -> str | None:
    """A command with a mistake replaces nothing."""
    folder = work.round_folder()
    run = work.copy_of_run(folder)
    before = _contents(run)
    mistake = random.choice(
        [
            ["--loss_type", "LDMA"],
            ["--method", "PCGrab"],
            ["--csv_path", str(folder / "nothing.csv")],
            ["--pretrained_ckpt", str(folder / "nothing.pt")],
            ["--backbone", "test_vat"],
            ["--train_rule", "RDW"],
        ]
    )
    start = random.choice(["--overwrite", "--resume"])
    ended = vtax([*work.train(run, start), *mistake], folder / "log.txt")
    if not ended.is_clear_refusal:
        return f"{mistake}: {ended}"
    return None if _contents(run) == before else f"{start} {mistake}: the run has changed"


def _predicted_again(work: Workspace, model: Path, out: Path, log: Path, *flags: str) -> str | None:
    ended = vtax(work.predict(model, out, *flags), log)
    if ended.status != 0:
        return f"again: {ended}"
    if out.read_bytes() != work.predictions[model]:
        return "other predictions than without a fault"
    names = [name for name in left_overs(out.parent) if ".part" in name]
    return f"left behind: {names}" if names else None


def killed_prediction(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL at random moments of a prediction; the same command ends with the same bytes."""
    folder = work.round_folder()
    model = random.choice([work.checkpoint, work.bundle])
    out = folder / "out.csv"
    for _ in range(_KILLS):
        command = Command(work.predict(model, out), folder / "log.txt")
        command.stop_after(random.uniform(0, 0.8), signal.SIGKILL)
    return _predicted_again(work, model, out, folder / "log.txt")


def killed_evaluation(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL at a random moment of an evaluation: a report is whole or not there."""
    folder = work.round_folder()
    out = folder / "report.json"
    command = Command(work.evaluate(work.checkpoint, out), folder / "log.txt")
    command.stop_after(random.uniform(0, 0.8), signal.SIGKILL)
    if out.exists():
        json.loads(out.read_text(encoding="utf-8"))
    ended = vtax(work.evaluate(work.checkpoint, out), folder / "log.txt")
    return None if ended.status == 0 and json.loads(out.read_text()) else str(ended)


def killed_export(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL at a random moment of an export: a bundle is whole or has not its name."""
    folder = work.round_folder()
    out = folder / "bundle"
    command = ["export", str(work.checkpoint), "--to", "bundle", "--out", str(out)]
    Command(command, folder / "log.txt").stop_after(random.uniform(0, 6), signal.SIGKILL)
    if not out.exists():
        ended = vtax(command, folder / "log.txt")
        if ended.status != 0:
            return f"again: {ended}"
    table = folder / "out.csv"
    ended = vtax(work.predict(out, table, "--engine", "torch"), folder / "log.txt")
    if ended.status != 0:
        return str(ended)
    return None if table.read_bytes() == work.predictions[work.checkpoint] else "other answers"


def killed_image_cache(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL while images are cached; a later run uses the cache and trains as without."""
    folder = work.round_folder()
    cache = ("--image_cache", str(folder / "cache"))
    run = folder / "run"
    for _ in range(_KILLS):
        command = Command(work.train(run, "--resume", *cache), folder / "log.txt")
        command.stop_after(random.uniform(0, 1), signal.SIGKILL)
    ended = vtax(work.train(run, "--resume", *cache), folder / "log.txt")
    if ended.status != 0:
        return str(ended)
    other = folder / "other"
    ended = vtax(work.train(other, *cache), folder / "log.txt")
    if ended.status != 0:
        return str(ended)
    same = digest(run / "last.pt") == digest(other / "last.pt")
    return None if same else "the cache of the killed run gives other weights"


def killed_feature_cache(work: Workspace, random: random.Random) -> str | None:
    """SIGKILL while features are cached; the run ends as one that was never killed."""
    folder = work.round_folder()
    flags = ("--freeze_backbone", "--feature_cache")
    for _ in range(_KILLS):
        command = work.train(folder / "run", "--resume", *flags, str(folder / "cache"))
        Command(command, folder / "log.txt").stop_after(random.uniform(0, 1), signal.SIGKILL)
    for run, cache in (("run", "cache"), ("other", "other_cache")):
        resume = ["--resume"] if run == "run" else []
        command = work.train(folder / run, *resume, *flags, str(folder / cache))
        ended = vtax(command, folder / "log.txt")
        if ended.status != 0:
            return str(ended)
    same = digest(folder / "run/last.pt") == digest(folder / "other/last.pt")
    return None if same else "the killed run has other weights"


def full_disk(work: Workspace, random: random.Random) -> str | None:
    """The disk, or what a file may hold, ends at random: one message, and later it works."""
    folder = work.round_folder()
    log = folder / "log.txt"
    name = random.choice(["train", "predict", "evaluate", "export", "synthesize", "create-config"])
    size = int(10 ** random.uniform(0, 6))
    if random.random() < 0.5:
        with mounted(folder / "disk", f"size={max(size, 4096)}") as is_there:
            if is_there:
                ended = vtax(_writing(work, name, folder / "disk/out"), log)
                return _refused_or_done(f"{name} on a disk of {size} bytes", ended)
    # The log has to be unlimited, and the null device is.
    ended = vtax(_writing(work, name, folder / "out"), Path("/dev/null"), size)
    if ended.status not in (0, 2):
        return f"{name}, files of {size} bytes: status {ended.status}"
    again = vtax(_writing(work, name, folder / "out"), log)
    if ended.status == 0 or again.status == 0:
        return None
    return f"{name} after files of {size} bytes: {again}"


def read_only_disk(work: Workspace, random: random.Random) -> str | None:
    """The disk is read-only: one message."""
    folder = work.round_folder()
    name = random.choice(["train", "predict", "evaluate", "export", "synthesize", "create-config"])
    with mounted(folder / "disk", "ro") as is_there:
        if not is_there:
            return None
        ended = vtax(_writing(work, name, folder / "disk/out"), folder / "log.txt")
    return None if ended.is_clear_refusal and "read-only" in ended.text else f"{name}: {ended}"


def _writing(work: Workspace, name: str, out: Path) -> list[str]:
    """The arguments of a command that writes to `out`."""
    commands = {
        "train": work.train(out),
        "predict": work.predict(work.checkpoint, out),
        "evaluate": work.evaluate(work.checkpoint, out),
        "export": ["export", str(work.checkpoint), "--to", "bundle", "--out", str(out)],
        "synthesize": ["synthesize", "--out", str(out), "--rows", "8", "--image_size", "48"],
        "create-config": [
            *("create-config", "--csv_path", str(work.catalogue / "train.csv")),
            *("--out_path", str(out)),
        ],
    }
    return commands[name]


def _refused_or_done(what: str, ended: Outcome) -> str | None:
    return None if ended.status == 0 or ended.is_clear_refusal else f"{what}: {ended}"


def flipped_bit(work: Workspace, random: random.Random) -> str | None:
    """One bit of a file that is read again is turned: it is refused by name, or nothing changes."""
    folder = work.round_folder()
    run = work.copy_of_run(folder)
    bundle = Path(shutil.copytree(work.bundle, folder / "bundle"))
    choice = random.choice(["checkpoint", "bundle", "last.pt"])
    out = folder / "out.csv"
    if choice == "last.pt":
        _flip(run / "last.pt", random)
        ended = vtax(work.train(run, "--resume"), folder / "log.txt")
        expected = work.weights
        if ended.status == 0 and digest(run / "last.pt") == expected:
            return None
        return None if ended.is_clear_refusal and "last.pt" in ended.text else str(ended)
    model = run / "best_score.pt" if choice == "checkpoint" else bundle
    original = work.checkpoint if choice == "checkpoint" else work.bundle
    victim = model
    if choice == "bundle":
        files = [path for path in sorted(bundle.iterdir()) if path.name != "README.md"]
        victim = random.choice(files)
    _flip(victim, random)
    ended = vtax(work.predict(model, out), folder / "log.txt")
    if ended.status == 0 and out.read_bytes() == work.predictions[original]:
        return None
    if ended.is_clear_refusal and victim.name in ended.text.replace("\n", ""):
        return None
    return f"{victim.name}: {ended}"


def flipped_bit_in_a_cache(work: Workspace, random: random.Random) -> str | None:
    """One bit of a cache is turned: it is refused by name or repaired; never trained on."""
    folder = work.round_folder()
    kind = random.choice([["--image_cache"], ["--freeze_backbone", "--feature_cache"]])
    flags = [*kind, str(folder / "cache")]
    before = vtax(work.train(folder / "first", *flags), folder / "log.txt")
    if before.status != 0:
        return str(before)
    victim = random.choice(sorted(path for path in (folder / "cache").rglob("*") if path.is_file()))
    if victim.stat().st_size == 0:
        return None
    _flip(victim, random)
    ended = vtax(work.train(folder / "second", *flags), folder / "log.txt")
    if ended.status == 0:
        same = digest(folder / "first/last.pt") == digest(folder / "second/last.pt")
        return None if same else f"{victim.name}: other weights, without a word"
    named = victim.name in ended.text.replace("\n", "")
    return None if ended.is_clear_refusal and named else f"{victim.name}: {ended}"


def flipped_bit_in_a_broken_off_prediction(work: Workspace, random: random.Random) -> str | None:
    """One bit of what a killed prediction left is turned: the CSV is right all the same."""
    folder = work.round_folder()
    out = folder / "out.csv"
    command = Command(work.predict(work.checkpoint, out), folder / "log.txt")
    command.stop_after(random.uniform(0.1, 0.6), signal.SIGKILL)
    parts = [path for path in folder.glob(".out.csv*") if path.stat().st_size]
    if parts and not out.exists():
        victim = random.choice(sorted(parts))
        if random.random() < 0.5:
            _flip(victim, random)
        else:  # what a power failure leaves: the length of the file without its pages
            content = victim.read_bytes()
            keep = random.randrange(len(content))
            victim.write_bytes(content[:keep] + bytes(len(content) - keep))
    return _predicted_again(work, work.checkpoint, out, folder / "log.txt")


def two_trainings(work: Workspace, random: random.Random) -> str | None:
    """Two runs at once into one folder: one is refused and says who holds it."""
    folder = work.round_folder()
    run = work.copy_of_run(folder)
    start = random.choice(["--overwrite", "--resume"])
    flags = [start, "--epochs", "6"] if start == "--overwrite" else [start]
    if start == "--resume":
        shutil.rmtree(run)
    first = Command(work.train(run, *flags), folder / "first.txt")
    second = Command(work.train(run, *flags), folder / "second.txt")
    ended = [first.wait(), second.wait()]
    refused = [each for each in ended if each.is_clear_refusal]
    fine = [each for each in ended if each.status == 0]
    if len(refused) == 1 and len(fine) == 1:
        return None if "process" in refused[0].text else f"it does not say who: {refused[0]}"
    return f"{ended[0]} // {ended[1]}"


def two_predictions(work: Workspace, random: random.Random) -> str | None:
    """Two predictions at once into one file: one is refused, or finds the file finished."""
    folder = work.round_folder()
    model = random.choice([work.checkpoint, work.bundle])
    out = folder / "out.csv"
    both = [Command(work.predict(model, out), folder / f"{i}.txt") for i in range(2)]
    ended = [each.wait() for each in both]
    if not any(each.status == 0 for each in ended):
        return f"{ended[0]} // {ended[1]}"
    if any(each.status != 0 and not each.is_clear_refusal for each in ended):
        return f"{ended[0]} // {ended[1]}"
    return None if out.read_bytes() == work.predictions[model] else "other predictions"


def two_caches(work: Workspace, random: random.Random) -> str | None:
    """Two runs at once fill one cache: both train as if alone."""
    folder = work.round_folder()
    kind = random.choice([["--image_cache"], ["--freeze_backbone", "--feature_cache"]])
    flags = [*kind, str(folder / "cache")]
    both = [Command(work.train(folder / str(i), *flags), folder / f"{i}.txt") for i in range(2)]
    ended = [each.wait() for each in both]
    if any(each.status != 0 for each in ended):
        return f"{ended[0]} // {ended[1]}"
    same = digest(folder / "0/last.pt") == digest(folder / "1/last.pt")
    return None if same else "the two have other weights"


def two_exports(work: Workspace, random: random.Random) -> str | None:
    """Two exports at once into one folder: one whole bundle, the other is refused."""
    folder = work.round_folder()
    out = folder / "bundle"
    command = ["export", str(work.checkpoint), "--to", "bundle", "--out", str(out)]
    both = [Command(command, folder / f"{i}.txt") for i in range(2)]
    ended = [each.wait() for each in both]
    if sorted(each.status for each in ended) not in ([0, 2], [0, 0]):
        return f"{ended[0]} // {ended[1]}"
    table = folder / "out.csv"
    answered = vtax(work.predict(out, table, "--engine", "torch"), folder / "log.txt")
    if answered.status != 0:
        return str(answered)
    return None if table.read_bytes() == work.predictions[work.checkpoint] else "other answers"


def nowhere_to_write(work: Workspace, random: random.Random) -> str | None:
    """The output lies below a file, has a name too long, or is a folder: one message."""
    folder = work.round_folder()
    (folder / "file").write_text("")
    (folder / "folder.csv").mkdir()
    out = random.choice([folder / "file/out", folder / ("x" * 300), folder / "folder.csv"])
    commands = [
        work.predict(work.checkpoint, out),
        work.evaluate(work.checkpoint, out),
        ["create-config", "--csv_path", str(work.catalogue / "train.csv"), "--out_path", str(out)],
    ]
    if out.name != "folder.csv":
        commands.append(work.train(out))
        commands.append(["export", str(work.checkpoint), "--to", "bundle", "--out", str(out)])
        commands.append(["synthesize", "--out", str(out), "--rows", "8"])
    command = random.choice(commands)
    ended = vtax(command, folder / "log.txt")
    return None if ended.is_clear_refusal else f"{command[0]} {out.name[:20]}: {ended}"


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        killed_training,
        interrupted_training,
        killed_overwrite,
        refused_overwrite,
        killed_prediction,
        killed_evaluation,
        killed_export,
        killed_image_cache,
        killed_feature_cache,
        full_disk,
        read_only_disk,
        flipped_bit,
        flipped_bit_in_a_cache,
        flipped_bit_in_a_broken_off_prediction,
        two_trainings,
        two_predictions,
        two_caches,
        two_exports,
        nowhere_to_write,
    )
}


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def _flip(path: Path, random: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
