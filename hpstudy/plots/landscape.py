"""Figures 4.1 to 4.3 of the thesis: landscapes of a network's variants."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Plane, plane_of
from hpstudy.plots._layout import INK, colour_axis, panel_figure, panel_title, set_plane
from hpstudy.plots._traces import (
    DASHES,
    POINT,
    VIRIDIS,
    Outline,
    Surface,
    axes_of,
    entry,
    failure_entries,
    failure_traces,
    interpolated,
    landscape_traces,
    outline_traces,
    plain,
    point_texts,
    scatter,
    star,
)
from hpstudy.plots.labels import Metric, metric_of, roi_title, variant_title

TOP = 0.15
"""Share of all settings that the colour scale spans (captions of Figures 4.1 and 4.2)."""
OUTLINE_POINTS = 60
NOWHERE: Outline = (np.empty(0), np.empty(0))
SINGLE = {"size": 4, "color": INK, "opacity": 0.6}
BAND = {"fill": "toself", "fillcolor": "rgba(127,127,127,0.18)", "mode": "none"}


@dataclass(frozen=True, eq=False)
class LandscapePanel:
    """One landscape; levels are in the metric's own unit.

    Attributes
    ----------
    landscape : Landscape
    points : DataFrame
        `Landscape.points` with levels as `value`, and `colour`: their place on the colour scale.
    surface : Surface
        Places on the colour scale between the settings.
    singles : DataFrame
        Single runs over one axis: the axis and `colour`. Empty over two.
    outlines : dict of float to (up, across)
        Threshold -> ellipse of its region (`outline`).
    """

    landscape: Landscape
    points: pd.DataFrame
    surface: Surface
    singles: pd.DataFrame
    outlines: dict[float, Outline]

    @property
    def measured(self) -> pd.DataFrame:
        """Settings with a value."""
        return self.points[self.points["value"].notna()]

    @property
    def diverged(self) -> pd.DataFrame:
        """Settings at which a run diverged, or that have no value though no run was stopped."""
        unexplained = self.points["value"].isna() & (self.points["stopped"] == 0)
        return self.points[(self.points["diverged"] > 0) | unexplained]

    @property
    def stopped(self) -> pd.DataFrame:
        """Settings at which a run was stopped early."""
        return self.points[self.points["stopped"] > 0]

    @property
    def best(self) -> float:
        """Best level."""
        return self.landscape.sign * self.landscape.best

    @property
    def best_at(self) -> pd.DataFrame:
        """Row of the best setting; none without a value."""
        at = (self.points[axis] == value for axis, value in self.landscape.best_at.items())
        return self.points[np.logical_and.reduce(list(at))]


@dataclass(frozen=True, eq=False)
class LandscapesData:
    """Landscapes that share one colour scale and their axes.

    Attributes
    ----------
    panels : tuple of LandscapePanel
    metric : Metric
    roi : tuple of float
        Increasing thresholds of the regions of interest, in the metric's unit.
    relative : bool
        Whether colours are distances from each landscape's own best.
    low, high : float
        Ends of the colour scale; a worse level has the colour of the worse end.
    axes : tuple of str
        One or two hyperparameters.
    plane : Plane
    title : str
        Title of the colour scale, with its unit.
    """

    panels: tuple[LandscapePanel, ...]
    metric: Metric
    roi: tuple[float, ...]
    relative: bool
    low: float
    high: float
    axes: tuple[str, ...]
    plane: Plane
    title: str

    def colour_axis(self, **bar: Any) -> dict:
        """Colour axis of all panels; over one axis places show what colours would."""
        two, less_is_better = self.plane.up is not None, self.metric.sign < 0
        bar = {"title": self.title, **bar}
        return colour_axis(VIRIDIS, self.low, self.high, shown=two, reverse=less_is_better, **bar)


def landscapes_data(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
) -> LandscapesData:
    """Landscapes of one figure.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Landscapes of one metric, the dense network's first.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of at most three regions of interest, in the metric's unit.
    top : float, default 0.15
        Share of all settings that the colour scale spans.
    relative : bool, default False
        Whether to colour by the distance from each landscape's own best.

    Raises
    ------
    HpstudyError
        Without any value, or for several metrics or axes.

    References
    ----------
    Thesis, section 3.3.1; Figures 4.1 to 4.3.
    """
    metrics = {landscape.metric for landscape in landscapes.values()}
    axes = {landscape.axes for landscape in landscapes.values()}
    if len(metrics) != 1:
        raise HpstudyError(f"one figure shows landscapes of one metric, not of {len(metrics)}.")
    if len(axes) != 1:
        raise HpstudyError(
            f"one figure shows landscapes over the same axes, not {len(axes)} pairs."
        )
    (shared,) = axes
    metric = metric_of(next(iter(landscapes.values())))
    roi = tuple(sorted(roi))
    low, high = colour_range(landscapes, top, relative, roi)
    panels = tuple(_panel(one, roi, relative) for one in landscapes.values())
    ends = tuple(metric.sign * end + 0.0 for end in (low, high))
    # A single run may be better than any mean.
    runs = np.concatenate(
        [metric.sign * panel.singles["colour"].to_numpy(float) for panel in panels]
    )
    reach = ends[0], metric.sign * max([high, *runs]) + 0.0
    title = metric.from_best("the panel's own best") if relative else metric.headed
    return LandscapesData(
        panels=panels,
        metric=metric,
        roi=roi,
        relative=relative,
        low=min(ends),
        high=max(ends),
        axes=shared,
        plane=plane_of((one.points for one in landscapes.values()), shared, title, reach),
        title=title,
    )


def colour_range(
    landscapes: dict[str, Landscape],
    top: float,
    relative: bool = False,
    roi: tuple[float, ...] = (),
) -> tuple[float, float]:
    """Ends of the colour scale of some landscapes, oriented so that larger is better.

    Over one axis the lower end leaves room for half of each landscape's settings, and for twice
    each region.
    """
    shown = [one.points["value"] - (one.best if relative else 0.0) for one in landscapes.values()]
    values = pd.concat(shown).dropna().to_numpy(float)
    if values.size == 0:
        raise HpstudyError("no landscape has a value, so there is nothing to draw.")
    low, high = float(np.quantile(values, 1 - top)), float(values.max())
    if len(next(iter(landscapes.values())).axes) == 1:
        deep = [
            min(levels.median(), levels.max() - 2 * max(roi, default=0.0))
            for levels in shown
            if levels.notna().any()
        ]
        low = max(float(min(deep)), float(values.min()))
    return (low if low < high else high - 1), high


def outline(
    landscape: Landscape, threshold: float, multiple: float = 2.0, zero: float = 0.0
) -> Outline:
    """Ellipse of a region of interest as settings up and across; nothing below five points.

    Over one axis it is a line across the region's standard deviations, at the level where the
    region ends, less the level `zero`.
    """
    ellipse = landscape.ellipse(threshold, multiple)
    if ellipse is None:
        return NOWHERE
    if len(landscape.axes) == 2:
        up, across = ellipse.outline(OUTLINE_POINTS)
        return 10**up, 10**across
    level = landscape.sign * (landscape.best - zero - threshold)
    return np.full(2, level), 10 ** (ellipse.centre[0] + ellipse.length / 2 * np.array([-1, 1]))


def _panel(landscape: Landscape, roi: tuple[float, ...], relative: bool) -> LandscapePanel:
    sign, zero = landscape.sign, landscape.best if relative else 0.0
    # 0.0 makes a zero of a negative zero.
    colour = sign * (landscape.points["value"] - zero) + 0.0
    points = landscape.levels.assign(colour=colour)
    singles = pd.DataFrame({landscape.axes[0]: [], "colour": []})
    if len(landscape.axes) == 1 and landscape.singles is not None:
        runs = landscape.singles[landscape.singles["point"].duplicated(keep=False)]
        singles = points.loc[runs["point"], list(landscape.axes)].reset_index(drop=True)
        singles["colour"] = sign * (runs["value"].to_numpy(float) - zero) + 0.0
    return LandscapePanel(
        landscape=landscape,
        points=points,
        surface=interpolated(points, landscape.axes, "colour"),
        singles=singles,
        outlines={threshold: outline(landscape, threshold, zero=zero) for threshold in roi},
    )


def plot_landscapes(
    landscapes: dict[str, Landscape],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
    relative: bool = False,
    columns: int = 3,
) -> go.Figure:
    """Landscapes of a network's variants side by side, on one colour scale.

    Parameters
    ----------
    landscapes, roi, top, relative
        Parameters of `landscapes_data`.
    columns : int, default 3
        Most panels side by side.

    Returns
    -------
    plotly.graph_objects.Figure
        First axis up, second across, both logarithmic; a single axis across and the metric up.
        Panels have the same traces in the same order, some of them empty.

    References
    ----------
    Thesis, Figures 4.1, 4.2 and 4.3.
    """
    data = landscapes_data(landscapes, roi, top, relative)
    titles = [
        panel_title(variant_title(panel.landscape.variant), f"best {data.metric.level(panel.best)}")
        for panel in data.panels
    ]
    figure = panel_figure(titles, 200, top=82, bottom=104, columns=columns)
    traces: list[dict] = []
    for number, panel in enumerate(data.panels, start=1):
        traces += panel_traces(panel, data, set_plane(figure, number, data.plane))
    figure.add_traces([*traces, *legend_entries(data)])
    figure.update_layout(coloraxis=data.colour_axis())
    return figure


def panel_traces(panel: LandscapePanel, data: LandscapesData, suffix: str) -> list[dict]:
    """Traces of one panel: ground, points, failures, two lines an ellipse, two kinds of optimum.

    Over one axis a band for each region and the single runs lie below them.
    """
    plane, metric, axes = data.plane, data.metric, data.axes
    surface, traces = panel.surface, []
    if plane.up is None:
        surface = replace(surface, values=plane.clipped(surface.values))
        traces = [_band(panel, data, number, suffix) for number in range(len(data.roi))]
        traces.append(
            scatter(plane, suffix, panel.singles, "colour", marker=SINGLE, legendgroup="single")
        )
    step = _nice_step((data.high - data.low) / 6)
    traces += landscape_traces(
        plane,
        suffix,
        surface,
        panel.measured,
        "colour",
        point_texts(panel.measured, metric, axes),
        {"start": math.ceil(data.low / step) * step, "end": data.high, "size": step},
        {"width": 0.7, "color": "rgba(255,255,255,0.55)"},
    )
    traces += failure_traces(plane, suffix, panel.diverged, panel.stopped, metric, axes, "colour")
    for number, threshold in enumerate(data.roi):
        inner = "white" if number else "black"
        traces += outline_traces(
            suffix, panel.outlines[threshold], f"roi-{number}", DASHES[number], inner
        )
    for on_edge in (False, True):
        best = panel.best_at if panel.landscape.on_edge == on_edge else panel.best_at.head(0)
        text = point_texts(best, metric, axes)
        group = f"best-{on_edge}"
        look = {"marker": _optimum(on_edge), "text": text, "legendgroup": group}
        traces.append(scatter(plane, suffix, best, "colour", **look))
    return traces


def _band(panel: LandscapePanel, data: LandscapesData, number: int, suffix: str) -> dict:
    """Levels of a region of interest over one axis."""
    low, high = data.plane.across.ends
    best = panel.best_at["colour"].to_numpy(float)[:, None]
    down = data.metric.sign * np.array([0.0, 0.0, 1.0, 1.0]) * data.roi[number]
    return {
        "type": "scatter",
        "x": plain([low, high, high, low] * len(best)),
        "y": plain(np.ravel(best - down)),
        "hoverinfo": "skip",
        "legendgroup": f"roi-{number}",
        **BAND,
        **axes_of(suffix),
    }


def _optimum(on_edge: bool) -> dict:
    return star("star-square", colour="#ff9e1b") if on_edge else star()


def legend_entries(data: LandscapesData) -> list[dict]:
    """Entries of the legend; those of marks that no panel has are not visible."""
    entries = [entry("measured", "points", marker={**POINT, "size": 8, "color": INK})]
    if data.plane.up is None:
        several = any(len(panel.singles) for panel in data.panels)
        entries.append(entry("single runs", "single", several, marker=SINGLE))
    shape = "ellipse" if data.plane.up else "two deviations"
    for number, threshold in enumerate(data.roi):
        line = {"width": 2.2, "color": INK, "dash": DASHES[number]}
        name = f"{roi_title(threshold)} {shape}"
        entries.append(entry(name, f"roi-{number}", mode="lines", line=line))
    edge = any(panel.landscape.on_edge for panel in data.panels)
    entries += [
        entry("best", "best-False", marker=_optimum(False)),
        entry("best, on the grid's edge", "best-True", edge, marker=_optimum(True)),
    ]
    return entries + failure_entries(data.panels)


def _nice_step(span: float) -> float:
    """Least of 1, 2, 5 times a power of ten that is at least `span`."""
    power = 10 ** math.floor(math.log10(span))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= span * (1 - 1e-9))
