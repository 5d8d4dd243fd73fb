"""Time and memory of one training step for every task-weighting method, as ratios to EW.

    .venv/bin/python benchmarks/task_weighting.py [--tasks 5 8 10 42] [--model small vit_b32]
        [--methods EW MGDA] [--seconds 2] [--rounds 5] [--batch N] [--threads 1] [--device cpu]
        [--bfloat16] [--libmtl FOLDER] [--quick]

A step is forward, backward and the writing of `.grad`, no optimizer. Each line takes turns with
EW, at most `--rounds` times or `--seconds` long, at least once; the smallest time of each counts.
Passes are backward passes through the last block of the backbone. Peak memory is what the process
holds at most beyond model and batch, the state of the method included; one process for all lines.

Beside ours, on the same model and batch: `naive`, one `autograd.grad` per task with the Jacobian
kept; TorchJD's autojac; LibMTL 1.1.5 with `--libmtl FOLDER`, where it lies after

    uv pip install --no-deps --target FOLDER LibMTL==1.1.5

Its weighting runs as it is; only its package root, which wants a torchvision long gone, is passed
by. PCGrad it is, since its CAGrad is for 3 tasks only and its MGDA may loop forever. Lines that
would not fit into memory are left out and say so. `vit_b32` has few lines, and a batch of 2, since
a step with 42 tasks takes half a minute a line.
"""

import argparse
import ctypes
import gc
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchjd.aggregation import MGDA
from torchjd.autojac import jac_to_grad, mtl_backward

from visual_taxonomy.task_weighting import (
    TASK_WEIGHTINGS,
    BackwardOptions,
    build_task_weighting,
    multi_task_backward,
)

NUM_CLASSES = 6
REPRESENTATIVES = ["EW", "GradNorm", "FAMO", "MGDA", "MoCo", "GradDrop"]
BATCH = {"small": 16, "vit_b32": 2}


