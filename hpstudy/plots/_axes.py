"""Axes that the panels of a figure share: logarithmic ones of settings, and one of levels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.plots.labels import axis_title, setting_text

Props = dict[str, Any]
"""Properties of a part of a Plotly figure."""
# Share of its length that an axis of levels leaves free at both ends.
MARGIN = 0.06


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Round values between the positive ends of a logarithmic axis.

    Powers of ten; where these are fewer than three also their threefold, or else their two- and
    fivefold values, unless two are there already and `most` labels have no room for more.
    """
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    values: list[float] = []
    for multiples in ((1,), (1, 3), (1, 2, 5)):
        # float("3e-4") is the number meant; 3 * 10 ** -4 is off in the last digit.
        ticks = [float(f"{multiple}e{power}") for power in exponents for multiple in multiples]
        inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) > most and len(values) >= 2:
            break
        values = inside
        if len(values) >= 3:
            break
    return values


@dataclass(frozen=True)
class Axis:
    """Logarithmic axis of one hyperparameter.

    `zero` is where settings with the value 0 are drawn, in a column that a line at `gap` separates;
    both are NaN without any.
    """

    name: str
    ends: tuple[float, float]
    zero: float = math.nan
    gap: float = math.nan

    def places(self, values: Any) -> np.ndarray:
        """Positive numbers at which values are drawn."""
        values = np.asarray(values, dtype=float)
        return np.where(values == 0, self.zero, values)

    def ticks(self, most: int) -> tuple[list[float], list[str]]:
        """Places and labels of ticks, at most `most` besides that of 0."""
        zeros = [] if math.isnan(self.zero) else [self.zero]
        values = log_ticks(self.gap if zeros else self.ends[0], self.ends[1], most)
        labels = ["0" for _ in zeros] + [setting_text(value) for value in values]
        return zeros + values, labels

    def style(self, most: int) -> Props:
        """Properties of the axis."""
        places, labels = self.ticks(most)
        ends = [math.log10(end) for end in self.ends]
        return {
            "type": "log",
            "range": ends,
            "tickvals": places,
            "ticktext": labels,
            "tickangle": 0,
        }


def axis_of(values: pd.Series) -> Axis:
    """Axis from half a grid step below the least to half a step above the greatest value."""
    name, numbers = str(values.name), values.to_numpy(float)
    logs = np.unique(np.log10(numbers[numbers > 0]))
    if len(logs) == 0:
        return Axis(name, (10**-0.5, 10**0.5), zero=1.0, gap=10**0.5)
    margin = float(np.median(np.diff(logs))) / 2 if len(logs) > 1 else 0.5
    high = float(10 ** (logs[-1] + margin))
    if (numbers > 0).all():
        return Axis(name, (float(10 ** (logs[0] - margin)), high))
    # The column must stand apart where many values lie close together.
    step = max(2 * margin, float(np.ptp(logs)) / 10)
    low, zero, gap = (float(10 ** (logs[0] - steps * step)) for steps in (2, 1.5, 0.75))
    return Axis(name, (low, high), zero, gap)


@dataclass(frozen=True, eq=False)
class Plane:
    """Where settings over the same axes are drawn.

    The first of two axes goes up, the second across. A single axis goes across; `up` is then None,
    and a level goes up between `ends`, the worse one first, under `title`.
    """

    across: Axis
    up: Axis | None
    title: str
    ends: tuple[float, float] = (math.nan, math.nan)

    def x(self, points: pd.DataFrame) -> np.ndarray:
        """Places across of points with the axes as columns."""
        return self.across.places(points[self.across.name])

    def y(self, points: pd.DataFrame, level: str = "value") -> np.ndarray:
        """Places up of such points; over one axis those of the levels in a column."""
        if self.up is None:
            return self.clipped(points[level].to_numpy(float))
        return self.up.places(points[self.up.name])

    def clipped(self, levels: np.ndarray) -> np.ndarray:
        """Levels within the ends; one that is worse, or NaN, lies at the worse end."""
        low, high = sorted(self.ends)
        return np.where(np.isnan(levels), self.ends[0], np.clip(levels, low, high))

    def symbols(self, points: pd.DataFrame, level: str = "value") -> Props:
        """Property of a marker: over one axis a triangle for a level beyond the worse end."""
        if self.up is not None:
            return {}
        more_is_better = self.ends[0] <= self.ends[1]
        levels = points[level].to_numpy(float)
        beyond = levels < self.ends[0] if more_is_better else levels > self.ends[0]
        arrow = "triangle-down" if more_is_better else "triangle-up"
        return {"symbol": np.where(beyond, arrow, "circle").tolist()}

    def up_style(self) -> Props:
        """Properties of the axis that goes up."""
        if self.up is not None:
            return self.up.style(8)
        low, high = sorted(self.ends)
        free = MARGIN * (high - low)
        return {"range": [low - free, high + free], "showgrid": True, "nticks": 7}


def plane_of(
    points: Iterable[pd.DataFrame],
    axes: tuple[str, ...],
    title: str = "",
    ends: tuple[float, float] = (math.nan, math.nan),
) -> Plane:
    """Plane of all settings of some frames; title and ends are those of an axis of levels."""
    settings = pd.concat([frame[list(axes)] for frame in points])
    *up, across = (axis_of(settings[axis]) for axis in axes)
    return Plane(across, up[0], axis_title(up[0].name)) if up else Plane(across, None, title, ends)
