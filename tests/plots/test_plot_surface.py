"""Surfaces between the settings of a landscape."""

import numpy as np
import pandas as pd
import pytest

from hpstudy.plots._traces import interpolated

LRS, WEIGHT_DECAYS = [0.01, 0.1, 1.0], [1e-4, 1e-3, 1e-2]


def surface(values, lrs=LRS, weight_decays=WEIGHT_DECAYS):
    """Surface through values, with a row for each lr."""
    rows = [(lr, decay) for lr in lrs for decay in weight_decays]
    points = pd.DataFrame(rows, columns=["lr", "weight_decay"])
    points = points.assign(value=np.ravel(np.array(values, float)))
    return interpolated(points, ("lr", "weight_decay"), "value")


def at(surface, lr, weight_decay):
    """Value next to a setting."""
    row = np.argmin(abs(np.log10(surface.up / lr)))
    return surface.values[row, np.argmin(abs(np.log10(surface.across / weight_decay)))]


def test_surface_is_bilinear_in_the_logarithms():
    corners = surface([[70.0, 74.0], [78.0, 90.0]], [0.01, 0.1], [1e-4, 1e-2])
    assert at(corners, 10**-1.5, 1e-3) == pytest.approx((70 + 74 + 78 + 90) / 4)


def test_surface_passes_through_every_measured_point():
    measured = [[1.0, 5.0, 2.0], [4.0, 9.0, 3.0], [7.0, 6.0, 8.0]]
    between = surface(measured)
    values = [[at(between, lr, weight_decay) for weight_decay in WEIGHT_DECAYS] for lr in LRS]
    assert np.array(values) == pytest.approx(np.array(measured))


def test_gap_between_measured_points_is_filled_on_their_plane_and_no_corner_is_made_up():
    # The plane 80 + 2 log10(lr) + log10(weight_decay), without its centre and one corner.
    between = surface([[72.0, 73.0, 74.0], [74.0, np.nan, 76.0], [76.0, 77.0, np.nan]])
    assert at(between, 0.1, 1e-3) == pytest.approx(75.0)
    assert np.isnan(between.values[-1, -1])


def test_settings_of_0_are_left_out():
    between = surface([[70.0, 71.0, 72.0], [72.0, 74.0, 73.0]], [0.01, 0.1], [0.0, 1e-4, 1e-3])
    assert between.across.min() == 1e-4


def test_points_on_one_line_have_no_surface():
    assert np.isnan(surface([[70.0, 71.0]], [0.1], [1e-4, 1e-3]).values).all()
