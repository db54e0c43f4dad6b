"""Overlaps of regions and of their ellipses, and bands: by hand, closed forms and a raster."""

import math

import numpy as np
import pytest
from worked import ellipse_of

from hpstudy.analysis.regions import Ellipses, band, ellipse_overlap, jaccard

NAN = math.nan


def shapes(*rows):
    """Ellipses of length, width, first, second and angle, one a row."""
    return Ellipses(*np.array(rows, float).T)


def test_jaccard_is_the_common_points_over_those_in_either():
    one = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    other = np.array([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(jaccard(one, other), [0.5, 0, 1, NAN])


def test_equal_ellipses_overlap_fully_and_distant_ones_not_at_all():
    some = shapes([2, 0.5, 1, -3, 0.7], [2, 0.5, 1, -3, 0.7], [2, 1, 0, 0, 0.2])
    others = shapes([2, 0.5, 1, -3, 0.7], [2, 0.5, 5, -3, 0.7], [2, 1, 0, 0, 0.2 - math.pi])
    np.testing.assert_allclose(ellipse_overlap(some, others), [1, 0, 1], atol=1e-12)


@pytest.mark.parametrize("apart", [0.3, 1.0, 1.9])
def test_two_circles_overlap_in_a_lens(apart):
    # Of radius 1: area of the lens between two equal circles.
    lens = 2 * math.acos(apart / 2) - apart / 2 * math.sqrt(4 - apart**2)
    for turn in (0, 0.6, math.pi / 2):
        other = shapes([2, 2, apart * math.cos(turn), apart * math.sin(turn), 0])
        found = ellipse_overlap(shapes([2, 2, 0, 0, 0]), other)[0]
        assert found == pytest.approx(lens / (2 * math.pi - lens), abs=2e-3)


def test_overlap_of_a_contained_ellipse_is_the_ratio_of_areas():
    found = ellipse_overlap(shapes([2, 1, 0, 0, 0.4]), shapes([0.6, 0.5, 0.1, 0, -0.9]))
    assert found[0] == pytest.approx(0.6 * 0.5 / (2 * 1), abs=2e-3)


def test_overlap_of_turned_ellipses_matches_a_fine_raster():
    random = np.random.default_rng(9)
    ticks = np.linspace(-2, 2, 1001)
    x, y = np.meshgrid(ticks, ticks)
    rows, inside = [], []
    for _ in range(12):
        length, width = np.sort(random.uniform(0.3, 2, 2))[::-1]
        first, second, angle = *random.uniform(-0.5, 0.5, 2), random.uniform(-1.57, 1.57)
        rows.append([length, width, first, second, angle])
        along = (x - first) * math.cos(angle) + (y - second) * math.sin(angle)
        across = (y - second) * math.cos(angle) - (x - first) * math.sin(angle)
        inside.append((2 * along / length) ** 2 + (2 * across / width) ** 2 <= 1)
    found = ellipse_overlap(shapes(*rows[::2]), shapes(*rows[1::2]))
    expected = [
        (one & other).sum() / (one | other).sum()
        for one, other in zip(inside[::2], inside[1::2], strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_overlap_with_a_missing_ellipse_is_nan():
    missing = shapes([NAN, NAN, 0, 0, NAN])
    assert np.isnan(ellipse_overlap(missing, shapes([2, 1, 0, 0, 0])))


# --- the band -------------------------------------------------------------------------------------


def as_draw(ellipse):
    """A measured ellipse of two deviations, as the only draw."""
    return shapes([ellipse.length, ellipse.width, *ellipse.centre, ellipse.angle])


@pytest.mark.parametrize(("a", "b"), [(-5.0, 1.0), (-3.0, 0.4), (-2.0, -0.7), (-6.0, 2.5)])
def test_points_on_a_line_give_its_band(a, b):
    first = np.linspace(-2.5, -0.5, 7)
    shape = as_draw(ellipse_of(10**first, 10 ** (a - b * first)))
    found = band(shape)
    assert found.a == pytest.approx((a, a, a)) and found.b == pytest.approx((b, b, b))


def test_constant_product_of_lr_and_weight_decay_has_slope_1():
    lr = np.geomspace(0.003, 0.3, 6)
    shape = as_draw(ellipse_of(lr, 5e-6 / lr))
    found = band(shape)
    assert found.b.estimate == pytest.approx(1)
    assert found.a.estimate == pytest.approx(math.log10(5e-6))


def test_a_band_that_may_be_vertical_has_no_slope():
    for angles in ([88, 89, 91, 92], [-89, -90, 89, 88], [90 - 1e-14] * 4):
        # As arctan2 gives them.
        turned = np.deg2rad((np.array(angles) + 90) % 180 - 90)
        found = band(shapes(*([2, 1, 0, 0, angle] for angle in turned)))
        assert np.isnan(found.b).all() and np.isnan(found.a).all()


def test_few_draws_beyond_the_vertical_are_the_steepest():
    # One in a hundred lies beyond -90 degrees, where the slope has the other sign.
    angles = np.deg2rad(np.concatenate([np.linspace(-85, -60, 990), np.full(10, 88.0)]))
    b = band(shapes(*([2, 1, 0, 0, angle] for angle in angles))).b
    ends = np.quantile(
        np.concatenate([np.full(10, -92.0), np.linspace(-85, -60, 990)]), [0.025, 0.975]
    )
    assert (b.high, b.low) == pytest.approx(tuple(-np.tan(np.deg2rad(ends))))
    assert b.low < b.estimate < b.high
