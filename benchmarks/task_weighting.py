"""Time and memory of one training step for every task-weighting method, as ratios to EW.

    .venv/bin/python benchmarks/task_weighting.py [--tasks 5 8 10 42] [--model small vit_b32]
        [--rounds 5] [--device cpu] [--batch 16] [--bfloat16] [--memory] [--methods EW MGDA]

A step is forward, backward and the writing of `.grad`, no optimizer. Variants are interleaved, and
the smallest time over the rounds counts. Beside ours: one `autograd.grad` per task with the
Jacobian kept, LibMTL 1.1.5 style (one `backward` per task, gradients copied into a vector; its own
code where `LibMTL` is installed is not called, since it wants its own trainer), TorchJD's autojac.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visual_taxonomy.task_weighting import (
    TASK_WEIGHTINGS,
    BackwardOptions,
    build_task_weighting,
    multi_task_backward,
)

NUM_CLASSES = 6
EVERY_FIVE = "MGDA every 5"


class Model(nn.Module):
    """A vision transformer, a neck with batch normalization, a linear head per task."""

    def __init__(self, name: str, num_tasks: int) -> None:
        super().__init__()
        if name == "small":
            self.trunk = timm.models.vision_transformer.VisionTransformer(
                img_size=64, patch_size=8, embed_dim=128, depth=4, num_heads=4, num_classes=0
            )
            self.image_size = 64
        else:
            self.trunk = timm.create_model("vit_base_patch32_224", pretrained=False, num_classes=0)
            self.image_size = 224
            frozen = [self.trunk.patch_embed, *self.trunk.blocks[:-8]]
            for module in frozen:
                module.requires_grad_(False)
            for parameter in (self.trunk.cls_token, self.trunk.pos_embed):
                parameter.requires_grad_(False)
        width = self.trunk.num_features
        self.neck = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 256), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(256, NUM_CLASSES) for _ in range(num_tasks))

    @property
    def shared(self) -> list[nn.Parameter]:
        """Trainable parameters that all tasks use."""
        both = [*self.trunk.parameters(), *self.neck.parameters()]
        return [parameter for parameter in both if parameter.requires_grad]

    def losses(self, images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features, and one loss per task."""
        features = self.trunk(images)
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


def libmtl_style(model: Model, losses: list[Tensor]) -> None:
    """T calls of `backward`, each copied into a vector on the CPU first."""
    shared = model.shared
    size = sum(parameter.numel() for parameter in shared)
    rows = torch.zeros(len(losses), size, device=losses[0].device)
    stacked = torch.stack(losses)
    for position in range(len(losses)):
        stacked[position].backward(retain_graph=True)
        row = torch.zeros(size)
        start = 0
        for parameter in shared:
            row[start : start + parameter.numel()] = parameter.grad.view(-1)
            start += parameter.numel()
            parameter.grad = None
        rows[position] = row
    for parameter, part in zip(shared, rows.sum(0).split([p.numel() for p in shared]), strict=True):
        parameter.grad = part.view_as(parameter).clone()


def torchjd(model: Model, losses: list[Tensor], _: Tensor) -> None:
    """TorchJD's autojac with its MGDA, one task at a time."""
    from torchjd.aggregation import MGDA
    from torchjd.autojac import jac_to_grad, mtl_backward

    mtl_backward(
        losses,
        features=model.hidden,
        tasks_params=[list(head.parameters()) for head in model.heads],
        shared_params=model.shared,
        parallel_chunk_size=1,
    )
    jac_to_grad(model.shared, MGDA(), optimize_gramian_computation=True)


def peak_mebibytes(arguments: argparse.Namespace, model: str, num_tasks: int, label: str) -> float:
    """The most memory a process needs for two steps, from a process of its own."""
    command = [sys.executable, __file__, "--peak_of", label, "--model", model]
    command += ["--tasks", str(num_tasks), "--batch", str(arguments.batch)]
    command += ["--device", arguments.device, "--methods", *arguments.methods]
    command += ["--bfloat16"] if arguments.bfloat16 else []
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(finished.stdout.split()[-1])


