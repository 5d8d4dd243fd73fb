"""`vtax compare`."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED, console, errors, terminal
from visual_taxonomy.config_checks import positive
from visual_taxonomy.cores import available_cores
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from visual_taxonomy.grid.grid_file import Grid
    from visual_taxonomy.grid.ledger import Ledger
    from visual_taxonomy.grid.plan import PlannedRun
    from visual_taxonomy.grid.runner import Job

_PATHS = (
    *("img_dir", "csv_path", "catalogue", "attributes_config", "parq_path", "pretrained_ckpt"),
)
_CACHES = ("feature_cache", "image_cache")
STOPPED = "stopped; the same command does what is missing"
_FEWEST_SAMPLES = 100
"""Fewer samples cannot show a p-value of 0.05 with any certainty."""


@dataclass(frozen=True)
class Compare:
    """Train the variants of a grid file, and say which is better."""

    grid: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="GRID.toml")]
    """[base] settings of `vtax train`, [grid] lists of them, seeds and folds, [[variants]]."""
    out: Path = Path("comparison")
    """Folder of the ledger, the runs, tables and plots; several grids may share it."""
    img_dir: Path | None = None
    """Folder of the images, in place of what the base says."""
    csv_path: Path | None = None
    """Labelled CSV (or Parquet), in place of what the base says."""
    catalogue: Path | None = None
    """File of `vtax inspect` with the roles of the columns, in place of what the base says."""
    attributes_config: Path | None = None
    """Taxonomy, in place of what the base says."""
    parq_path: Path | None = None
    """Parquet with the attribute names, in place of what the base says."""
    pretrained_ckpt: str | None = None
    """Weights of the backbone, in place of what the base says."""
    feature_cache: Path | None = None
    """Folder of the feature cache, in place of what the base says."""
    image_cache: Path | None = None
    """Folder of the image cache, in place of what the base says."""
    set: dict[str, str] = field(default_factory=dict)
    """Any other setting of the base, as NAME VALUE pairs: epochs 3 image_size '[160, 120]'."""
    jobs: int | None = None
    """Runs at a time; None: one for each core, one in all on a GPU."""
    threads: int | None = None
    """Threads of each run; None: the cores, divided by the jobs."""
    dry_run: bool = False
    """List the runs, and which of them the ledger has, and stop."""
    retry_failed: bool = False
    """Do runs again that have failed; otherwise their rows stay as they are."""
    keep_checkpoints: bool = False
    """Keep the weights of all runs; otherwise a run keeps all of its files but these."""
    answers: Literal["argmax", "decided"] = "argmax"
    """What is compared: the most probable classes, or those of the decision, cross-fitted."""
    samples: int = 1000
    """Samples of bootstraps and randomization tests."""
    search: bool = False
    """Search the ranges of [search], instead of comparing the variants (needs
    visual-taxonomy[search]); the choice is scored on rows that no trial has seen."""
    trials: int | None = None
    """With --search: number of trials."""
    budget_minutes: float | None = None
    """With --search: minutes of trials, after which none is started."""

    def __post_init__(self) -> None:
        for name in ("jobs", "threads", "trials", "budget_minutes"):
            if getattr(self, name) is not None:
                positive(**{name: getattr(self, name)})
        if self.samples < _FEWEST_SAMPLES:
            raise InputError(f"--samples must be {_FEWEST_SAMPLES} or more, not {self.samples}")
        has_budget = self.trials is not None or self.budget_minutes is not None
        if self.search != has_budget:
            raise InputError("--search needs a budget, --trials or --budget_minutes, and only it")

    @property
    def overrides(self) -> dict[str, Any]:
        """Flag -> value, in place of what the base says."""
        given = {name: getattr(self, name) for name in (*_PATHS, *_CACHES)}
        paths = {name: str(value) for name, value in given.items() if value is not None}
        return {**{name: _value(text) for name, text in self.set.items()}, **paths}

    def places(self) -> tuple[int, int]:
        """Jobs, and threads of each."""
        cores = available_cores()
        jobs = self.jobs or (1 if _has_gpu() else max(1, cores // (self.threads or 1)))
        return jobs, self.threads or max(1, cores // jobs)


def compare(options: Compare) -> int:
    """Train the variants of a grid file in parallel, and say which is better.

    A row for each run, also for those that fail, stands in OUT/ledger.parquet. Stopped or killed,
    the same command does only what is missing.
    """
    from visual_taxonomy.commands.compare_search import search_grid
    from visual_taxonomy.grid.grid_file import read_grid
    from visual_taxonomy.grid.ledger import Ledger
    from visual_taxonomy.grid.plan import check_objectives, plan
    from visual_taxonomy.grid.preparation import Preparation, refuse_same
    from visual_taxonomy.grid.runner import Runner

    num_jobs, threads = options.places()
    grid = read_grid(options.grid, options.overrides)
    if options.search:
        return search_grid(options, grid, num_jobs, threads)
    runs = plan(grid, threads)
    check_objectives(runs, options.grid)
    if any(run.config.data.text_columns for run in runs):
        terminal.note(
            "note: runs are compared by what they make of the images, without `text_columns`: "
            "words are fitted once a training has ended"
        )
    ledger = Ledger(options.out)
    preparation = Preparation(
        ledger, options.grid.stem, threads, options.keep_checkpoints, terminal
    )
    jobs = [preparation.job(run) for run in runs]
    refuse_same(runs, jobs)
    _announce(grid, runs, jobs, ledger, num_jobs, threads)
    if options.dry_run:
        _list(runs, jobs, ledger)
        return 0
    if options.retry_failed:
        _forget_failed(ledger, jobs)
    ledger.merge()
    preparation.write(runs, jobs)
    runner = Runner(ledger, preparation.start, num_jobs, terminal)
    if not runner.run(jobs):
        errors.print(STOPPED)
        return EXIT_INTERRUPTED
    names = [variant.name for variant in grid.variants]
    report_runs(names, grid.baseline, jobs, ledger, options)
    return 0


def _value(text: str) -> object:
    """A value as TOML has it; what is none is a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _announce(
    grid: "Grid",
    runs: "list[PlannedRun]",
    jobs: "list[Job]",
    ledger: "Ledger",
    num_jobs: int,
    threads: int,
) -> None:
    done = sum(ledger.has(job.digest) for job in jobs)
    folds = f" x {grid.folds} folds" if grid.folds else ""
    console.print(
        f"{len(grid.variants)} variants x {len(grid.seeds)} seeds{folds} = {len(runs)} runs, "
        f"{done} of them in {ledger.path}; {num_jobs} at a time, {threads} threads each"
    )


