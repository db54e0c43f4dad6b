"""Regions of interest: ellipses, bands and overlaps, by hand, closed forms, numpy and scipy."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from worked import ellipse_of

from hpstudy.analysis.regions import (
    MINIMUM_POINTS,
    fit_ellipse,
    fit_ellipses,
    roi,
)
from hpstudy.errors import HpstudyError

NAN = math.nan


# --- region ---------------------------------------------------------------------------------------


def test_region_of_each_draw_and_roi_probability():
    draws = np.array([[90.0, 89.5, 89.4, -np.inf], [88.0, 90.0, 89.5, -np.inf]])
    inside = roi(draws, 0.5)
    assert inside.tolist() == [[True, True, False, False], [False, True, True, False]]
    assert inside.mean(axis=0).tolist() == [0.5, 1.0, 0.5, 0.0]


# --- ellipse --------------------------------------------------------------------------------------


def test_ellipse_of_a_cross_worked_by_hand():
    # log10 lr = -3, -1, 1, -1, -1 and log10 weight decay = -4, -4, -4, -5, -3 around (-1, -4).
    # Variances (4 + 4) / 4 = 2 and (1 + 1) / 4 = 0.5, no covariance.
    # Length 4 sqrt(2), width 4 sqrt(0.5), along the lr axis.
    cross = ellipse_of(
        [1e-3, 1e-1, 1e1, 1e-1, 1e-1],
        [1e-4, 1e-4, 1e-4, 1e-5, 1e-3],
    )
    assert_allclose([cross.length, cross.width], [4 * math.sqrt(2), 4 * math.sqrt(0.5)])
    assert_allclose([*cross.centre, cross.angle], [-1, -4, 0], atol=1e-12)


def test_cross_on_its_side_lies_along_the_weight_decay_axis():
    cross = ellipse_of([1e-4, 1e-4, 1e-4, 1e-5, 1e-3], [1e-3, 1e-1, 1e1, 1e-1, 1e-1])
    assert_allclose([cross.length, cross.width], [4 * math.sqrt(2), 4 * math.sqrt(0.5)])
    assert cross.angle == pytest.approx(math.pi / 2)


def test_upright_line_has_an_angle_of_plus_90_degrees():
    # One lr is off by a rounding, which leans the line to the other side by less than a float.
    line = ellipse_of([1, 1, 1, 1, 1 + 1e-15], [1.0, 1e-1, 1e-2, 1e-3, 1e-4])
    assert line.angle == math.pi / 2


@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(MINIMUM_POINTS, 12))
@example(1.0, 0.0, 5)
@example(0.0, 1.0, 5)
def test_collinear_points_have_no_width_whatever_their_direction(lr_step, decay_step, n):
    line = ellipse_of(10 ** (-3 + lr_step * np.arange(n)), 10 ** (-4 + decay_step * np.arange(n)))
    assert line.width == 0.0
    # n equal steps have variance n (n + 1) / 12 in units of the step.
    step = math.hypot(lr_step, decay_step)
    assert line.length == pytest.approx(4 * step * math.sqrt(n * (n + 1) / 12))
    # The axis has no sign, so its direction is compared by the tangent.
    assert math.tan(line.angle) * lr_step == pytest.approx(decay_step) or abs(lr_step) < 1e-6


def test_equal_points_have_neither_length_nor_width():
    dot = ellipse_of([0.1] * 7, [1e-4] * 7)
    assert (dot.length, dot.width, dot.angle) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("lr_centre, decay_centre", [(0.1, 1e-3), (0.0123, 3e-5), (0.7, 1e-3)])
def test_square_of_points_is_a_circle(lr_centre, decay_centre):
    step = np.array([0.1, 1.0, 10.0])
    lr, decay = np.meshgrid(lr_centre * step, decay_centre * step)
    circle = ellipse_of(lr.ravel(), decay.ravel())
    # Variance on each axis: three times (1 + 0 + 1), by 8; diameter 4 sqrt(6 / 8).
    assert_allclose([circle.length, circle.width], 4 * math.sqrt(0.75))
    assert circle.angle == 0.0


@pytest.mark.parametrize("n", range(MINIMUM_POINTS))
def test_fewer_than_five_points_have_no_ellipse(n):
    assert ellipse_of([10.0**-i for i in range(n)], [2.0**-i for i in range(n)]) is None


def test_ellipse_recovers_the_axes_of_a_gaussian():
    # Axes 0.8 and 0.2 decades, turned by -40 degrees. The relative standard error of a sample
    # deviation is 1 / sqrt(2 n), of a mean sigma / sqrt(n), of the angle
    # sqrt(l1 l2) / (l1 - l2) / sqrt(n); four of each are allowed.
    n, sigma, turn = 4000, np.array([0.8, 0.2]), math.radians(-40)
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    unit = np.random.default_rng(20230621).standard_normal((2, n))
    logs = axes @ (sigma[:, None] * unit) + np.array([[-1.5], [-3.0]])
    found = ellipse_of(10 ** logs[0], 10 ** logs[1])
    long, short = sigma**2
    assert_allclose([found.length, found.width], 4 * sigma, rtol=4 / math.sqrt(2 * n))
    assert found.centre == pytest.approx((-1.5, -3.0), abs=4 * 0.8 / math.sqrt(n))
    error = math.sqrt(long * short) / (long - short) / math.sqrt(n)
    assert found.angle == pytest.approx(turn, abs=4 * error)


def mahalanobis(lr, decay, points):
    """Distance of log points from the mean of others, in sample deviations, by numpy's inverse."""
    logs = np.log10([lr, decay])
    offset = np.array(points) - logs.mean(axis=1, keepdims=True)
    return np.sqrt(np.einsum("in,ij,jn->n", offset, np.linalg.inv(np.cov(logs)), offset))


