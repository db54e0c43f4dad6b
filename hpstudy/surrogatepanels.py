"""The noise-free landscape made ready to draw: who belongs to the region, and the surface."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from hpstudy.analysis import Analysis
from hpstudy.errors import HpstudyError
from hpstudy.landscape import Landscape
from hpstudy.panels import landscape_panels
from hpstudy.results import variant_title
from hpstudy.surrogate import FEWEST, Surrogate

CELLS = 25
"""Places along each axis at which the surface is drawn."""


@dataclass(frozen=True, eq=False)
class MembershipPanel:
    """One network's points and whether they belong to its region of interest, ready to draw.

    Attributes
    ----------
    title : str
        Of the network.
    points : DataFrame
        Points with a value, as `Landscape.points`, with the columns `probability` (in [0, 1]; NaN
        where the network has no draws) and `member`: whether it was measured in the region.
    diverged, stopped : DataFrame
        Points to be marked as such, as `hpstudy.panels.Panel` has them.
    expected : float
        Sum of the probabilities: how many points are expected in the region; NaN without draws.
    """

    title: str
    points: pd.DataFrame
    diverged: pd.DataFrame
    stopped: pd.DataFrame
    expected: float


def membership_panels(analysis: Analysis, threshold: float) -> tuple[MembershipPanel, ...]:
    """Membership of every point of all networks, for `plot_membership`.

    Parameters
    ----------
    analysis : Analysis
        Of a table.
    threshold : float
        Of the region of interest, in the metric's unit.

    Returns
    -------
    tuple of MembershipPanel
        One a network, the dense one first.

    Raises
    ------
    HpstudyError
        If no landscape has a value, or the threshold is negative or not finite.
    """
    panels = landscape_panels(analysis.landscapes, (threshold,)).panels
    found = []
    for panel, one in zip(panels, analysis.landscapes.values(), strict=True):
        probability = analysis.membership(one.variant, threshold)
        points = one.points.assign(probability=probability, member=one.inside(threshold))
        found.append(
            MembershipPanel(
                title=panel.title,
                points=points[points["value"].notna()],
                diverged=panel.diverged,
                stopped=panel.stopped,
                expected=float(probability.sum()),
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SurrogateSurface:
    """Model of one network's noise-free landscape on a fine grid, ready to draw.

    Attributes
    ----------
    variant, title : str
        Name of the network, and what is written above its panels.
    up, across : ndarray of shape (n_cells,)
        Values of the first and of the second axis, from the least to the greatest measured one,
        at equal steps of their logarithms.
    mean : ndarray of shape (n_cells, n_cells)
        Mean of the model less its greatest drawn one, so at most 0, in percentage points; a row
        for each value of the first axis. NaN where the nearest measured point is one that the
        model leaves out.
    deviation : ndarray of shape (n_cells, n_cells)
        Standard deviation of the model there, in percentage points.
    best : float
        That greatest mean, in the metric's unit.
    points : DataFrame
        Measured points with a value, as `Landscape.points`, with the columns `distance` (value
        less `best`) and `modelled`: whether the model goes through it.
    noise : float
        Standard deviation of one run about the noise-free landscape, in percentage points.
    replicates : tuple of float and int
        As `Surrogate.replicates`.
    """

    variant: str
    title: str
    up: np.ndarray
    across: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    best: float
    points: pd.DataFrame
    noise: float
    replicates: tuple[float, int]


def surrogate_surfaces(analysis: Analysis) -> tuple[SurrogateSurface, ...]:
    """Surfaces of all networks that have one, for `plot_surrogate`.

    Parameters
    ----------
    analysis : Analysis
        Of a table.

    Returns
    -------
    tuple of SurrogateSurface
        In the order of the landscapes, without those that have too few points for a model, or all
        of them at one value of an axis.

    Raises
    ------
    HpstudyError
        If none is left.
    """
    found = tuple(
        _surface(surrogate)
        for surrogate in analysis.surrogates.values()
        if _spans_an_area(surrogate.landscape)
    )
    if not found:
        raise HpstudyError(
            f"no network has a surface to draw: that takes values at {FEWEST} points or more, at "
            "two or more values of both axes."
        )
    return found


def _spans_an_area(landscape: Landscape) -> bool:
    known = landscape.points[landscape.points["value"].notna()]
    return all(known[axis].nunique() > 1 for axis in landscape.axes)


# The figure and its caption ask for the same one.
@lru_cache(maxsize=64)
def _surface(surrogate: Surrogate) -> SurrogateSurface:
    landscape = surrogate.landscape
    points = landscape.points.assign(modelled=surrogate.inside)
    points = points[points["value"].notna()]
    up, across = (
        np.geomspace(points[axis].min(), points[axis].max(), CELLS) for axis in landscape.axes
    )
    where = np.stack(np.meshgrid(up, across, indexing="ij"), axis=-1).reshape(-1, 2)
    mean, deviation = surrogate.predict(where[:, 0], where[:, 1])
    measured = points[list(landscape.axes)].to_numpy(float)
    # What lies nearest to a point that the model leaves out would be pure extrapolation.
    span = np.log10(measured).max(axis=0) - np.log10(measured).min(axis=0)
    apart = (np.log10(where)[:, None] - np.log10(measured)[None]) / span
    nearest = (apart**2).sum(axis=-1).argmin(axis=1)
    drawn = points["modelled"].to_numpy()[nearest]
    best = float(mean[drawn].max())
    return SurrogateSurface(
        variant=landscape.variant,
        title=variant_title(landscape.variant),
        up=up,
        across=across,
        mean=np.where(drawn, mean - best, np.nan).reshape(CELLS, CELLS),
        deviation=np.where(drawn, deviation, np.nan).reshape(CELLS, CELLS),
        best=best,
        points=points.assign(distance=points["value"] - best),
        noise=surrogate.noise,
        replicates=surrogate.replicates,
    )