def _list(runs: "list[PlannedRun]", jobs: "list[Job]", ledger: "Ledger") -> None:
    for run, job in zip(runs, jobs, strict=True):
        state = "done" if ledger.has(job.digest) else "to do"
        console.print(f"{job.digest}  {state}  {run.name}")


def _forget_failed(ledger: "Ledger", jobs: "list[Job]") -> None:
    from visual_taxonomy.grid.ledger import FAILED

    rows = ledger.merge()
    failed = set(rows.filter(rows["status"] == FAILED)["digest"].to_list())
    for job in jobs:
        if job.digest in failed:
            ledger.forget(job.digest)


def report_runs(
    names: list[str], baseline: str, jobs: "list[Job]", ledger: "Ledger", options: Compare
) -> None:
    """Tables in the terminal, and all files of the comparison."""
    import polars as pl

    from visual_taxonomy.commands.compare_text import lines, result_table
    from visual_taxonomy.grid.results import results_of
    from visual_taxonomy.reporting.grid_files import write_files

    rows = ledger.merge().filter(pl.col("digest").is_in([job.digest for job in jobs]))
    with terminal.progress("comparing", len(names)) as advance:
        found = results_of(
            rows,
            ledger.folder,
            names,
            baseline,
            options.samples,
            advance,
            is_decided=options.answers == "decided",
        )
    stem = f"{options.grid.stem}_search" if options.search else options.grid.stem
    written = write_files(found, rows, ledger.folder, stem)
    console.print(result_table(found))
    for line in lines(found):
        console.print(line)
    console.print(f"ledger: {ledger.path}; page: {written}")
