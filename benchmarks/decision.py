"""What a decision gains on rows it was not fitted on: scores, calibration, precision.

The predictions are those of `vtax cross-validate`, or of the validation rows of a run; calibration,
rule and thresholds are cross-fitted on them, the choice of the rule too.

python benchmarks/decision.py out/cv/held_out.npz --seeds 0 1
"""

import argparse
import time
from pathlib import Path

from visual_taxonomy.decision.cross_fitted import CrossFitted, cross_fitted
from visual_taxonomy.decision.held_out import HeldOut


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("held_out", type=Path, nargs="+", help="held_out.npz of a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the folds")
    options = parser.parse_args()
    found = []
    for path in options.held_out:
        held_out = HeldOut.read(path)
        for seed in options.seeds:
            started = time.process_time()
            fitted = cross_fitted(held_out, seed=seed)
            seconds = time.process_time() - started
            found.append((f"{path.parent.name}, folds {seed}", fitted))
            print(f"{path}, seed {seed}: {len(held_out):,} rows, {seconds:.1f} s of CPU")
    print_scores(found)
    print_calibration(found)
    print_precision(found)


def print_scores(found: list[tuple[str, CrossFitted]]) -> None:
    """HM, micro and macro of every rule, with intervals for HM."""
    print("\n| predictions | rule | HM | 95 % | micro | macro |\n|---|---|---|---|---|---|")
    for name, fitted in found:
        for rule, scores in fitted.scores.items():
            low, high = scores.hm.low, scores.hm.high
            shown = f"chosen ({fitted.decision.rule} on all rows)" if rule == "chosen" else rule
            print(
                f"| {name} | {shown} | {scores.hm.value:.4f} | {low:.3f} to {high:.3f} | "
                f"{scores.micro.value:.3f} | {scores.macro.value:.3f} |"
            )
        gain = fitted.gain.hm
        print(
            f"| {name} | chosen less argmax | {gain.difference:+.4f} | {gain.low:+.4f} to "
            f"{gain.high:+.4f} | {fitted.gain.micro.difference:+.3f} | "
            f"{fitted.gain.macro.difference:+.3f} |"
        )


def print_calibration(found: list[tuple[str, CrossFitted]]) -> None:
    """Losses and calibration errors before and after."""
    print("\n| predictions | | before | after |\n|---|---|---|---|")
    for name, fitted in found:
        for measure in ("ece", "classwise_ece", "nll", "brier"):
            before, after = getattr(fitted.before, measure), getattr(fitted.after, measure)
            print(f"| {name} | {measure} | {before.value:.4f} | {after.value:.4f} |")


def print_precision(found: list[tuple[str, CrossFitted]]) -> None:
    """Achieved precision and coverage at each target."""
    print("\n| predictions | target | heads of >= 200 labels | precision | answered |")
    print("|---|---|---|---|---|")
    for name, fitted in found:
        for each in fitted.precision:
            for kind in ("overall", "withholding"):
                achieved = getattr(each, kind)
                precision = "" if achieved.precision is None else f"{achieved.precision:.4f}"
                coverage = "" if achieved.coverage is None else f"{achieved.coverage:.1%}"
                print(f"| {name} | {each.target} | {kind} | {precision} | {coverage} |")


if __name__ == "__main__":
    main()