class Model(nn.Module):
    """A vision transformer, a neck with batch normalization, a linear head per task."""

    def __init__(self, name: str, num_tasks: int) -> None:
        super().__init__()
        self.is_large = name == "vit_b32"
        if name == "small":
            self.backbone = timm.models.vision_transformer.VisionTransformer(
                img_size=64, patch_size=8, embed_dim=128, depth=4, num_heads=4, num_classes=0
            )
            self.image_size = 64
        else:
            self.backbone = timm.create_model(
                "vit_base_patch32_224", pretrained=False, num_classes=0
            )
            self.image_size = 224
            frozen = [self.backbone.patch_embed, *self.backbone.blocks[:-8]]
            for module in frozen:
                module.requires_grad_(False)
            for parameter in (self.backbone.cls_token, self.backbone.pos_embed):
                parameter.requires_grad_(False)
        self.passes = 0
        self.backbone.blocks[-1].register_forward_hook(self._watch)
        width = self.backbone.num_features
        self.neck = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 256), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(256, NUM_CLASSES) for _ in range(num_tasks))

    def _watch(self, _: nn.Module, __: object, output: Tensor) -> None:
        output.register_hook(self._count)

    def _count(self, _: Tensor) -> None:
        self.passes += 1

    @property
    def shared(self) -> list[nn.Parameter]:
        """Trainable parameters that all tasks use."""
        both = [*self.backbone.parameters(), *self.neck.parameters()]
        return [parameter for parameter in both if parameter.requires_grad]

    def losses(self, images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features, and one loss per task."""
        features = self.backbone(images)
        self.hidden = self.neck(features)
        pairs = zip(self.heads, labels, strict=True)
        return features, [F.cross_entropy(head(self.hidden).float(), y) for head, y in pairs]


def ours(
    model: Model, losses: list[Tensor], features: Tensor, method: nn.Module, **settings: object
) -> None:
    """This package."""
    named = dict(zip(method.task_names, losses, strict=True))
    options = BackwardOptions(**settings)
    multi_task_backward(named, method, model.shared, features, options=options)


def naive(model: Model, losses: list[Tensor]) -> None:
    """T passes from each loss to the bottom, the Jacobian kept, its rows summed."""
    shared, heads = model.shared, list(model.heads.parameters())
    rows = []
    for position, loss in enumerate(losses):
        gradients = torch.autograd.grad(
            loss, [*shared, *heads], retain_graph=position < len(losses) - 1, allow_unused=True
        )
        rows.append(torch.cat([gradient.flatten() for gradient in gradients[: len(shared)]]))
        for head, gradient in zip(heads, gradients[len(shared) :], strict=True):
            if gradient is not None:
                head.grad = gradient
    direction = torch.stack(rows).sum(0)
    sizes = [parameter.numel() for parameter in shared]
    for parameter, part in zip(shared, direction.split(sizes), strict=True):
        parameter.grad = part.view_as(parameter)


def torchjd(model: Model, losses: list[Tensor]) -> None:
    """TorchJD's autojac with its MGDA, one task at a time."""
    mtl_backward(
        losses,
        features=model.hidden,
        tasks_params=[list(head.parameters()) for head in model.heads],
        shared_params=model.shared,
        parallel_chunk_size=1,
    )
    jac_to_grad(model.shared, MGDA(), optimize_gramian_computation=True)


def libmtl(model: Model, losses: list[Tensor], folder: str) -> None:
    """LibMTL's own PCGrad on a model that answers what its architectures do."""
    if "LibMTL" not in sys.modules:
        package = types.ModuleType("LibMTL")
        package.__path__ = [str(Path(folder) / "LibMTL")]
        sys.modules["LibMTL"] = package
        sys.path.insert(0, folder)
    from LibMTL.weighting.PCGrad import PCGrad

    weighting = PCGrad()
    weighting.task_num, weighting.device, weighting.rep_grad = len(losses), losses[0].device, False
    shared = model.shared

    def clear() -> None:
        for parameter in shared:
            parameter.grad.zero_()

    weighting.get_share_params, weighting.zero_grad_share_params = lambda: shared, clear
    weighting.backward(torch.stack(losses))


class Line(NamedTuple):
    """One row of a table."""

    label: str
    run: Callable[[list[Tensor], Tensor], None]
    """Makes the backward part of a step."""
    steps: int = 1
    """Steps that make one round."""
    rows: int = 1
    """How often the gradients of all tasks are in memory."""
    solver: str | None = None
    """Method whose solver is timed."""


def lines(model: Model, num_tasks: int, arguments: argparse.Namespace) -> Iterator[Line]:
    """The rows of a table; state is allocated when a row's turn comes."""
    tasks = [f"c/{index}" for index in range(num_tasks)]

    def line(label: str, name: str, **settings: object) -> Line:
        method = build_task_weighting(name, tasks)
        kind = type(method).kind
        rows = {"jacobian": 3, "gramian": 1}.get(kind, 0)
        if settings.get("source") or name == "GradNorm":
            rows = 0
        solver = label if kind == "gramian" and not settings else None
        steps = int(settings.get("update_weights_every", 1))
        return Line(
            label,
            lambda losses, features: ours(model, losses, features, method, **settings),
            steps,
            rows,
            solver,
        )

    for name in arguments.methods or (REPRESENTATIVES if model.is_large else TASK_WEIGHTINGS):
        yield line(name, name)
        if TASK_WEIGHTINGS[name].kind == "gramian" and name != "GradNorm":
            yield line(f"{name} features", name, source="features")
            yield line(f"{name} last_layer", name, source="last_layer")
    yield line("MGDA every 5", "MGDA", update_weights_every=5)
    half = 2 * num_tasks * sum(parameter.numel() for parameter in model.shared)
    yield line("MGDA half budget", "MGDA", row_budget_bytes=half)
    yield line("MGDA bf16 rows", "MGDA", row_dtype=torch.bfloat16)
    yield Line("naive T x autograd.grad", lambda losses, _: naive(model, losses), rows=2)
    yield Line("TorchJD autojac MGDA", lambda losses, _: torchjd(model, losses), rows=3)
    if arguments.libmtl:
        yield Line(
            "LibMTL PCGrad", lambda losses, _: libmtl(model, losses, arguments.libmtl), rows=2
        )


class Problem:
    """A model and a batch."""

    def __init__(self, arguments: argparse.Namespace, name: str, num_tasks: int) -> None:
        torch.manual_seed(0)
        self.device = arguments.device
        self.bfloat16 = arguments.bfloat16
        self.batch = arguments.batch or BATCH[name]
        self.model = Model(name, num_tasks).to(self.device)
        size = self.model.image_size
        self.images = torch.randn(self.batch, 3, size, size, device=self.device)
        self.labels = torch.randint(0, NUM_CLASSES, (num_tasks, self.batch), device=self.device)

    def seconds(self, line: Line) -> float:
        """Mean time of the steps of one round."""
        total = 0.0
        for _ in range(line.steps):
            self.model.zero_grad(set_to_none=True)
            start = time.perf_counter()
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
                features, losses = self.model.losses(self.images, self.labels)
            line.run(losses, features)
            if self.device == "cuda":
                torch.cuda.synchronize()
            total += time.perf_counter() - start
        return total / line.steps


def memory(device: str, *, start: bool = False) -> float:
    """Most MiB held since the last `start`, which gives back what is free."""
    if device == "cuda":
        if start:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2**20
    if start:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # Linux: begins a new peak
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split()[0]) / 2**10