@pytest.mark.parametrize("multiple", [1.0, 2.0, 3.0])
def test_outline_is_everywhere_that_many_deviations_from_the_centre(multiple):
    lr, decay = 10 ** np.random.default_rng(5).normal(-2, 1, (2, 30))
    outline = ellipse_of(lr, decay, multiple).outline(50)
    assert_allclose(mahalanobis(lr, decay, outline), multiple)


def test_outline_holds_the_share_of_a_gaussian_that_table_3_5_promises():
    n = 20_000
    logs = np.random.default_rng(7).multivariate_normal([-1, -4], [[0.5, -0.3], [-0.3, 0.4]], n).T
    outside = (mahalanobis(*10**logs, logs) > 2).mean()
    # A share p of n has the standard error sqrt(p (1 - p) / n).
    assert outside == pytest.approx(0.1353, abs=4 * math.sqrt(0.1353 * 0.8647 / n))


def test_outline_is_closed_and_as_long_and_wide_as_the_ellipse():
    lr, decay = 10 ** np.random.default_rng(3).normal(-2, 1, (2, 12))
    ellipse = ellipse_of(lr, decay)
    x, y = ellipse.outline(401)
    assert x.shape == y.shape == (401,)
    assert_allclose([x[0], y[0]], [x[-1], y[-1]])
    radius = np.hypot(x - ellipse.centre[0], y - ellipse.centre[1])
    # 401 points hit both axes exactly: every quarter turn is a hundred steps.
    assert_allclose([2 * radius.max(), 2 * radius.min()], [ellipse.length, ellipse.width])


coordinates = st.lists(
    st.tuples(st.floats(-6, 1), st.floats(-8, 0)), min_size=MINIMUM_POINTS, max_size=20
)


@settings(deadline=None, max_examples=50)
@given(coordinates)
def test_axes_are_the_eigenvalues_that_numpy_finds(points):
    logs = np.array(points).T
    ellipse = ellipse_of(*10**logs)
    small, large = np.linalg.eigvalsh(np.cov(logs))
    assert ellipse.length == pytest.approx(4 * math.sqrt(max(large, 0)), abs=1e-6, rel=1e-6)
    assert ellipse.width == pytest.approx(4 * math.sqrt(max(small, 0)), abs=1e-4, rel=1e-6)
    assert ellipse.width <= ellipse.length
    assert -math.pi / 2 < ellipse.angle <= math.pi / 2


@settings(deadline=None, max_examples=50)
@given(coordinates, st.floats(-2, 2), st.floats(-2, 2))
def test_moving_all_points_moves_only_the_centre(points, along, across):
    logs = np.array(points).T
    here, there = (ellipse_of(*10**at) for at in (logs, logs + [[along], [across]]))
    assert_allclose(np.subtract(there.centre, here.centre), [along, across], atol=1e-9)
    assert there.length == pytest.approx(here.length, abs=1e-5)


def test_lengths_grow_with_the_multiple():
    lr, decay = 10 ** np.random.default_rng(1).normal(-2, 1, (2, 9))
    one, three = ellipse_of(lr, decay, 1.0), ellipse_of(lr, decay, 3.0)
    assert_allclose([three.length, three.width], [3 * one.length, 3 * one.width])


@pytest.mark.parametrize("multiple", [0.0, -2.0, math.nan])
def test_ellipse_refuses_a_multiple_that_is_not_positive(multiple):
    with pytest.raises(HpstudyError, match=str(multiple)):
        ellipse_of([0.1] * 5, [1e-4] * 5, multiple)


# --- ellipses of many draws -----------------------------------------------------------------------


@pytest.fixture
def logs():
    """log10 of a 5 x 4 grid."""
    first, second = np.meshgrid(-2 + 0.3 * np.arange(5), -4 + 0.5 * np.arange(4), indexing="ij")
    return np.column_stack([first.ravel(), second.ravel()])


def test_ellipses_of_a_batch_equal_those_of_single_regions(logs):
    random = np.random.default_rng(7)
    inside = random.random((200, len(logs))) < random.uniform(0.15, 1.0, (200, 1))
    inside[~inside.any(axis=1), 0] = True
    inside[0], inside[1] = logs[:, 0] == logs[0, 0], logs[:, 1] == logs[0, 1]
    found, fitted = fit_ellipses(logs, inside), 0
    for k, row in enumerate(inside):
        one = fit_ellipse(logs[row])
        if one is None:
            assert np.isnan([found.length[k], found.width[k], found.angle[k]]).all()
            continue
        fitted += 1
        # The width of points on a line is zero but for rounding, of which it is the root.
        assert (found.length[k], found.width[k]) == pytest.approx((one.length, one.width), abs=1e-6)
        assert (found.first[k], found.second[k]) == pytest.approx(one.centre)
        if one.length > 1.01 * one.width:
            assert math.sin(found.angle[k] - one.angle) == pytest.approx(0, abs=1e-6)
    assert 100 < fitted < 200


def test_region_without_an_ellipse_has_a_centre(logs):
    inside = np.zeros((1, len(logs)), bool)
    inside[0, [0, 1, 4]] = True
    found = fit_ellipses(logs, inside)
    assert math.isnan(found.length[0])
    assert (found.first[0], found.second[0]) == pytest.approx(logs[[0, 1, 4]].mean(axis=0))
