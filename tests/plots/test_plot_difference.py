"""Difference maps: the prepared numbers, and what of them is drawn."""

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.shift import difference
from hpstudy.plots import plot_differences
from hpstudy.plots.cell_maps import signed
from hpstudy.plots.labels import Metric

LRS, WEIGHT_DECAYS = [0.01, 0.1, 1.0], [1e-4, 1e-3]
# Rows are learning rates. The dense best is 80, the pruned one's 70; one pruned point is missing.
DENSE = [[76.0, 78.0], [80.0, 79.5], [71.0, 60.0]]
PRUNED = [[69.5, 70.0], [69.0, None], [66.0, 40.0]]


TABLE = pd.DataFrame(
    sweeps.rows("unpruned", DENSE, LRS, WEIGHT_DECAYS)
    + sweeps.rows("uniform-0.6", PRUNED, LRS, WEIGHT_DECAYS)
)


@pytest.fixture(scope="module")
def noisy():
    """Two landscapes of 30 points, which agree in part."""
    random = np.random.default_rng(3)
    common, lrs = random.standard_normal((15, 2)), list(np.geomspace(1e-3, 1, 15))
    dense, other = (80 + common + random.standard_normal((15, 2)) for _ in range(2))
    table = pd.DataFrame(
        sweeps.rows("unpruned", dense, lrs, WEIGHT_DECAYS)
        + sweeps.rows("uniform-0.6", other, lrs, WEIGHT_DECAYS)
    )
    return tuple(landscapes(table).values())


def test_figure_has_a_scale_symmetric_around_nothing_and_every_measured_setting(noisy):
    both = {one.variant: one for one in noisy}
    figure = plot_differences(both, 1.0)
    scale = figure.layout.coloraxis
    assert scale.cmin == -scale.cmax < 0
    points = difference(*noisy).points
    assert np.ravel(figure.data[0].z) == pytest.approx(list(points["difference"]), rel=1e-3)


def test_differences_are_written_with_their_sign():
    assert [signed(x, Metric("top1")) for x in (0.516, -1.3, 0.001, -0.001)] == [
        "+0.52",
        "−1.30",
        "0.00",
        "0.00",
    ]


def test_where_less_is_better_differences_have_the_other_sign_and_purple_stays_closer():
    more = landscapes(TABLE)
    errors = TABLE.assign(error=100 - TABLE["top1"].astype(float))
    less = landscapes(errors, "error", goal="minimize")
    figures = [plot_differences(both, 1.0) for both in (more, less)]
    drawn = [np.array(figure.data[0].z, float) for figure in figures]
    # One setting of the pruned network is missing.
    assert np.isnan(drawn[0][1, 1]) and np.isnan(drawn[0]).sum() == 1
    assert drawn[1] == pytest.approx(-drawn[0], nan_ok=True)
    assert figures[1].layout.coloraxis.reversescale and not figures[0].layout.coloraxis.reversescale


def test_differences_over_one_axis_are_one_row_of_cells():
    table = TABLE[TABLE["weight_decay"] == 1e-4].drop(columns="weight_decay")
    figure = plot_differences(landscapes(table, axes=("lr",)), 1.0)
    # Bests 80 and 69.5: -4 and 0, 0 and -0.5, -9 and -3.5.
    assert np.array(figure.data[0].z) == pytest.approx(np.array([[4.0, -0.5, 5.5]]))
    assert list(figure.layout.xaxis.ticktext) == ["0.01", "0.1", "1"]
