"""The mean of checkpoints, and which of them a greedy soup takes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.soup import Subset, averaged, greedy_soup, interpolated
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.combination import Witnesses


def moved(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """The checkpoint with other weights."""
    random = torch.Generator().manual_seed(seed)
    weights = {
        name: value + 0.1 * torch.randn(value.shape, generator=random)
        if value.is_floating_point()
        else value
        for name, value in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


def test_weights_and_statistics_are_the_means_of_numpy(checkpoint: Checkpoint) -> None:
    parts = [moved(checkpoint, seed) for seed in range(3)]
    found = averaged(parts).weights
    for name in ("heads.norm.running_var", "heads.classifiers.weights.0", "encoder.backbone"):
        for key in (key for key in found if key.startswith(name)):
            arrays = [part.weights[key].double().numpy() for part in parts]
            np.testing.assert_allclose(found[key].numpy(), np.mean(arrays, axis=0), rtol=1e-6)
    assert averaged(parts).classifier() is not None


def test_equal_checkpoints_are_their_mean_bit_for_bit(checkpoint: Checkpoint) -> None:
    found = averaged([checkpoint] * 3).weights
    assert all(torch.equal(found[name], value) for name, value in checkpoint.weights.items())


def test_scores_and_decision_of_a_part_are_not_those_of_the_mean(
    checkpoint: Checkpoint, decision: Decision
) -> None:
    counts = [
        {task.name: [k] * len(task.classes) for task in checkpoint.taxonomy.tasks} for k in (2, 5)
    ]
    parts = [
        replace(checkpoint, decision=decision, epoch=3, metrics={"hm": 1.0}, class_counts=each)
        for each in counts
    ]
    found = averaged(parts)
    assert (found.decision, found.epoch, found.metrics) == (None, -1, {})
    assert found.class_counts["Sarees/color"] == [4, 4]  # 3.5, to the even number


def test_words_of_a_part_stay_and_answer_nothing_until_the_mean_is_calibrated(
    checkpoint: Checkpoint, witnesses: Witnesses, table_of: Callable[[int], Table]
) -> None:
    part = replace(checkpoint, witnesses=witnesses)
    mean = averaged([part, part])
    assert mean.witnesses is not None
    assert mean.witnesses.words is witnesses.words
    table = replace(table_of(4), texts=np.full((4, 2), "Lovely zari red short", dtype=object))
    settings = InferenceConfig(workers=0, precision="32", accelerator="cpu")
    with_words, alone, of_part = (
        Predictor(model, settings).predict_classes(table)[0]
        for model in (mean, replace(mean, witnesses=None), part)
    )
    np.testing.assert_array_equal(with_words, alone)
    assert (of_part != alone).any()


def test_other_models_have_no_mean(checkpoint: Checkpoint) -> None:
    other = Taxonomy.from_dict({"Hats": {"brim": ["wide", "none"]}})
    with pytest.raises(InputError, match="of another taxonomy than the checkpoint"):
        averaged([checkpoint, replace(checkpoint, taxonomy=other)])
    narrower = replace(checkpoint.model, image_size=(32, 32))
    with pytest.raises(InputError, match=r"`image_size` is \(32, 32\), but \(32, 48\) in"):
        averaged([checkpoint, replace(checkpoint, model=narrower)])
    weights = {**checkpoint.weights, "heads.classifiers.weights.0": torch.zeros(1, 1)}
    with pytest.raises(InputError, match=r"no mean with .*: 'heads.classifiers.weights.0' is of"):
        averaged([checkpoint, replace(checkpoint, weights=weights)])


def test_interpolation_moves_the_start_weights_alone(checkpoint: Checkpoint) -> None:
    name = next(name for name in checkpoint.weights if name.startswith("encoder."))
    begun = torch.zeros_like(checkpoint.weights[name])
    found = interpolated(checkpoint, {name: begun}, 0.7).weights
    torch.testing.assert_close(found[name], 0.7 * checkpoint.weights[name])
    others = checkpoint.weights.keys() - {name}
    assert all(found[other] is checkpoint.weights[other] for other in others)


@pytest.fixture
def labelled(table_of: Callable[[int], Table]) -> Table:
    """40 Sarees with two colours."""
    table = table_of(80)
    table = table.take(np.flatnonzero(table.categories == 0))
    table.targets[:, 0] = -1
    table.targets[:, 1] = np.arange(len(table)) % 2
    return table


def test_a_checkpoint_is_taken_where_it_does_not_lower_the_score(labelled: Table) -> None:
    # Share of right answers of each mean: 1 is best alone, 0 helps it, 2 hurts both.
    right = {(0,): 0.6, (1,): 0.7, (2,): 0.5, (0, 1): 0.8, (0, 1, 2): 0.75}
    asked = []

    def classes_of(chosen: Subset) -> np.ndarray:
        asked.append(chosen)
        # In blocks of two, so that every fold sees the same share of either colour.
        is_right = (np.arange(len(labelled)) // 2) % 20 < 20 * right[chosen]
        classes = labelled.targets.copy()
        classes[:, 1] = np.where(is_right, classes[:, 1], 1 - classes[:, 1])
        return classes

    found = greedy_soup(classes_of, 3, labelled, np.arange(len(labelled)))
    assert found.chosen == (0, 1)
    assert found.scores == pytest.approx((0.6, 0.7, 0.5))
    assert found.score == pytest.approx(0.8)
    assert found.cross_fitted <= found.score
    assert len(asked) == len(set(asked))  # no mean predicts twice


def test_a_choice_by_luck_does_not_pass_the_other_folds(labelled: Table) -> None:
    # Two coins: one is better on all rows by chance alone.
    drawn = np.random.default_rng(1).random((2, len(labelled))) < 0.5

    def classes_of(chosen: Subset) -> np.ndarray:
        classes = labelled.targets.copy()
        is_right = drawn[chosen[0]] if len(chosen) == 1 else drawn[0] & drawn[1]
        classes[:, 1] = np.where(is_right, classes[:, 1], 1 - classes[:, 1])
        return classes

    found = greedy_soup(classes_of, 2, labelled, np.arange(len(labelled)))
    assert found.cross_fitted <= found.score == max(found.scores)
