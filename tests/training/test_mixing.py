"""mixup and CutMix, checked against timm where every label is known, and by hand where not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from timm.data.mixup import Mixup, cutmix_bbox_and_lam
from timm.loss import SoftTargetCrossEntropy
from torch import Tensor

from visual_taxonomy.config import DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.mixing import Box, Mixer, Mixing, build_mixer
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.parallel import Parallel

ONE_TASK = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no", "woven"]}})


@pytest.fixture
def alone() -> Parallel:
    """The only process."""
    return Parallel(SimpleNamespace(world_size=1, global_rank=0, device=torch.device("cpu")))


def objective_of(taxonomy: Taxonomy, **changes: object) -> Objective:
    counts = [torch.arange(1, len(task.classes) + 1) for task in taxonomy.tasks]
    objective = Objective(taxonomy, counts, ObjectiveConfig(**changes), num_epochs=10)
    objective.start_epoch(0, torch.device("cpu"))
    return objective


def mixed_by_timm(
    images: Tensor, target: Tensor, **alphas: float
) -> tuple[Tensor, Tensor, float, Box | None]:
    """What timm makes of a batch: images, soft targets, the share it drew, the box."""
    mixup = Mixup(label_smoothing=0.0, num_classes=3, **alphas)
    np.random.seed(3)
    share, is_cut = mixup._params_per_batch()
    box = None
    if is_cut:
        (top, bottom, left, right), share = cutmix_bbox_and_lam(tuple(images.shape), share)
        box = Box(int(top), int(bottom), int(left), int(right))
    np.random.seed(3)
    mixed, soft = mixup(images.float(), target)
    return mixed, soft, float(share), box


@pytest.mark.parametrize(
    "alphas", [{"mixup_alpha": 0.8, "cutmix_alpha": 0.0}, {"mixup_alpha": 0.0, "cutmix_alpha": 1.0}]
)
def test_with_every_label_known_it_is_the_mixup_and_cutmix_of_timm(
    alphas: dict[str, float], alone: Parallel
) -> None:
    images = torch.randint(0, 256, (6, 3, 8, 10), dtype=torch.uint8)
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    expected, soft, share, box = mixed_by_timm(images, target, **alphas)
    mixing = Mixing(torch.arange(6).flip(0), share, box)  # timm's partner is the row from behind
    torch.testing.assert_close(mixing.images(images, alone).float(), expected)

    objective, logits = objective_of(ONE_TASK), torch.randn(6, 1, 3)
    entries = objective.entries(torch.zeros(6, dtype=torch.long), target[:, None])
    output = HeadOutput(logits, torch.zeros(6, 4))
    losses = mixing.losses(objective, output, entries)
    torch.testing.assert_close(
        losses["Sarees/border"], SoftTargetCrossEntropy()(logits[:, 0], soft.float())
    )


def test_a_hole_mixes_no_target_and_each_image_counts_with_its_own_labels(taxonomy) -> None:
    # Rows 0, 1 and 2 are Sarees, in a circle 0 <- 1 <- 2 <- 0; 3 and 4 are Kurtis.
    categories = torch.tensor([0, 0, 0, 1, 1])
    targets = torch.tensor([[2, 1, -1], [-1, 0, -1], [0, -1, -1], [1, -1, 0], [-1, 2, 0]])
    mixing = Mixing(torch.tensor([1, 2, 0, 4, 3]), 0.7)
    objective, logits = objective_of(taxonomy), torch.randn(5, 4, 3, dtype=torch.float64)
    entries = objective.entries(categories, targets)
    losses = mixing.losses(objective, HeadOutput(logits, torch.zeros(5, 4)), entries)

    def mean(task: int, classes: int, *labels: tuple[int, int]) -> Tensor:
        """Of the negative log-probabilities, by hand, of (row, class)."""
        return -torch.stack(
            [logits[row, task, :classes].log_softmax(0)[index] for row, index in labels]
        ).mean()

    expected = {
        # Border: row 0 is woven, 2 is zari. 0 shows in row 2, and 2 in row 1.
        "Sarees/border": 0.7 * mean(0, 3, (0, 2), (2, 0)) + 0.3 * mean(0, 3, (2, 2), (1, 0)),
        # Color: row 0 is 1, row 1 is 0. 0 shows in row 2, and 1 in row 0.
        "Sarees/color": 0.7 * mean(1, 2, (0, 1), (1, 0)) + 0.3 * mean(1, 2, (2, 1), (0, 0)),
        # Only row 3 has a color, only row 4 a sleeve; each shows in the other one.
        "Kurtis/color": 0.7 * mean(2, 2, (3, 1)) + 0.3 * mean(2, 2, (4, 1)),
        "Kurtis/sleeve": 0.7 * mean(3, 3, (4, 2)) + 0.3 * mean(3, 3, (3, 2)),
    }
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name].to(loss))


@pytest.mark.parametrize("loss", [name for name, each in LOSSES.items() if each.soft_targets])
def test_every_loss_that_mixes_gives_both_images_their_share(loss: str, taxonomy) -> None:
    objective = objective_of(taxonomy, loss_type=loss)
    categories = torch.tensor([0, 0, 1])
    targets = torch.tensor([[1, 0, -1], [2, -1, -1], [0, 1, -1]])
    swapped = targets[[1, 0, 2]]
    output = HeadOutput(torch.randn(3, 4, 3), torch.zeros(3, 4))
    entries, others = (objective.entries(categories, labels) for labels in (targets, swapped))
    first, second = objective(output, entries), objective(output, others)
    mixing = Mixing(torch.tensor([1, 0, 2]), 0.6)
    for name, value in mixing.losses(objective, output, entries).items():
        torch.testing.assert_close(value, 0.6 * first[name] + 0.4 * second[name])


def test_partners_are_of_one_category_and_no_row_is_its_own_but_a_lone_one() -> None:
    categories = np.array([0, 2, 0, 1, -1, 1, 0, 1, -1, 0])
    for step in range(50):
        partners = Mixer(mixup=1.0, seed=1).draw(categories, (4, 4), 0, step).partners.numpy()
        assert sorted(partners) == list(range(10))
        assert (categories[partners] == categories).all()
        assert (partners == np.arange(10)).nonzero()[0].tolist() == [1]


def test_any_other_row_of_the_category_is_as_likely_a_partner() -> None:
    draws = [Mixer(mixup=1.0).draw(np.zeros(4), (4, 4), 0, step).partners for step in range(1500)]
    counts = torch.stack(draws)[:, 0].bincount(minlength=4)
    assert counts[0] == 0
    # Four standard deviations of a binomial of 1500 x 1/3 are 73.
    assert ((counts[1:] - 500).abs() < 73).all()


def test_shares_have_mean_and_variance_of_their_beta_distribution() -> None:
    mixer = Mixer(mixup=0.4)
    shares = np.array([mixer.draw(np.zeros(2), (4, 4), 0, step).share for step in range(2000)])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * 1.8), rel=0.1)


def test_the_share_of_a_cut_out_image_is_what_is_left_of_it() -> None:
    mixer, found = Mixer(cutmix=1.0), []
    for step in range(200):
        mixing = mixer.draw(np.zeros(2), (9, 7), 0, step)
        assert mixing.box is not None
        mask = torch.ones(9, 7)
        mask[slice(*mixing.box[:2]), slice(*mixing.box[2:])] = 0
        assert mixing.share == pytest.approx(mask.mean().item())
        found.append(mixing.share)
    assert min(found) < 0.3
    assert max(found) == 1.0


def test_with_both_a_batch_is_mixed_by_one_of_the_two_as_likely() -> None:
    mixer = Mixer(mixup=0.2, cutmix=1.0)
    cuts = [mixer.draw(np.zeros(2), (8, 8), 1, step).box is not None for step in range(400)]
    assert 160 < sum(cuts) < 240  # four standard deviations of a fair coin


def test_each_position_and_seed_has_its_own_draw_and_the_same_again() -> None:
    def draw(seed: int, epoch: int, step: int) -> tuple[list[int], float]:
        mixing = Mixer(mixup=1.0, seed=seed).draw(np.zeros(8), (4, 4), epoch, step)
        return mixing.partners.tolist(), mixing.share

    assert draw(1, 2, 3) == draw(1, 2, 3)
    positions = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 0, 0), (1, 0, 1), (1, 1, 0)]
    assert len({draw(*position)[1] for position in positions}) == len(positions)


@pytest.mark.parametrize("box", [None, Box(0, 2, 1, 3)])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_of_two_mixes_its_own_rows_as_one_process_would(
    rank: int, box: Box | None, alone: Parallel, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)  # the last is a filler
    mixing = Mixing(torch.tensor([3, 2, 1, 4, 0]), 0.25, box)
    whole = torch.cat([mixing.images(images[:5], alone), images[5:]])

    def all_gather(gathered: Tensor, share: Tensor) -> None:
        assert torch.equal(share, images[rank::2])
        gathered.copy_(torch.cat([images[0::2], images[1::2]]))

    monkeypatch.setattr(torch.distributed, "all_gather_into_tensor", all_gather)
    fabric = SimpleNamespace(world_size=2, global_rank=rank, device=torch.device("cpu"))
    assert torch.equal(mixing.images(images[rank::2], Parallel(fabric)), whole[rank::2])


def test_the_batch_of_the_source_is_left_as_it_is(alone: Parallel) -> None:
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    before = images.clone()
    for box in (None, Box(0, 4, 0, 4)):
        mixed = Mixing(torch.tensor([1, 0]), 0.0, box).images(images, alone)
        assert torch.equal(mixed, before.flip(0).to(mixed.dtype))
        assert torch.equal(images, before)


@pytest.mark.parametrize("loss", ["IB", "IBFocal"])
def test_influence_balancing_is_refused(loss: str, tmp_path) -> None:
    config = TrainConfig(DataConfig(tmp_path, tmp_path), objective=ObjectiveConfig(loss_type=loss))
    assert build_mixer(config) is None
    for name in ("mixup", "cutmix"):
        mixed = replace(config, data=replace(config.data, **{name: 0.5}))
        message = f"`{name}` 0.5: `loss_type={loss}` weights .* that mix are CE, LDAM, Focal, CE-CB"
        with pytest.raises(InputError, match=message):
            build_mixer(mixed)


def test_cached_features_and_negative_alphas_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"`cutmix` must be 0 or more, not -1"):
        DataConfig(tmp_path, tmp_path, cutmix=-1.0)
    data = DataConfig(tmp_path, tmp_path, feature_cache=tmp_path, mixup=0.2)
    with pytest.raises(InputError, match="`mixup` mixes images, and `feature_cache` holds feat"):
        TrainConfig(data, ModelConfig(freeze_backbone=True))


def test_the_answers_of_a_teacher_count_where_their_image_is(taxonomy) -> None:
    objective = objective_of(taxonomy)
    categories = torch.tensor([0, 0])
    targets = torch.full((2, taxonomy.num_slots), -1)
    width = max(len(task.classes) for task in taxonomy.tasks)
    taught = torch.full((2, taxonomy.num_slots, width), torch.nan)
    taught[:, 0] = torch.randn(2, width).log_softmax(dim=1)
    entries = objective.entries(categories, targets, taught)
    output = HeadOutput(torch.randn(2, 1, width), torch.zeros(2, 4))
    found = Mixing(torch.tensor([1, 0]), 0.25).losses(objective, output, entries)

    def divergence(of_image: int, of_teacher: int) -> Tensor:
        student = output.logits[of_image, 0].log_softmax(dim=0)
        teacher = taught[of_teacher, 0]
        return (teacher.exp() * (teacher - student)).sum()

    own = (divergence(0, 0) + divergence(1, 1)) / 2
    swapped = (divergence(0, 1) + divergence(1, 0)) / 2
    # Border has three classes, the most of all tasks; without a label the share is the whole loss.
    assert found.keys() == {"Sarees/border"}
    expected = objective.teacher_share * (0.25 * own + 0.75 * swapped)
    torch.testing.assert_close(found["Sarees/border"], expected)
