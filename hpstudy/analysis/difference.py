"""Two landscapes set against each other, setting by setting, as they were measured.

`hpstudy.analysis.shift` says how sure a difference is; here are the plain numbers, quick enough to
follow a slider.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr

from hpstudy.analysis import overlap
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.risk import common_points


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Difference:
    """Difference landscape of two networks, each relative to its own best.

    Attributes
    ----------
    dense, other : str
        Variants that are compared.
    metric : str
        Column the values come from.
    axes : tuple of str
        Hyperparameters of both.
    points : DataFrame of shape (n, 5)
        The two axes, as the dense network's landscape writes them; `dense` and `other`, each
        network's value minus the best of its whole landscape (at most 0); and `difference`,
        `other` minus `dense`: positive where the other network is closer to its best than the
        dense one to its own. In the metric's unit. Only settings at which both have a value, in
        the order of the dense landscape's points.
    spearman, kendall : float
        Rank correlations of the two networks' values there (Kendall's tau-b), in [-1, 1]; NaN
        below two points, and where one of the two is constant.
    """

    dense: str
    other: str
    metric: str
    axes: tuple[str, str]
    points: pd.DataFrame
    spearman: float
    kendall: float

    @property
    def n(self) -> int:
        """Settings at which both networks have a value."""
        return len(self.points)


def difference(dense: Landscape, other: Landscape) -> Difference:
    """How far each setting is from the best for one network, against the same for another.

    Parameters
    ----------
    dense, other : Landscape
        Over the same axes.

    Returns
    -------
    Difference
        Over the settings at which both networks have a value.

    Raises
    ------
    HpstudyError
        If the two have different axes.

    References
    ----------
    Goes beyond the thesis, which compares landscapes by eye (section 4.1).
    """
    here, there = common_points(dense, other)
    points = dense.points.loc[here, list(dense.axes)].reset_index(drop=True)
    points["dense"] = dense.points["value"].to_numpy(float)[here] - dense.best
    points["other"] = other.points["value"].to_numpy(float)[there] - other.best
    points["difference"] = points["other"] - points["dense"]
    return Difference(
        dense=dense.variant,
        other=other.variant,
        metric=dense.metric,
        axes=dense.axes,
        points=points,
        spearman=_correlation(spearmanr, points),
        kendall=_correlation(kendalltau, points),
    )


def jaccard(dense: Landscape, other: Landscape, threshold: float) -> float:
    """Overlap of two networks' regions of interest: points in both over points in either.

    Parameters
    ----------
    dense, other : Landscape
        Over the same axes.
    threshold : float
        Of both regions, in the metric's unit.

    Returns
    -------
    float
        In [0, 1], over the settings at which both networks have a value; NaN where none of these
        is in a region.

    Raises
    ------
    HpstudyError
        If the two have different axes, or the threshold is negative or not finite.
    """
    inside = [
        one.inside(threshold)[rows]
        for one, rows in zip((dense, other), common_points(dense, other), strict=True)
    ]
    return float(overlap.jaccard(*inside))


def _correlation(statistic: Callable, points: pd.DataFrame) -> float:
    pair = points["dense"].to_numpy(float), points["other"].to_numpy(float)
    if len(points) < 2 or min(np.ptp(one) for one in pair) == 0:
        return float("nan")
    return float(statistic(*pair).statistic)