def print_peak(arguments: argparse.Namespace) -> None:
    """What `peak_mebibytes` reads."""
    problem = Problem(arguments, arguments.model[0], arguments.tasks[0])
    for _ in range(2):
        problem.step_seconds(problem.table[arguments.peak_of])
    if arguments.device == "cuda":
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def variants(names: list[str], num_tasks: int) -> dict[str, Callable[..., None]]:
    """Name of the line -> what makes the backward part of a step."""
    tasks = [f"c/{index}" for index in range(num_tasks)]
    table: dict[str, Callable[..., None]] = {}

    def add(label: str, name: str, **settings: object) -> None:
        method = build_task_weighting(name, tasks)
        table[label] = lambda model, losses, features: ours(
            model, losses, features, method, **settings
        )

    for name in names:
        kind = TASK_WEIGHTINGS[name].kind
        add(name, name)
        if kind == "gramian" and name != "GradNorm":
            add(f"{name} features", name, source="features")
    add(EVERY_FIVE, "MGDA", update_weights_every=5)
    add("MGDA budget 64 MiB", "MGDA", row_budget_bytes=2**26)
    table["naive T x autograd.grad"] = lambda model, losses, _: naive(model, losses)
    table["LibMTL style"] = lambda model, losses, _: libmtl_style(model, losses)
    table["TorchJD autojac MGDA"] = torchjd
    return table


class Problem:
    """A model, a batch and the variants to run on them."""

    def __init__(self, arguments: argparse.Namespace, model: str, num_tasks: int) -> None:
        torch.manual_seed(0)
        self.device = arguments.device
        self.bfloat16 = arguments.bfloat16
        self.model = Model(model, num_tasks).to(self.device)
        size = self.model.image_size
        self.images = torch.randn(arguments.batch, 3, size, size, device=self.device)
        self.labels = torch.randint(
            0, NUM_CLASSES, (num_tasks, arguments.batch), device=self.device
        )
        self.table = variants(arguments.methods, num_tasks)

    def step_seconds(self, run: Callable[..., None]) -> float:
        """Time of one step."""
        self.model.zero_grad(set_to_none=True)
        start = time.perf_counter()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
            features, losses = self.model.losses(self.images, self.labels)
        run(self.model, losses, features)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def solver_milliseconds(name: str, num_tasks: int) -> float | None:
    """Smallest time of the T x T part over ten random Gramians."""
    if TASK_WEIGHTINGS[name].kind != "gramian":
        return None
    method = build_task_weighting(name, [f"c/{index}" for index in range(num_tasks)])
    seconds = []
    for _ in range(10):
        rows = torch.randn(num_tasks, 4 * num_tasks, dtype=torch.float64)
        gramian, losses = rows @ rows.T, torch.rand(num_tasks) + 0.5
        start = time.perf_counter()
        method(gramian, losses, list(range(num_tasks)))
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def measure(arguments: argparse.Namespace, model: str, num_tasks: int) -> None:
    """Print one table."""
    problem = Problem(arguments, model, num_tasks)
    table = problem.table
    seconds: dict[str, list[float]] = {label: [] for label in table}
    for run in table.values():  # warm up
        problem.step_seconds(run)
    for _ in range(arguments.rounds):
        for label, run in table.items():
            repeats = 5 if label == EVERY_FIVE else 1  # one update and four reuses
            steps = [problem.step_seconds(run) for _ in range(repeats)]
            seconds[label].append(sum(steps) / repeats)
    equal = min(seconds["EW"])
    num_shared = sum(parameter.numel() for parameter in problem.model.shared)
    print(f"\n{model}, T = {num_tasks}, batch {arguments.batch}, P = {num_shared / 1e6:.1f} M")
    print(f"{'variant':28}{'x EW':>8}{'ms':>10}{'solver ms':>11}{'peak MiB':>10}", flush=True)
    for label in table:
        fastest = min(seconds[label])
        line = f"{label:28}{fastest / equal:8.2f}{1000 * fastest:10.1f}"
        solver = solver_milliseconds(label, num_tasks) if label in TASK_WEIGHTINGS else None
        line += f"{'' if solver is None else format(solver, '.2f'):>11}"
        if arguments.memory:
            line += f"{peak_mebibytes(arguments, model, num_tasks, label):10.0f}"
        print(line, flush=True)


def main() -> None:
    """Read the flags and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[5, 8, 10, 42])
    parser.add_argument("--model", nargs="+", default=["small", "vit_b32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--methods", nargs="+", default=list(TASK_WEIGHTINGS))
    parser.add_argument("--memory", action="store_true", help="a process per line: slow")
    parser.add_argument("--peak_of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.methods = ["EW", *[name for name in arguments.methods if name != "EW"]]
    if arguments.peak_of:
        print_peak(arguments)
        return
    for model_name in arguments.model:
        for num_tasks in arguments.tasks:
            measure(arguments, model_name, num_tasks)


if __name__ == "__main__":
    main()
