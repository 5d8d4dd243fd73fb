import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.mgda import MultipleGradientDescent

NAMES = ["c/a", "c/b", "c/d"]


def weights_of(gramian, losses=None, **parameters):
    losses = torch.ones(len(gramian)) if losses is None else torch.tensor(losses)
    return MultipleGradientDescent(NAMES, **parameters)(gramian, losses, range(len(gramian)))


def test_two_tasks_have_the_closed_form(gramian_of, update, two_rows):
    assert weights_of(gramian_of(two_rows)).tolist() == pytest.approx(
        [0.538462, 0.461538], abs=1e-6
    )
    direction = update(MultipleGradientDescent(NAMES), two_rows)
    assert direction.tolist() == pytest.approx([0.307692, 0.461538], abs=1e-6)


@pytest.mark.parametrize(
    ("normalizer", "weights", "raw"),
    [
        ("none", [0.467914, 0.438503, 0.093583], [0.26738, 0.40107, 0.187166]),
        ("l2", [0.349481, 0.403406, 0.247113], [0.197201, 0.304561, 0.494226]),
        ("loss", [0.31443, 0.67041, 0.01516], [-0.017743, 0.664346, 0.03032]),
        ("loss+", [0.274031, 0.689153, 0.036817], [-0.063182, 0.674426, 0.073633]),
    ],
)
def test_three_tasks_have_the_numbers_computed_by_hand(
    normalizer, weights, raw, gramian_of, update, three_rows, three_losses
):
    found = weights_of(gramian_of(three_rows), three_losses, normalizer=normalizer)
    assert found.tolist() == pytest.approx(weights, abs=2e-6)
    method = MultipleGradientDescent(NAMES, normalizer=normalizer)
    assert update(method, three_rows, three_losses).tolist() == pytest.approx(raw, abs=2e-6)


def test_normalized_update_combines_normalized_gradients(update, three_rows):
    method = MultipleGradientDescent(NAMES, normalizer="l2", update="normalized")
    direction = update(method, three_rows)
    assert direction.tolist() == pytest.approx([0.193188, 0.312586, 0.241158], abs=2e-6)


def test_a_vertex_is_reached_exactly(gramian_of):
    assert weights_of(gramian_of([[1.0, 0.0], [3.0, 1.0]])).tolist() == [1.0, 0.0]


def test_opposite_gradients_give_no_update(update):
    direction = update(MultipleGradientDescent(NAMES), [[2.0, 0.0], [-1.0, 0.0]])
    assert direction.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_every_task_gains_at_least_the_squared_norm(gramian_of):
    gramian = gramian_of(torch.randn(8, 20).tolist())
    weights = weights_of(gramian)
    gains = gramian @ weights
    squared_norm = weights @ gains
    assert (gains >= squared_norm - 1e-9).all()
    assert gains[weights > 0].tolist() == pytest.approx(
        [squared_norm.item()] * int((weights > 0).sum())
    )


def test_scaling_all_gradients_changes_no_weight(gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    torch.testing.assert_close(weights_of(1e6 * gramian), weights_of(gramian))


def test_agrees_with_torchjd_run_to_convergence(gramian_of):
    from torchjd.aggregation import MGDAWeighting

    gramian = gramian_of(torch.randn(5, 20).tolist())
    expected = MGDAWeighting(epsilon=1e-12, max_iters=20000)(gramian)
    torch.testing.assert_close(weights_of(gramian), expected, atol=1e-4, rtol=0)


def test_unknown_choices_are_refused():
    with pytest.raises(InputError, match=r"normalizer 'l1' is none of: none, l2, loss, loss\+"):
        MultipleGradientDescent(NAMES, normalizer="l1")
    with pytest.raises(InputError, match="update 'both' is none of: raw, normalized"):
        MultipleGradientDescent(NAMES, update="both")
