"""Panels, axes and titles that all figures share."""

import pandas as pd
import pytest

from hpstudy import plots
from hpstudy.plots._layout import axis_of, log_ticks, panel_figure
from hpstudy.plots.labels import Metric, roi_title, variant_colours, variant_title


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0.001, 0.1, 8, [0.001, 0.01, 0.1]),
        (0.002, 0.08, 8, [0.003, 0.01, 0.03]),
        (0.04, 0.25, 8, [0.05, 0.1, 0.2]),
        # Fewer where there is no room, but never one power of ten alone, which gives no scale.
        (2e-4, 0.06, 8, [0.0003, 0.001, 0.003, 0.01, 0.03]),
        (2e-4, 0.06, 4, [0.001, 0.01]),
        (0.002, 0.08, 2, [0.003, 0.01, 0.03]),
    ],
)
def test_ticks_are_round_values(low, high, most, ticks):
    assert log_ticks(low, high, most) == ticks


def test_axis_reaches_half_a_step_beyond_the_settings():
    axis = axis_of(pd.Series([0.01, 0.1, 1.0], name="lr"))
    assert axis.ends == pytest.approx((10**-2.5, 10**0.5))
    assert axis.places([0.1]) == [0.1]


def test_value_0_has_a_column_beside_the_axis():
    axis = axis_of(pd.Series([0.0, 1e-4, 1e-3], name="weight_decay"))
    assert axis.ends[0] < axis.zero < axis.gap < 1e-4
    assert list(axis.places([0.0, 1e-4])) == [axis.zero, 1e-4]
    places, labels = axis.ticks(4)
    assert (places[0], labels[0]) == (axis.zero, "0") and float(labels[1]) >= 1e-5


def test_panels_wrap_into_rows_and_say_how_to_stack_them():
    layout = panel_figure(["a", "b", "c", "d"], 200, 80, 100).layout
    assert (layout.grid.rows, layout.grid.columns) == (2, 3)
    assert (layout.meta["panels"], layout.meta["columns"]) == (4, 3)
    assert layout.height == 2 * 200 + 88 + 80 + 100


def test_titles_and_colours_of_networks():
    assert variant_title("nonuniform-0.2") == "Non-uniform, 20 % FLOPs"
    assert variant_title("my-network") == "my-network"
    assert [roi_title(x) for x in (0.5, 0.1 + 19 * 0.1, 0.25)] == ["0.5-ROI", "2.0-ROI", "0.25-ROI"]
    colours = variant_colours(["unpruned", "a", "b", "a"])
    assert list(colours) == ["unpruned", "a", "b"] and len(set(colours.values())) == 3


def test_levels_are_written_in_the_unit_of_their_metric():
    accuracy, loss = Metric("top1"), Metric("val_loss", -1, percent=False)
    assert [accuracy.level(x) for x in (93.1, -0.001, float("nan"))] == ["93.10 %", "0.00 %", "– %"]
    assert [loss.level(x) for x in (0.51234, -1.0)] == ["0.5123", "−1"]


def test_package_lists_its_figures():
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    with pytest.raises(AttributeError, match="plot_nothing"):
        plots.plot_nothing  # noqa: B018
