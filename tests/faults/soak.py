"""Kill, starve and harm `vtax` at random, again and again, and print what held.

    python tests/faults/soak.py --rounds 300 --seed 0        # what `make soak` runs
    python tests/faults/soak.py --only killed_training       # one scenario

A round takes the next scenario of the table with random numbers of its own, made from the seed and
the number of the round: `--first N --rounds 1` repeats round N alone.
"""

import argparse
import importlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from scenarios import SCENARIOS
from workspace import Workspace

_IMPORTED_ONCE = (
    "lightning.fabric",
    "matplotlib.pyplot",
    "timm",
    "visual_taxonomy.inference.prediction",
    "visual_taxonomy.inference.prediction_file",
)


def main() -> int:
    """Run the rounds; the exit status is 1 if one of them failed."""
    options = _parse()
    torch.set_num_threads(1)
    for module in _IMPORTED_ONCE:
        importlib.import_module(module)
    names = options.only or list(SCENARIOS)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    tried, failures = Counter[str](), []
    started = time.perf_counter()
    try:
        work = Workspace(folder)
        for number in range(options.first, options.first + options.rounds):
            name = names[number % len(names)]
            tried[name] += 1
            problem = _round(work, name, options.seed, number)
            if problem is not None:
                failures.append({"round": number, "scenario": name, "problem": problem})
                print(f"round {number}, {name}: {problem}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    failed = Counter(failure["scenario"] for failure in failures)
    width = max(map(len, names))
    print(f"{'scenario':{width}}  tried  passed")
    for name in names:
        print(f"{name:{width}}  {tried[name]:5}  {tried[name] - failed[name]:6}")
    total = sum(tried.values())
    minutes = (time.perf_counter() - started) / 60
    print(f"{'all':{width}}  {total:5}  {total - len(failures):6}   {minutes:.1f} min")
    if options.out is not None:
        options.out.write_text(json.dumps({"tried": tried, "failures": failures}, indent=2))
    return 1 if failures else 0


def _round(work: Workspace, name: str, seed: int, number: int) -> str | None:
    before = set(work.folder.iterdir())
    problem = SCENARIOS[name](work, random.Random(f"{seed} {number} {name}"))
    if problem is None:
        for path in set(work.folder.iterdir()) - before:
            shutil.rmtree(path)
    return problem


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=len(SCENARIOS))
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), help="scenarios")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
