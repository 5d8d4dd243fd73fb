"""`vtax compare --search`; imported by the command itself, for it is heavy."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from visual_taxonomy.commands.compare import STOPPED, Compare, report_runs
from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED, console, errors, terminal
from visual_taxonomy.grid.grid_file import BASE, Grid
from visual_taxonomy.grid.ledger import Ledger
from visual_taxonomy.grid.plan import PlannedRun, check_objectives, plan
from visual_taxonomy.grid.preparation import Preparation
from visual_taxonomy.grid.runner import Job, Runner
from visual_taxonomy.grid.search import CHOSEN, FOLDS, Budget, Trials, check_ranges, search


def search_grid(options: Compare, grid: Grid, num_jobs: int, threads: int) -> int:
    """Search the ranges of a grid, and score what is chosen on other rows.

    Args:
        options: Of the command.
        grid: With ranges.
        num_jobs: Runs at a time.
        threads: Of each.

    Returns:
        The exit status.
    """
    check_ranges(grid)
    trials = Trials(grid.search, grid.seeds[0])
    folds, grid = grid.folds or FOLDS, replace(grid, folds=None)
    base = plan(grid, threads)[:1]
    check_objectives(base, options.grid)
    ledger = Ledger(options.out)
    preparation = Preparation(
        ledger, options.grid.stem, threads, options.keep_checkpoints, terminal
    )
    splits = preparation.search_splits(base[0], folds)
    runner = Runner(ledger, preparation.start, num_jobs, terminal)
    done: list[Job] = []

    def do(runs: Sequence[PlannedRun]) -> pl.DataFrame | None:
        jobs = [preparation.job(run) for run in runs]
        preparation.write(runs, jobs)
        if not runner.run(jobs):
            return None
        done[:] = jobs
        order = pl.DataFrame({"digest": [job.digest for job in jobs]})
        return order.join(ledger.merge(), on="digest", how="left", maintain_order="left")

    budget = Budget(options.trials, options.budget_minutes)
    found = search(grid, splits, do, budget, trials, num_jobs, threads)
    if found is None:
        errors.print(STOPPED)
        return EXIT_INTERRUPTED
    settings = ", ".join(f"{name} = {value:.4g}" for name, value in found.settings.items())
    console.print(
        f"chosen of {found.trials} trials: {settings}; HM {found.inner:.4f} on the rows that chose "
        "it; below, trained anew and scored on rows that no trial has seen"
    )
    report_runs([BASE, CHOSEN], BASE, done, ledger, options)
    return 0
