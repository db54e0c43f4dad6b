"""Difference of two networks, each from its own best."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.shift import difference
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import Plane, Props
from hpstudy.plots.labels import Metric, metric_of, variant_title

# ColorBrewer's orange to purple, for the colour-blind: orange where the first network is ahead.
COLOURS = "PuOr"
# The scale is as strong as that of the better half of all settings in a landscape.
TOP = 0.5
MARKS = _traces.best_marker("star", 13), _traces.best_marker("star-diamond", 13)
DARK_POINT = {**_traces.POINT, "line": {"width": 1, "color": "rgba(0,0,0,0.55)"}}


@dataclass(frozen=True, eq=False)
class DifferencePanel:
    """Difference of two landscapes, drawn on their plane in colours from `-limit` to `limit`.

    `threshold` is that of the regions of interest, in the metric's unit as the limit; their
    ellipses reach `multiple` standard deviations.
    """

    dense: Landscape
    other: Landscape
    landscape_plane: Plane
    limit: float
    threshold: float
    multiple: float = 2.0

    @cached_property
    def points(self) -> pd.DataFrame:
        """Settings of both (`hpstudy.analysis.shift.Difference`), in the metric's own unit."""
        points = difference(self.dense, self.other).points
        columns = ["dense", "other", "difference"]
        return points.assign(**{name: self.dense.sign * points[name] for name in columns})

    @property
    def plane(self) -> Plane:
        """Plane of the panel; over one axis the difference goes up."""
        if self.landscape_plane.up:
            return self.landscape_plane
        ends = -self.limit, self.limit
        return replace(self.landscape_plane, title="difference", ends=ends)

    def colour_axis(self, **bar: Any) -> Props:
        """Colour axis of the panel; purple is where the other network is ahead."""
        metric = metric_of(self.dense)
        title = "difference, points" if metric.percent else f"difference, {metric.title}"
        look = {"shown": self.plane.up is not None, "reverse": metric.sign < 0, "nticks": 7, **bar}
        return _layout.colour_axis(COLOURS, -self.limit, self.limit, title, **look)

    def traces(self, suffix: str, coloraxis: str = "coloraxis") -> list[Props]:
        """Traces of the panel: ground, points, two lines for each of two ellipses, two optima."""
        plane = self.plane
        surface = _traces.interpolated(self.points, self.dense.axes, "difference")
        best_at = [pd.DataFrame([network.best_at]) for network in (self.dense, self.other)]
        if plane.up is None:
            surface = replace(surface, values=plane.clipped(surface.values))
            for best, height in zip(best_at, self._heights, strict=True):
                best["value"] = height
        contours = {"start": -self.limit, "end": self.limit, "size": self.limit / 4}
        line = {"width": 0.7, "color": "rgba(0,0,0,0.2)"}
        points = self.points, "difference", self.texts()
        traces = _traces.landscape_traces(
            plane, suffix, surface, *points, contours, line, DARK_POINT, coloraxis
        )
        traces += self.outlines(suffix)
        for number, best in enumerate(best_at):
            look: Props = {"marker": MARKS[number], "legendgroup": f"best-{number}"}
            traces.append(_traces.scatter(plane, suffix, best, **look))
        return traces

    @property
    def _heights(self) -> tuple[float, float]:
        # Levels are not differences: marks of both networks lie at the end of a single axis.
        return -0.86 * self.limit, -0.74 * self.limit

    def outlines(self, suffix: str) -> list[Props]:
        """Two lines for each of the two ellipses."""
        traces = []
        for number, network in enumerate((self.dense, self.other)):
            up, across = _traces.outline(network, self.threshold, self.multiple)
            if self.plane.up is None:
                up = np.full(len(across), self._heights[number])
            traces += _traces.outline_traces(
                suffix, (up, across), f"ellipse-{number}", _traces.DASHES[number]
            )
        return traces

    def texts(self) -> list[str]:
        """Hover label of each setting, with all of its fields."""
        metric, texts = metric_of(self.dense), []
        unit = " points" if metric.percent else ""
        dense, other = variant_title(self.dense.variant), variant_title(self.other.variant)
        for point in self.points.to_dict("records"):
            lines = [
                *_traces.setting_lines(point, self.dense.axes),
                f"{other}: {signed(point['other'], metric)} from its best",
                f"{dense}: {signed(point['dense'], metric)} from its best",
                f"difference {signed(point['difference'], metric)}{unit}",
            ]
            texts.append("<br>".join(lines))
        return texts


def difference_limit(landscapes: dict[str, Landscape], top: float, threshold: float = 0.0) -> float:
    """End of the colour scale: a difference weighs as much as the same step in a landscape."""
    low, high = _traces.colour_range(landscapes, top, relative=True, roi=(threshold,))
    return high - low


def signed(value: float, metric: Metric) -> str:
    """Difference with its sign: "+0.52", "−1.30", "0.00"."""
    text = metric.text(value)
    return f"+{text}" if value > 0 and float(text) else text
