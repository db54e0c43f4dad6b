"""What is lost when a pruned network keeps the dense network's hyperparameters."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, nine_digits
from hpstudy.errors import HpstudyError


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Risk:
    """Performance risk of one network over the dense network's region of interest.

    Attributes
    ----------
    variant : str
        The network whose loss of accuracy this is.
    threshold : float
        Of the dense network's region of interest, in the metric's unit.
    n : int
        Points of that region at which this network has a value.
    mean, std : float
        Of d_theta over these points, in the metric's unit; std divides by n, as equation 3.5
        does. NaN where n is 0.
    relative_mean, relative_std : float
        The same of d_theta / |f(theta*)|, a fraction (0.01 is 1 % of the best value); NaN also
        where that best is 0.
    points : DataFrame of shape (n, 5)
        The two axes, value, risk (equation 3.4), relative (equation 3.6).
    missing : DataFrame of shape (n_missing, 2)
        The axes of the region's points at which this network has no value.
    """

    variant: str
    threshold: float
    n: int
    mean: float
    std: float
    relative_mean: float
    relative_std: float
    points: pd.DataFrame
    missing: pd.DataFrame


def risk(dense: Landscape, landscape: Landscape, threshold: float = 0.5) -> Risk:
    """Risk of training `landscape`'s network at the dense network's good hyperparameters.

    Every point of the dense network's region of interest is scored by how far the network falls
    short of its own best there.

    Parameters
    ----------
    dense, landscape : Landscape
        The dense network, and the one at risk (which may be the dense network itself).
    threshold : float, default 0.5
        Of the dense network's region of interest, in percentage points for accuracies.

    Returns
    -------
    Risk
        Over the points both networks have; the others are listed in `missing`.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite, or the two have different axes.

    References
    ----------
    Thesis, section 3.3.2, equations 3.4 to 3.6.
    """
    here, there = common_points(dense, landscape)
    value = np.full(len(dense.points), np.nan)
    value[here] = landscape.points["value"].to_numpy(float)[there]
    region = dense.points[list(dense.axes)].assign(value=value)[dense.inside(threshold)]
    absent = region["value"].isna()
    points = region[~absent].reset_index(drop=True)
    best = landscape.best
    points["risk"] = best - points["value"]
    points["relative"] = points["risk"] / (abs(best) or np.nan)
    return Risk(
        variant=landscape.variant,
        threshold=threshold,
        n=len(points),
        mean=float(points["risk"].mean()),
        std=float(points["risk"].std(ddof=0)),
        relative_mean=float(points["relative"].mean()),
        relative_std=float(points["relative"].std(ddof=0)),
        points=points,
        missing=region.loc[absent, list(dense.axes)].reset_index(drop=True),
    )


def risks(landscapes: dict[str, Landscape], threshold: float = 0.5) -> dict[str, Risk]:
    """Risk of each network over the first one's region of interest.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        The dense network first, as `hpstudy.analysis.landscape.landscapes` returns them.
    threshold : float, default 0.5
        As for `risk`.

    Returns
    -------
    dict of str to Risk
        In the same order; the first entry is the dense network against its own best.

    References
    ----------
    Thesis, section 3.3.2 and Table 4.2.
    """
    dense = next(iter(landscapes.values()))
    return {name: risk(dense, one, threshold) for name, one in landscapes.items()}


def common_points(dense: Landscape, landscape: Landscape) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two landscapes' points that are one setting at which both have a value.

    Two landscapes may come from two tables, in which one setting is written differently: nine
    significant digits decide.

    Parameters
    ----------
    dense, landscape : Landscape
        Over the same axes.

    Returns
    -------
    here, there : ndarray of int, shape (n_common,)
        Positions in the points of the first and of the second, in the order of the first.

    Raises
    ------
    HpstudyError
        If the two have different axes.
    """
    if dense.axes != landscape.axes:
        raise HpstudyError(
            f"{dense.variant!r} lies over {' x '.join(dense.axes)}, {landscape.variant!r} over "
            f"{' x '.join(landscape.axes)}; only landscapes over the same axes are compared."
        )
    keys = [
        pd.MultiIndex.from_arrays([nine_digits(one.points[axis]) for axis in one.axes])
        for one in (dense, landscape)
    ]
    place = keys[1].get_indexer(keys[0])
    both = dense.points["value"].notna().to_numpy() & (place >= 0)
    both &= landscape.points["value"].notna().to_numpy()[place]
    return np.flatnonzero(both), place[both]
