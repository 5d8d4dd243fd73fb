"""Time of the small solvers against a plain active set and SciPy: the table of decisions/009.

.venv/bin/python benchmarks/solvers.py [--tasks 5 10 42]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import nnls

from visual_taxonomy.task_weighting.gramian import unit_gramian
from visual_taxonomy.task_weighting.solvers.interior_point import nonnegative_minima
from visual_taxonomy.task_weighting.solvers.quadratic import (
    Array,
    lawson_hanson,
    nonnegative_minimum,
)

RIDGE = 1e-13


def cosines(num_tasks: int, dimensions: int) -> Array:
    """[T, T] cosines of random gradients that share a direction, as those of one network do."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(num_tasks, dimensions, generator=draw, dtype=torch.float64)
    rows += 0.15 * torch.randn(1, dimensions, generator=draw, dtype=torch.float64)
    return unit_gramian(rows @ rows.T)[0].numpy()


def by_scipy(matrix: Array, linear: Array) -> Array:
    """The same minimum as a least-squares problem, of the Cholesky factor."""
    factor = np.linalg.cholesky(matrix + RIDGE * np.eye(len(matrix)))
    found: Array = nnls(factor.T, np.linalg.solve(factor, linear))[0]
    return found


def milliseconds(solve: Callable[[], object], repeats: int) -> float:
    """The least of some times."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        solve()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def measure(name: str, matrix: Array) -> str:
    """A line of the table."""
    num_tasks = len(matrix)
    ridged = matrix + RIDGE * np.eye(num_tasks)
    one = 1 / num_tasks + 0.3 * np.random.default_rng(0).standard_normal(num_tasks)
    found = [
        milliseconds(lambda: nonnegative_minimum(matrix, one), 15),
        milliseconds(lambda: lawson_hanson(ridged, one, 1e-12), 15),
        milliseconds(lambda: by_scipy(matrix, one), 15),
        milliseconds(lambda: nonnegative_minima(matrix, -matrix), 5),
        milliseconds(lambda: [lawson_hanson(ridged, b, 1e-12) for b in -matrix], 5),
        milliseconds(lambda: [by_scipy(matrix, b) for b in -matrix], 5),
    ]
    off = np.abs((by_scipy(matrix, one) - nonnegative_minimum(matrix, one)) @ matrix).max()
    cells = " | ".join(f"{value:.2f}" for value in found)
    return f"| {name} | {num_tasks} | {cells} | {off:.0e} |"


def main() -> None:
    """Print the table; its last column is how far the slopes of SciPy and ours differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[5, 10, 42])
    torch.set_num_threads(1)
    tasks = parser.parse_args().tasks
    for num_tasks in tasks:
        print(measure("regular", cosines(num_tasks, 1000)))
    for num_tasks in tasks:
        print(measure("singular", cosines(num_tasks, max(2, num_tasks // 2))))


if __name__ == "__main__":
    main()
