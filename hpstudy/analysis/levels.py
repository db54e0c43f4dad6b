"""Levels of a landscape's metric in the metric's own unit, as figures and pages write them."""

import math
from dataclasses import dataclass

import pandas as pd

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.landscape import PERCENTAGES, Landscape
from hpstudy.config.words import number_text
from hpstudy.storage.tables import METRIC_TITLES


@dataclass(frozen=True)
class Metric:
    """Metric of one or more landscapes.

    Attributes
    ----------
    name : str
        Column of the table.
    sign : int
        1, or -1 where less is better: what turns `Landscape.points["value"]` into a level.
    percent : bool
        Whether it is an accuracy in percent. Other metrics are written without a unit.
    """

    name: str
    sign: int = 1
    percent: bool = True

    @property
    def title(self) -> str:
        """Name in words."""
        return METRIC_TITLES.get(self.name, self.name)

    @property
    def heading(self) -> str:
        """Name at the start of a sentence; a column's own name stays as it is written."""
        return self.title.capitalize() if self.name in METRIC_TITLES else self.title

    @property
    def headed(self) -> str:
        """Name with its unit, as the title of an axis: "top-1 accuracy (%)", "val_loss"."""
        return f"{self.title} (%)" if self.percent else self.title

    @property
    def counted(self) -> str:
        """What follows "distance" in a sentence: ", in percentage points", or nothing."""
        return ", in percentage points" if self.percent else ""

    def from_best(self, best: str) -> str:
        """What distances from a best are called: "top-1 accuracy, points from the own best"."""
        return f"{self.title}{', points' if self.percent else ''} from {best}"

    def text(self, level: float) -> str:
        """Level or distance: two decimals in percent, otherwise four significant digits."""
        if self.percent or not math.isfinite(level):
            return number_text(level)
        return f"{level + 0.0:.4g}".replace("-", "−")

    def interval(self, value: Interval) -> str:
        """Estimate and interval of a level or a distance: "0.17 (0.00 to 0.86)"; or a dash."""
        if not math.isfinite(value.estimate):
            return "–"
        estimate, low, high = map(self.text, value)
        return f"{estimate} ({low} to {high})"

    def levels(self, value: Interval) -> Interval:
        """Interval of an oriented value, as `Landscape.points` has them, as one of a level."""
        low, high = sorted(self.sign * end for end in (value.low, value.high))
        return Interval(self.sign * value.estimate, low, high)

    def level(self, level: float) -> str:
        """Level with its unit: "93.10 %", "0.2134"."""
        return f"{self.text(level)} %" if self.percent else self.text(level)


def metric_of(landscape: Landscape) -> Metric:
    """Metric of a landscape."""
    percent = landscape.metric in PERCENTAGES or landscape.ceiling == 100.0
    return Metric(landscape.metric, landscape.sign, percent)


def levels(landscape: Landscape) -> pd.DataFrame:
    """Points of a landscape, as `Landscape.points`, with `value` in the metric's own unit."""
    # 0.0 makes a zero of a negative zero.
    return landscape.points.assign(value=landscape.sign * landscape.points["value"] + 0.0)
