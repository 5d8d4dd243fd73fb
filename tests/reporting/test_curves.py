import math

import pytest
from matplotlib.colors import same_color
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.curves import plot_training
from visual_taxonomy.reporting.style import BLUE, RED


def row(epoch, hm, val_loss, **others):
    return {
        "epoch": epoch,
        "train_loss": 1.0 - 0.1 * epoch,
        "val_loss": val_loss,
        "hm": hm,
        "micro": hm + 0.1,
        "macro": hm - 0.1,
        "images_per_second": 200.0,
        "seconds": 45.0,
        "lr": 1e-4,
        **others,
    }


ROWS = [row(0, 0.3, 0.9), row(1, 0.5, 0.6), row(2, 0.6, 0.7), row(3, 0.55, 0.8)]


def test_image_is_written(tmp_path):
    plot_training(ROWS, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.format == "PNG"


def test_best_epoch_of_score_and_of_loss_are_marked(texts_of, tmp_path):
    texts = texts_of(plot_training, ROWS, tmp_path / "curve.png")
    assert "HM-F1 is highest in epoch 3: 0.600" in texts
    assert "4 epochs  ·  3.0 minutes  ·  200 images a second" in texts
    assert same_color(texts["highest 0.600, epoch 3"].get_color(), BLUE)
    assert same_color(texts["lowest 0.600, epoch 2"].get_color(), RED)


def test_every_curve_is_named_with_its_last_value(texts_of, tmp_path):
    texts = texts_of(plot_training, ROWS, tmp_path / "curve.png")
    names = {"training 0.700", "validation 0.800", "micro 0.650", "HM 0.550", "macro 0.450"}
    assert names <= set(texts)


def test_names_of_curves_that_meet_do_not_overlap(texts_of, tmp_path):
    rows = [row(epoch, 0.5, 0.8, micro=0.5, macro=0.5) for epoch in range(3)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    boxes = [texts[name].get_window_extent() for name in ("micro 0.500", "HM 0.500", "macro 0.500")]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("best", [0, 1, 2, 3])
def test_mark_of_any_epoch_lies_inside_the_figure(texts_of, tmp_path, best):
    rows = [row(i, 0.9 if i == best else 0.1, 0.1 if i == best else 0.9) for i in range(4)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    assert f"highest 0.900, epoch {best + 1}" in texts


def test_last_epoch_as_the_best_is_called_so(texts_of, tmp_path):
    texts = texts_of(plot_training, ROWS[:3], tmp_path / "curve.png")
    assert "HM-F1 is highest in the last epoch: 0.600" in texts


def test_one_epoch_is_drawn(texts_of, tmp_path):
    texts = texts_of(plot_training, ROWS[:1], tmp_path / "curve.png")
    assert "HM-F1 is 0.300 after one epoch" in texts
    assert "1 epoch  ·  45 seconds  ·  200 images a second" in texts


def test_values_that_are_not_finite_leave_a_gap(texts_of, tmp_path):
    rows = [row(0, 0.3, math.nan), row(1, 0.5, math.inf), row(2, 0.4, 0.7), row(3, math.nan, 0.8)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    assert {"HM-F1 is highest in epoch 2: 0.500", "lowest 0.700, epoch 3"} <= set(texts)


def test_columns_may_be_missing(texts_of, tmp_path):
    rows = [{"epoch": epoch, "train_loss": 1.0} for epoch in range(2)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    assert {"No epoch has a finite score yet", "2 epochs", "training 1.000"} <= set(texts)


def test_no_epoch_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"curve\.png: no epoch to draw; metrics\.csv has no row"):
        plot_training([], tmp_path / "curve.png")


def test_curves_go_through_the_values(figure_of, tmp_path):
    losses, scores = figure_of(plot_training, ROWS, tmp_path / "curve.png").axes
    drawn = [line.get_xydata().tolist() for line in (*losses.lines, *scores.lines)]
    for key in ("train_loss", "val_loss", "hm", "micro", "macro"):
        assert [[row["epoch"] + 1, row[key]] for row in ROWS] in drawn


def test_first_of_epochs_that_tie_is_the_best(texts_of, tmp_path):
    rows = [row(0, 0.2, 0.9), row(1, 0.5, 0.4), row(2, 0.5, 0.4)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    assert {"highest 0.500, epoch 2", "lowest 0.400, epoch 2"} <= set(texts)


def test_epochs_of_a_resumed_run_keep_their_numbers(texts_of, figure_of, tmp_path):
    rows = [row(7, 0.5, 0.8), row(8, 0.6, 0.7), row(9, 0.4, 0.9)]
    assert "highest 0.600, epoch 9" in texts_of(plot_training, rows, tmp_path / "curve.png")
    for axes in figure_of(plot_training, rows, tmp_path / "curve.png").axes:
        assert axes.get_xlim() == (8, 10)


def test_ticks_are_whole_epochs(figure_of, tmp_path):
    for rows in (ROWS[:1], ROWS[:2], [row(epoch, 0.5, 0.5) for epoch in range(100)]):
        for axes in figure_of(plot_training, rows, tmp_path / "curve.png").axes:
            assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_metrics_that_do_not_change_are_drawn(texts_of, tmp_path):
    rows = [row(epoch, 0.0, 0.0, train_loss=0.0, micro=0.0, macro=0.0) for epoch in range(3)]
    texts = texts_of(plot_training, rows, tmp_path / "curve.png")
    assert {"HM 0.000", "validation 0.000", "training 0.000"} <= set(texts)
