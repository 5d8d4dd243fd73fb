import numpy as np
import pytest

from visual_taxonomy.synthetic.motifs import MOTIFS, Pen, stamp

INKS = ((200, 30, 40), (250, 220, 90), (20, 30, 80))


@pytest.mark.parametrize("motif", sorted(MOTIFS))
def test_a_motif_fills_a_fair_part_of_its_tile(motif):
    alpha = np.asarray(stamp(motif, 40, INKS, 0.0))[..., 3]
    assert alpha.shape == (40, 40)
    assert 0.1 < (alpha > 0).mean() < 0.95


@pytest.mark.parametrize("motif", sorted(MOTIFS))
def test_a_motif_is_drawn_with_its_inks(motif):
    pixels = np.asarray(stamp(motif, 40, INKS, 0.0)).reshape(-1, 4)
    other = np.asarray(stamp(motif, 40, ((1, 2, 3), (4, 5, 6), (7, 8, 9)), 0.0)).reshape(-1, 4)
    assert (pixels[:, 3] == other[:, 3]).all()
    assert (pixels != other).any()


def test_no_two_motifs_look_alike():
    tiles = {name: np.asarray(stamp(name, 24, INKS, 0.0)).astype(int) for name in MOTIFS}
    for one in tiles:
        for other in tiles:
            if one < other:
                assert np.abs(tiles[one] - tiles[other]).mean() > 5, (one, other)


def test_the_smallest_tile_has_four_pixels():
    assert stamp("flower", 0.3, INKS, 0.0).size == (4, 4)


def test_a_turned_motif_keeps_its_area():
    straight = np.asarray(stamp("bolt", 60, INKS, 0.0))[..., 3].astype(float).sum()
    turned = np.asarray(stamp("bolt", 60, INKS, 37.0))[..., 3].astype(float).sum()
    assert turned == pytest.approx(straight, rel=0.05)


def test_a_quarter_turn_turns_the_tile():
    straight = np.asarray(stamp("elephant", 20, INKS, 0.0))
    turned = np.asarray(stamp("elephant", 20, INKS, 90.0))
    np.testing.assert_array_equal(turned, np.rot90(straight))


def test_the_pen_draws_discs_shapes_and_lines_on_its_tile():
    pen = Pen(41)
    pen.disc(-0.5, -0.5, 0.25, INKS[0])
    pen.disc(0.5, -0.5, 0.4, INKS[1], ry=0.1)
    pen.shape([(-1, 0.2), (0, 0.2), (0, 0.6), (-1, 0.6)], INKS[2])
    pen.line([(-1, 0.9), (1, 0.9)], INKS[0], 0.1)
    at = {
        (x, y): pen.tile.getpixel((x, y))[:3] for x, y in ((10, 10), (30, 10), (10, 28), (20, 38))
    }
    assert list(at.values()) == [INKS[0], INKS[1], INKS[2], INKS[0]]
    assert pen.tile.getpixel((30, 16))[3] == 0  # beyond the flat ellipse
