"""Problems whose losses are linear, so that gradients are given numbers; and a small network."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visual_taxonomy.task_weighting import multi_task_backward
from visual_taxonomy.task_weighting.base import TaskWeighting

Rows = Sequence[Sequence[float]]


@pytest.fixture
def two_rows() -> Rows:
    """Gradients of two tasks in conflict."""
    return [[1.0, 0.0], [-0.5, 1.0]]


@pytest.fixture
def three_rows() -> Rows:
    """Gradients of three tasks, two pairs of them in conflict."""
    return [[1.0, 0.0, 0.0], [-0.5, 1.0, 0.0], [0.2, -0.4, 2.0]]


@pytest.fixture
def three_losses() -> list[float]:
    return [0.8, 1.5, 0.3]


@pytest.fixture
def gramian_of() -> Callable[[Rows], Tensor]:
    """[A, A] inner products in float64."""

    def compute(rows: Rows) -> Tensor:
        jacobian = torch.tensor(rows, dtype=torch.float64)
        return jacobian @ jacobian.T

    return compute


@pytest.fixture
def update() -> Callable[..., Tensor]:
    """The direction of a method where task t has loss L_t and gradient row t at parameters 0."""

    def run(
        method: TaskWeighting, rows: Rows, losses: Sequence[float] | None = None, **keywords
    ) -> Tensor:
        jacobian = torch.tensor(rows)
        values = torch.ones(len(jacobian)) if losses is None else torch.tensor(losses)
        parameter = torch.zeros(jacobian.shape[1], requires_grad=True)
        at = dict(zip(method.task_names, values + jacobian @ parameter, strict=False))
        assert multi_task_backward(at, method, [parameter], **keywords) is not None
        assert parameter.grad is not None
        return parameter.grad

    return run


class Catalogue(nn.Module):
    """A backbone, a neck with batch normalization per category, a head per task.

    The images are fixed random numbers: eight of category A (tasks A/x, A/y, A/z), eight of B.
    """

    tasks = ("A/x", "A/y", "A/z", "B/x", "B/y")

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0
        self.backbone = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
        self.necks = nn.ModuleDict(
            {name: nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 5), nn.ReLU()) for name in "AB"}
        )
        self.heads = nn.ModuleDict({task: nn.Linear(5, 3) for task in self.tasks})
        self.register_buffer("images", torch.randn(16, 6))
        self.register_buffer("labels", torch.randint(0, 3, (5, 16)))

    @property
    def shared(self) -> list[nn.Parameter]:
        return [*self.backbone.parameters(), *self.necks.parameters()]

    def _count(self, gradient: Tensor) -> None:
        self.passes += 1

    def features(self, images: Tensor) -> Tensor:
        hidden = self.backbone[1](self.backbone[0](images))
        if hidden.requires_grad:
            hidden.register_hook(self._count)
        return self.backbone[3](self.backbone[2](hidden))

    def losses(self, features: Tensor, tasks: Sequence[str] = tasks) -> dict[str, Tensor]:
        found = {}
        parts = {"A": slice(0, 8), "B": slice(8, 16)}
        hidden = {name: self.necks[name](features[parts[name]]) for name in {t[0] for t in tasks}}
        for task in tasks:
            labels = self.labels[self.tasks.index(task), parts[task[0]]]
            found[task] = F.cross_entropy(self.heads[task](hidden[task[0]]).float(), labels)
        return found

    def gradients(self) -> dict[str, Tensor]:
        """Those that are there, by name of the parameter; then they are taken away."""
        named = self.named_parameters()
        found = {name: p.grad.clone() for name, p in named if p.grad is not None}
        self.zero_grad()
        return found

    def step(self, method: TaskWeighting, tasks: Sequence[str] = tasks, **keywords):
        """One call of `multi_task_backward` on all images: weights and gradients."""
        update, found = self.update(method, tasks, **keywords)
        return None if update is None else update.weights, found

    def update(self, method: TaskWeighting, tasks: Sequence[str] = tasks, **keywords):
        """The same with all that the call returns."""
        features = self.features(self.images)
        losses = self.losses(features, tasks)
        update = multi_task_backward(losses, method, self.shared, features, **keywords)
        return update, self.gradients()

    def naive_gradients(self, tasks: Sequence[str] = tasks) -> list[dict[str, Tensor]]:
        """Of each loss, by one full backward pass each."""
        found = []
        for task in tasks:
            loss = self.losses(self.features(self.images), tasks)[task]
            loss.backward()
            found.append(self.gradients())
        return found


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
