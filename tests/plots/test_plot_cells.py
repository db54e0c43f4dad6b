"""Landscapes in cells: what stands where, and in which class."""

import math

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import landscapes
from hpstudy.errors import HpstudyError
from hpstudy.plots import plot_cells
from hpstudy.plots.cells import CLASSES

LRS, WEIGHT_DECAYS = [0.01, 0.1], [0.0, 1e-3, 1e-2]


def network(variant, values, diverged=()):
    return [
        {
            "variant": variant,
            "lr": lr,
            "weight_decay": weight_decay,
            "seed": 0,
            "top1": value,
            "diverged": (lr, weight_decay) in diverged,
        }
        for lr, row in zip(LRS, values, strict=True)
        for weight_decay, value in zip(WEIGHT_DECAYS, row, strict=True)
    ]


def two(diverged=()):
    dense = network("unpruned", [[70.0, 72.0, 69.0], [60.0, 71.0, 65.0]])
    pruned = network("uniform-0.6", [[65.0, 66.0, 68.0], [math.nan, 67.1, 60.0]], diverged)
    return landscapes(pd.DataFrame(dense + pruned))


def marks(figure, symbol, axis="x2"):
    return [
        (x, y)
        for trace in figure.data
        if trace.type == "scatter" and trace.xaxis == axis and trace.marker.symbol == symbol
        for x, y in zip(trace.x, trace.y, strict=True)
    ]


def test_cell_has_the_class_of_its_distance_from_the_networks_own_best():
    dense, pruned = [trace.z for trace in plot_cells(two(), 2.0).data if trace.type == "heatmap"]
    # Classes end at 1, 2, 4 and 8 points, the ends included; weight decay 0 is a column.
    assert np.array(dense).tolist() == [[1, 0, 2], [4, 0, 3]]
    # What has no value is in the last class.
    assert np.array(pruned).tolist() == [[2, 1, 0], [4, 0, 3]]


def test_star_is_the_own_best_and_ring_the_dense_networks():
    figure = plot_cells(two(), 2.0)
    assert marks(figure, "star") == [(2, 0)]
    assert set(marks(figure, "circle-open")) == {(1, 0)}
    assert not marks(figure, "circle-open", axis="x")


def test_ring_stays_where_the_dense_network_is_not_drawn():
    figure = plot_cells(two(), 2.0, ["uniform-0.6"], numbers=True)
    (square,) = [trace for trace in figure.data if trace.type == "heatmap"]
    assert square.text[0] == ["65.0", "66.0", "68.0"]
    assert marks(figure, "circle-open", axis="x")


def test_diverged_run_is_crossed_and_has_a_place_in_the_legend():
    figure = plot_cells(two(diverged={(0.1, 0.0)}), 2.0)
    assert marks(figure, "x-thin") == [(0, 1)]
    entries = {trace.name: trace.visible for trace in figure.data if trace.name}
    assert entries["diverged"]
    assert {trace.name: trace.visible for trace in plot_cells(two(), 2.0).data}["diverged"] is False


def test_outline_is_the_edge_of_the_good_settings():
    outline = next(
        trace
        for trace in plot_cells(two(), 2.0).data
        if trace.type == "scatter" and trace.mode == "lines"
    )
    # Three good cells in an L, with eight edges of three numbers each.
    assert len(outline.x) == 3 * 8
    assert min(x for x in outline.x if x is not None) == -0.5


def test_one_scale_colours_every_network_by_its_level():
    figure = plot_cells(two(), 2.0, relative=False)
    dense, pruned = [trace for trace in figure.data if trace.type == "heatmap"]
    assert dense.z[0][1] == 72.0 and pruned.z[0][2] == 68.0
    assert dense.coloraxis == pruned.coloraxis == "coloraxis"
    # Four thresholds below the worst network's best.
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (60.0, 72.0)
    assert figure.layout.coloraxis.colorscale[-1][1] == CLASSES[0]


def test_losses_to_be_minimised_keep_their_own_direction():
    table = pd.DataFrame(network("unpruned", [[0.3, 0.2, 0.5], [0.9, 0.4, 0.6]]))
    table = table.rename(columns={"top1": "val_loss"})
    figure = plot_cells(landscapes(table, "val_loss", goal="minimize"), 0.1, relative=False)
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax, axis.reversescale) == (0.2, pytest.approx(0.6), True)
    assert "best 0.2" in figure.layout.annotations[0].text


def test_landscape_without_a_value_is_refused():
    table = pd.DataFrame(network("unpruned", [[math.nan] * 3] * 2))
    with pytest.raises(HpstudyError, match="nothing to draw"):
        plot_cells(landscapes(table), 1.0)
