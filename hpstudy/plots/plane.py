"""Where settings are drawn: the axes that all panels of a figure share."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.plots._layout import axis_style, log_axis_style, log_ticks
from hpstudy.plots.labels import axis_title

# Beyond its end an axis of the metric has this share of its length free.
MARGIN = 0.06


@dataclass(frozen=True)
class Axis:
    """One hyperparameter's logarithmic axis, with a column beside it for the value 0.

    Attributes
    ----------
    name : str
        Of the hyperparameter.
    ends : tuple of float
        Of the axis with its column, positive, not logarithms.
    zero : float
        Where settings with the value 0 are drawn; NaN if there are none.
    gap : float
        Where the column is parted from the axis; NaN if there is none.
    """

    name: str
    ends: tuple[float, float]
    zero: float = math.nan
    gap: float = math.nan

    @property
    def title(self) -> str:
        """Name of the hyperparameter in words."""
        return axis_title(self.name)

    def places(self, values) -> np.ndarray:
        """Where values are drawn, as positive numbers."""
        values = np.asarray(values, dtype=float)
        return np.where(values == 0, self.zero, values)

    def ticks(self, most: int) -> tuple[list[float], list[str]]:
        """Places and labels of its ticks; `most` labels have room beside that of the 0."""
        if math.isnan(self.zero):
            ticks = log_ticks(*self.ends, most)
            return list(ticks.values), list(ticks.labels)
        ticks = log_ticks(self.gap, self.ends[1], most)
        return [self.zero, *ticks.values], ["0", *ticks.labels]

    def style(self, most: int) -> dict:
        """Look of the axis."""
        places, labels = self.ticks(most)
        return {**log_axis_style(*self.ends, most), "tickvals": places, "ticktext": labels}


def drawn_axis(values: pd.Series) -> Axis:
    """Axis from half a grid step below the least to half a step above the greatest value.

    Parameters
    ----------
    values : Series
        All that have to be drawn: 0, or positive; named as the hyperparameter.
    """
    name, numbers = str(values.name), values.to_numpy(float)
    logs = np.unique(np.log10(numbers[numbers > 0]))
    if len(logs) == 0:
        return Axis(name, (10**-0.5, 10**0.5), zero=1.0, gap=10**0.5)
    margin = float(np.median(np.diff(logs))) / 2 if len(logs) > 1 else 0.5
    high = float(10 ** (logs[-1] + margin))
    if (numbers > 0).all():
        return Axis(name, (float(10 ** (logs[0] - margin)), high))
    # The column must be seen to stand apart where many values lie close together.
    step = max(2 * margin, float(np.ptp(logs)) / 10)
    low, zero, gap = (float(10 ** (logs[0] - steps * step)) for steps in (2, 1.5, 0.75))
    return Axis(name, (low, high), zero, gap)


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the settings of some landscapes over the same axes are drawn.

    Over two axes the first one goes up and the second one across. Over one axis this one goes
    across, and a level up.

    Attributes
    ----------
    across : Axis
        The hyperparameter that goes across.
    up : Axis or None
        The one that goes up; None for a level.
    title : str
        Of the axis that goes up.
    ends : tuple of float
        Of the axis of levels, the worse end first; NaN where `up` is a hyperparameter.
    """

    across: Axis
    up: Axis | None
    title: str
    ends: tuple[float, float] = (math.nan, math.nan)

    def x(self, points: pd.DataFrame) -> np.ndarray:
        """Places across of points that have the axes as columns."""
        return self.across.places(points[self.across.name])

    def y(self, points: pd.DataFrame, level: str = "value") -> np.ndarray:
        """Places up of such points; over one axis those of their levels, the column `level`.

        What is worse than the worse end is drawn there, and so is a point without a level.
        """
        if self.up is not None:
            return self.up.places(points[self.up.name])
        values = points[level].to_numpy(float)
        return np.clip(np.where(np.isnan(values), self.ends[0], values), *sorted(self.ends))

    def symbols(self, points: pd.DataFrame, level: str = "value") -> dict:
        """Marker of such points: a triangle for one that lies beyond the end of the levels."""
        if self.up is not None:
            return {}
        values, arrow = points[level].to_numpy(float), "triangle-down"
        beyond = values < self.ends[0]
        if self.ends[0] > self.ends[1]:
            beyond, arrow = values > self.ends[0], "triangle-up"
        return {"symbol": [arrow if one else "circle" for one in beyond]}

    def style_up(self, most: int) -> dict:
        """Look of the axis that goes up."""
        if self.up is not None:
            return self.up.style(most)
        low, high = sorted(self.ends)
        free = MARGIN * (high - low)
        return {**axis_style(), "range": [low - free, high + free], "showgrid": True, "nticks": 7}


def plane_of(
    points: Iterable[pd.DataFrame],
    axes: tuple[str, ...],
    title: str = "",
    ends: tuple[float, float] = (math.nan, math.nan),
) -> Plane:
    """Plane that holds all settings of some landscapes over the same axes.

    Parameters
    ----------
    points : iterable of DataFrame
        Points of each landscape.
    axes : tuple of str
        Their axes.
    title, ends : str, tuple of float, optional
        Of the axis of levels, if there is one hyperparameter.
    """
    every = pd.concat([one[list(axes)] for one in points])
    *up, across = (drawn_axis(every[axis]) for axis in axes)
    return Plane(across, up[0], up[0].title) if up else Plane(across, None, title, ends)
