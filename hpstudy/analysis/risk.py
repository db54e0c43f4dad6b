"""Risk: what a pruned network loses over the dense network's good hyperparameters."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array, Mask
from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.regions import roi


class RegionRisk(NamedTuple):
    """Mean and population standard deviation of d_theta over a region (equations 3.4 to 3.6).

    In the metric's unit, and as fractions of the absolute best value; each of shape (n_draws,). NaN
    where the region has no point with a value.
    """

    mean: Array
    std: Array
    relative_mean: Array
    relative_std: Array


def region_risk(inside: Mask, values: Array, best: Array) -> RegionRisk:
    """Risk over a region of each draw (thesis, section 3.3.2, equations 3.4 to 3.6).

    Parameters
    ----------
    inside : ndarray of bool, shape (..., n_points)
        Dense network's region of interest.
    values : ndarray of shape (..., n_points)
        Values of the network at risk; points where they are not finite are left out.
    best : ndarray of shape (...)
        Best value of that network, anywhere.
    """
    loss = np.asarray(best)[..., None] - values
    inside = inside & np.isfinite(loss)
    loss = np.where(inside, loss, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = inside.sum(axis=-1)
        mean = loss.sum(axis=-1) / n
        std = np.sqrt((inside * (loss - mean[..., None]) ** 2).sum(axis=-1) / n)
        return RegionRisk(mean, std, mean / np.abs(best), std / np.abs(best))


def risk_draws(dense: Array, other: Array, threshold: float | Array) -> RegionRisk:
    """Risk in each draw of two landscapes at the same points; -inf where one has no value."""
    return region_risk(roi(dense, threshold), other, other.max(axis=1))


def share_within_bound(dense: Array, other: Array, threshold: float) -> Array:
    """Share of the dense network's good settings at which another loses at most twice as much.

    The dense network loses at most the threshold there, which is the bound that is doubled; both
    losses are relative to the network's own best. NaN where the region has no point at which the
    other network has a value.

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
        share: Array = (inside & (loss <= bound)).sum(axis=1) / inside.sum(axis=1)
    return share


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Risk:
    """Performance risk of one network over the dense network's region of interest.

    Attributes
    ----------
    variant, threshold
        Network at risk, and threshold of the dense network's region in the metric's unit.
    mean, std, relative_mean, relative_std : float
        As in `RegionRisk`; the relative ones are NaN where the best is 0.
    points : DataFrame of shape (n, n_axes + 3)
        Region's points at which the network has a value: the axes, value, risk (equation 3.4),
        relative (equation 3.6).
    missing : DataFrame of shape (n_missing, n_axes)
        Region's points at which it has no value.
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

    Every point of the dense network's region of interest is scored by how far the network, which
    may be the dense one itself, falls short of its own best there.

    Raises
    ------
    HpstudyError
        If the threshold is negative or not finite, or the two have different axes.
    """
    dense_rows, rows = common_points(dense, landscape)
    values = np.full(len(dense.points), np.nan)
    values[dense_rows] = landscape.values[rows]
    inside, best = dense.in_roi(threshold), landscape.best
    summary = [float(value) for value in region_risk(inside, values, np.array(best))]
    region = dense.points[list(dense.axes)].assign(value=values)[inside]
    points = region.dropna(subset="value").reset_index(drop=True)
    points["risk"] = best - points["value"]
    points["relative"] = points["risk"] / (abs(best) or np.nan)
    return Risk(
        variant=landscape.variant,
        threshold=threshold,
        mean=summary[0],
        std=summary[1],
        relative_mean=summary[2] if best else np.nan,
        relative_std=summary[3] if best else np.nan,
        points=points,
        missing=region.loc[region["value"].isna(), list(dense.axes)].reset_index(drop=True),
    )


def risks(landscapes: dict[str, Landscape], threshold: float = 0.5) -> dict[str, Risk]:
    """Risk of each network over the region of interest of the first, the dense one (Table 4.2)."""
    dense = next(iter(landscapes.values()))
    return {name: risk(dense, landscape, threshold) for name, landscape in landscapes.items()}