def available_mebibytes(device: str) -> float:
    """Free memory of the device."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0] / 2**20
    return int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) / 2**10


def solver_milliseconds(name: str, num_tasks: int) -> float:
    """Smallest time of the T x T part over five random Gramians, the worst of three kinds.

    The kinds: of full rank, of half the rank, badly scaled by 10^+-4.
    """
    method = build_task_weighting(name, [f"c/{index}" for index in range(num_tasks)])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for columns, spread in ((4 * num_tasks, 0), (num_tasks // 2, 0), (4 * num_tasks, 4)):
        fastest = float("inf")
        rows = torch.randn(num_tasks, columns, dtype=torch.float64, generator=generator)
        rows *= 10 ** (spread * (2 * torch.rand(num_tasks, 1, generator=generator).double() - 1))
        gramian, losses = rows @ rows.T, torch.rand(num_tasks, generator=generator) + 0.5
        for _ in range(5):
            start = time.perf_counter()
            with torch.no_grad():
                method(gramian, losses, list(range(num_tasks)))
            fastest = min(fastest, time.perf_counter() - start)
        worst = max(worst, fastest)
    return 1000 * worst


def measure(arguments: argparse.Namespace, name: str, num_tasks: int) -> None:
    """Print one table."""
    problem = Problem(arguments, name, num_tasks)
    num_shared = sum(parameter.numel() for parameter in problem.model.shared)
    equal = next(lines(problem.model, num_tasks, argparse.Namespace(methods=["EW"])))
    problem.seconds(equal)
    print(f"\n{name}, T = {num_tasks}, batch {problem.batch}, P = {num_shared / 1e6:.1f} M")
    print(f"{'line':26}{'x EW':>8}{'ms':>10}{'passes':>8}{'solver ms':>11}{'peak MiB':>10}")
    for line in lines(problem.model, num_tasks, arguments):
        needed = line.rows * num_tasks * num_shared * 4 / 2**20
        if needed > 0.85 * available_mebibytes(arguments.device):
            print(f"{line.label:26} left out: needs {needed / 1024:.0f} GiB", flush=True)
            continue
        problem.model.zero_grad(set_to_none=True)
        base = memory(arguments.device, start=True)
        print(f"{line.label:26}", end="", flush=True)
        problem.seconds(equal)
        ours_, theirs, passes = [], [], 0
        until = time.perf_counter() + arguments.seconds
        while len(ours_) < arguments.rounds and (not ours_ or time.perf_counter() < until):
            theirs.append(problem.seconds(equal))
            problem.model.passes = 0
            ours_.append(problem.seconds(line))
            passes = problem.model.passes / line.steps
        peak = memory(arguments.device) - base
        solver = f"{solver_milliseconds(line.solver, num_tasks):.2f}" if line.solver else ""
        print(
            f"{min(ours_) / min(theirs):8.2f}{1000 * min(ours_):10.1f}{passes:8.1f}"
            f"{solver:>11}{peak:10.0f}",
            flush=True,
        )


def main() -> None:
    """Read the flags and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[5, 8, 10, 42])
    parser.add_argument("--model", nargs="+", default=["small", "vit_b32"], choices=list(BATCH))
    parser.add_argument("--methods", nargs="+", choices=list(TASK_WEIGHTINGS))
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    parser.add_argument("--rounds", type=int, default=5, help="most repetitions of a line")
    parser.add_argument("--batch", type=int, help="images; 16 (small) and 2 (vit_b32)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--libmtl", help="folder in which LibMTL 1.1.5 lies")
    parser.add_argument("--quick", action="store_true", help="one round of the small model, T = 5")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.quick:
        arguments.model, arguments.tasks, arguments.rounds = ["small"], [5], 1
    started = time.perf_counter()
    for name in arguments.model:
        for num_tasks in arguments.tasks:
            measure(arguments, name, num_tasks)
    print(f"\n{(time.perf_counter() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
