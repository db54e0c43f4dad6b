"""Difference maps: each pruned network's landscape minus the unpruned network's."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.drawing import log_axis_style, panel_figure, title_axes
from hpstudy.errors import HpstudyError
from hpstudy.landscape import Landscape, nine_digits
from hpstudy.marks import plain
from hpstudy.movement import relative_difference
from hpstudy.panels import axis_ends, surface
from hpstudy.results import METRIC_TITLES, variant_title
from hpstudy.words import axis_title, number_text, real

# Diverging, told apart by all common kinds of colour vision, pale where nothing differs.
COLOURS = "PuOr"
# Share of the differences within the ends of the colour scale: a cliff that moved by one step of
# the grid differs by tens of points, and would leave no colour for the rest.
WITHIN = 0.9


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """One pruned network's difference map, ready to draw.

    Attributes
    ----------
    variant : str
        The pruned network.
    points : DataFrame of shape (n_common, 5)
        The two axes, `difference` in percentage points, and whether the point lies in the region
        of interest of the unpruned network (`dense`) and of this one (`own`).
    up, across : ndarray of shape (n_y,), (n_x,)
        Fine grid of the surface: real values of the first and the second axis.
    surface : ndarray of shape (n_y, n_x)
        Interpolated differences; NaN outside the common points.
    """

    variant: str
    points: pd.DataFrame
    up: np.ndarray
    across: np.ndarray
    surface: np.ndarray


@dataclass(frozen=True, eq=False)
class DifferenceMaps:
    """Difference maps that share one colour scale and one pair of axes.

    Attributes
    ----------
    panels : tuple of DifferencePanel
        One a pruned network.
    limit : float
        The colour scale goes from -limit to limit, in percentage points.
    metric : str
        Column the differences are of.
    axes : tuple of str
        The two hyperparameters.
    up, across : tuple of float
        Ends of the axes, real values.
    """

    panels: tuple[DifferencePanel, ...]
    limit: float
    metric: str
    axes: tuple[str, str]
    up: tuple[float, float]
    across: tuple[float, float]


def difference_maps(landscapes: dict[str, Landscape], threshold: float) -> DifferenceMaps:
    """Difference of every pruned network from the unpruned one, for `plot_differences`.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Of one network and one metric, the dense one first.
    threshold : float
        Of the regions of interest that are marked, in percentage points.

    Returns
    -------
    DifferenceMaps
        Each landscape is taken relative to its own best, so that 0 means that pruning changed
        nothing but the level.

    Raises
    ------
    HpstudyError
        Without a pruned network that has a point in common with the dense one.
    """
    dense, *others = landscapes.values()
    panels = []
    for other in others:
        points = relative_difference(dense, other)
        if points.empty:
            continue
        marked = {
            name: _inside(one, points, threshold)
            for name, one in (("dense", dense), ("own", other))
        }
        fields = {"std": np.nan, "seeds": 1, "diverged": 0.0, "stopped": 0.0}
        drawn = points.rename(columns={"difference": "value"}).assign(**fields)
        up, across, between = surface(Landscape(other.variant, dense.metric, drawn, dense.axes))
        panels.append(DifferencePanel(other.variant, points.assign(**marked), up, across, between))
    if not panels:
        raise HpstudyError("no pruned network has a setting in common with the unpruned one.")
    every = np.concatenate([panel.points["difference"].abs() for panel in panels])
    first, second = dense.axes
    return DifferenceMaps(
        panels=tuple(panels),
        limit=max(float(np.quantile(every, WITHIN)), threshold),
        metric=dense.metric,
        axes=dense.axes,
        up=axis_ends(pd.concat([panel.points[first] for panel in panels])),
        across=axis_ends(pd.concat([panel.points[second] for panel in panels])),
    )


def plot_differences(
    landscapes: dict[str, Landscape], threshold: float, columns: int = 3
) -> go.Figure:
    """Difference maps beside each other, on one diverging colour scale.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        As for `difference_maps`.
    threshold : float
        The same.
    columns : int, default 3
        Most panels beside each other.

    Returns
    -------
    plotly.graph_objects.Figure
        Second axis across, first axis up, both logarithmic.
    """
    data = difference_maps(landscapes, threshold)
    first, second = data.axes
    titles = [f"<b>{variant_title(panel.variant)}</b>" for panel in data.panels]
    figure = panel_figure(titles, columns, 200, {"t": 58, "b": 104, "l": 58, "r": 8})
    for number, panel in enumerate(data.panels, start=1):
        suffix = "" if number == 1 else str(number)
        where = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}
        figure.add_trace(
            go.Heatmap(
                x=plain(panel.across, 5),
                y=plain(panel.up, 5),
                z=[plain(row, 4) for row in panel.surface],
                coloraxis="coloraxis",
                zsmooth="best",
                hoverinfo="skip",
                **{key: value for key, value in where.items() if key != "showlegend"},
            )
        )
        figure.add_traces([_points(panel, data, where), *_rings(panel, data, where)])
        title_axes(figure, suffix, axis_title(second), axis_title(first))
        for letter, ends, most in (("x", data.across, 4), ("y", data.up, 8)):
            linked = {} if number == 1 else {"matches": letter}
            figure.update_layout(
                {f"{letter}axis{suffix}": {**log_axis_style(*ends, most), **linked}}
            )
    figure.add_traces(_legend())
    figure.update_layout(
        coloraxis={
            "colorscale": COLOURS,
            "cmin": -data.limit,
            "cmax": data.limit,
            "cmid": 0,
            "colorbar": {
                "orientation": "h",
                "yref": "container",
                "y": 0.0,
                "ypad": 2,
                "yanchor": "bottom",
                "x": 0.5,
                "len": 0.7,
                "thickness": 12,
                "outlinewidth": 0,
                "tickfont": {"size": 10.5},
                "title": {
                    "text": "worse  ←  relative to the unpruned network, points  →  better",
                    "side": "bottom",
                    "font": {"size": 11},
                },
            },
        },
        legend={
            "orientation": "h",
            "yref": "container",
            "y": 1.0,
            "yanchor": "top",
            "x": 0.0,
            "font": {"size": 11},
        },
    )
    return figure


def difference_caption(landscapes: dict[str, Landscape], label: str, threshold: float) -> str:
    """Caption of `plot_differences`: what is subtracted, at how many points, and the marks."""
    data = difference_maps(landscapes, threshold)
    counts = sorted({len(panel.points) for panel in data.panels})
    points = "–".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    metric = METRIC_TITLES.get(data.metric, data.metric)
    return (
        f"Difference of the {metric}, each network relative to its own best, in percentage points: "
        f"{label}. Positive (purple) where a setting is better for the pruned network than it was "
        f"for the unpruned one, beside their bests; at n = {points} settings that both have, means "
        "over seeds. The noise of both networks is in it. Between the circles colours are "
        f"interpolated; the scale spans {WITHIN:.0%} of all differences, ±{number_text(data.limit)}"
        f" points. Rings: points within {threshold:g} of the best."
    )


def _inside(landscape: Landscape, points: pd.DataFrame, threshold: float) -> np.ndarray:
    """Which of the points lie in a network's region of interest."""
    keys = [
        pd.MultiIndex.from_arrays([nine_digits(one[axis]) for axis in landscape.axes])
        for one in (points, landscape.roi(threshold))
    ]
    return keys[0].isin(keys[1])


