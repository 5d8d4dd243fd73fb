import numpy as np
import pytest

from visual_taxonomy.synthetic.motifs import MOTIFS, stamp

INKS = ((200, 30, 40), (250, 220, 90), (20, 30, 80))


@pytest.mark.parametrize("motif", sorted(MOTIFS))
def test_a_motif_fills_a_fair_part_of_its_tile(motif):
    alpha = np.asarray(stamp(motif, 40, INKS))[..., 3]
    assert alpha.shape == (40, 40)
    assert 0.1 < (alpha > 0).mean() < 0.95


@pytest.mark.parametrize("motif", sorted(MOTIFS))
def test_a_motif_is_drawn_with_its_inks(motif):
    pixels = np.asarray(stamp(motif, 40, INKS)).reshape(-1, 4)
    other = np.asarray(stamp(motif, 40, ((1, 2, 3), (4, 5, 6), (7, 8, 9)))).reshape(-1, 4)
    assert (pixels[:, 3] == other[:, 3]).all()
    assert (pixels != other).any()


def test_no_two_motifs_look_alike():
    tiles = {name: np.asarray(stamp(name, 24, INKS)).astype(int) for name in MOTIFS}
    for one in tiles:
        for other in tiles:
            if one < other:
                assert np.abs(tiles[one] - tiles[other]).mean() > 5, (one, other)


def test_the_smallest_tile_has_four_pixels():
    assert stamp("flower", 0.3, INKS).size == (4, 4)


def test_a_turned_motif_keeps_its_area():
    straight = np.asarray(stamp("bolt", 60, INKS))[..., 3].astype(float).sum()
    turned = np.asarray(stamp("bolt", 60, INKS, 37.0))[..., 3].astype(float).sum()
    assert turned == pytest.approx(straight, rel=0.05)


def test_a_quarter_turn_turns_the_tile():
    straight = np.asarray(stamp("elephant", 20, INKS))
    turned = np.asarray(stamp("elephant", 20, INKS, 90.0))
    np.testing.assert_array_equal(turned, np.rot90(straight))
