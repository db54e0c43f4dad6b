"""Risk: what a pruned network loses over the dense network's good hyperparameters."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import roi


class RegionRisk(NamedTuple):
    """Mean and population standard deviation of d_theta over a region (equations 3.4 to 3.6).

    Attributes
    ----------
    mean, std : ndarray of shape (...)
        In the metric's unit; std divides by n. NaN where the region has no point with a value.
    relative_mean, relative_std : ndarray of shape (...)
        Fractions of the absolute best value; not finite where that is 0.
    """

    mean: np.ndarray
    std: np.ndarray
    relative_mean: np.ndarray
    relative_std: np.ndarray


def region_risk(inside: np.ndarray, values: np.ndarray, best: np.ndarray) -> RegionRisk:
    """Risk over a region of each draw.

    Parameters
    ----------
    inside : ndarray of bool, shape (..., n_points)
        Dense network's region of interest.
    values : ndarray of shape (..., n_points)
        Values of the network at risk; points where they are not finite are left out.
    best : ndarray of shape (...)
        Best value of that network, anywhere.

    References
    ----------
    Thesis, section 3.3.2, equations 3.4 to 3.6.
    """
    loss = np.asarray(best)[..., None] - values
    inside = inside & np.isfinite(loss)
    loss = np.where(inside, loss, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = inside.sum(axis=-1)
        mean = loss.sum(axis=-1) / n
        std = np.sqrt((inside * (loss - mean[..., None]) ** 2).sum(axis=-1) / n)
        return RegionRisk(mean, std, mean / np.abs(best), std / np.abs(best))


def risk_draws(dense: np.ndarray, other: np.ndarray, threshold: float | Array) -> RegionRisk:
    """Risk over the dense network's region of interest, in each draw of both landscapes.

    Parameters
    ----------
    dense, other : ndarray of shape (n_draws, n_points)
        Draws at the same points; -inf where a network has no value.
    threshold : float
        Of the dense network's region of interest, in the metric's unit.
    """
    return region_risk(roi(dense, threshold), other, other.max(axis=1))


def share_within_bound(dense: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
    """Share of the dense network's good settings at which another loses at most twice as much.

    The dense network loses at most the threshold there, which is the bound that is doubled; both
    losses are relative to the network's own best.

    Parameters
    ----------
    dense, other, threshold
        Draws and threshold, as for `risk_draws`.

    Returns
    -------
    ndarray of shape (n_draws,)
        In [0, 1]; NaN where the region has no point at which the other network has a value.

    References
    ----------
    Thesis, section 4.2: at most 0.01 for about 75 % of the settings, where the dense network
    loses up to 0.005.
    """
    best = other.max(axis=1, keepdims=True)
    loss = (best - other) / np.abs(best)
    inside = roi(dense, threshold) & np.isfinite(loss)
    bound = 2 * threshold / np.abs(dense.max(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (inside & (loss <= bound)).sum(axis=1) / inside.sum(axis=1)


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Risk:
    """Performance risk of one network over the dense network's region of interest.

    Attributes
    ----------
    variant : str
        Network at risk.
    threshold : float
        Of the dense network's region of interest, in the metric's unit.
    mean, std, relative_mean, relative_std : float
        As in `RegionRisk`; the relative ones are NaN where the best is 0.
    points : DataFrame of shape (n, 5)
        Region's points at which the network has a value: the two axes, value, risk (equation
        3.4), relative (equation 3.6).
    missing : DataFrame of shape (n_missing, 2)
        The axes of the region's points at which it has no value.
    """

    variant: str
    threshold: float
    mean: float
    std: float
    relative_mean: float
    relative_std: float
    points: pd.DataFrame
    missing: pd.DataFrame

    @property
    def n(self) -> int:
        """Points that the risk is taken over."""
        return len(self.points)


def risk(dense: Landscape, landscape: Landscape, threshold: float = 0.5) -> Risk:
    """Risk of training a network at the dense network's good hyperparameters.

    Every point of the dense network's region of interest is scored by how far the network falls
    short of its own best there.

    Parameters
    ----------
    dense, landscape : Landscape
        The dense network, and the one at risk (which may be the dense network itself).
    threshold : float, default 0.5
        Of the dense network's region of interest, in percentage points for accuracies.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite, or the two have different axes.

    References
    ----------
    Thesis, section 3.3.2, equations 3.4 to 3.6.
    """
    dense_rows, rows = common_points(dense, landscape)
    values = np.full(len(dense.points), np.nan)
    values[dense_rows] = landscape.values[rows]
    inside = dense.in_roi(threshold)
    best = np.array(landscape.best or np.nan)
    summary = region_risk(inside, values, np.array(landscape.best))
    region = dense.points[list(dense.axes)].assign(value=values)[inside]
    points = region.dropna(subset="value").reset_index(drop=True)
    points["risk"] = landscape.best - points["value"]
    points["relative"] = points["risk"] / np.abs(best)
    relative = [float(value) if landscape.best else np.nan for value in summary[2:]]
    return Risk(
        landscape.variant,
        threshold,
        float(summary.mean),
        float(summary.std),
        *relative,
        points=points,
        missing=region.loc[region["value"].isna(), list(dense.axes)].reset_index(drop=True),
    )


def risks(landscapes: dict[str, Landscape], threshold: float = 0.5) -> dict[str, Risk]:
    """Risk of each network over the region of interest of the first, which is the dense one.

    References
    ----------
    Thesis, section 3.3.2 and Table 4.2.
    """
    dense = next(iter(landscapes.values()))
    return {name: risk(dense, landscape, threshold) for name, landscape in landscapes.items()}