def _points(panel: DifferencePanel, data: DifferenceMaps, where: dict) -> go.Scatter:
    first, second = data.axes
    texts = [
        f"{axis_title(first)} {real(row[0])}<br>{axis_title(second)} {real(row[1])}<br>"
        f"difference {number_text(row[2])} points"
        for row in panel.points[[first, second, "difference"]].itertuples(index=False)
    ]
    return go.Scatter(
        x=plain(panel.points[second]),
        y=plain(panel.points[first]),
        mode="markers",
        marker={
            "size": 7,
            "color": plain(panel.points["difference"], 4),
            "coloraxis": "coloraxis",
            "line": {"width": 1, "color": "rgba(90,90,90,0.9)"},
        },
        text=texts,
        hoverinfo="text",
        **where,
    )


_LOOKS = {"dense": (11, "#222222", "unpruned region"), "own": (16, "#1b7837", "pruned region")}


def _rings(panel: DifferencePanel, data: DifferenceMaps, where: dict) -> list[go.Scatter]:
    first, second = data.axes
    rings = []
    for name, (size, colour, _) in _LOOKS.items():
        inside = panel.points[panel.points[name]]
        rings.append(
            go.Scatter(
                x=plain(inside[second]),
                y=plain(inside[first]),
                mode="markers",
                marker=_ring(size, colour),
                legendgroup=name,
                hoverinfo="skip",
                **where,
            )
        )
    return rings


def _ring(size: int, colour: str) -> dict:
    return {
        "symbol": "circle-open",
        "size": size,
        "color": colour,
        "line": {"width": 2},
    }


def _legend() -> list[go.Scatter]:
    return [
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker=_ring(size, colour),
            name=title,
            legendgroup=name,
            showlegend=True,
        )
        for name, (size, colour, title) in _LOOKS.items()
    ]
