"""The noise-free landscape made ready to draw: who belongs to the region, and the surface."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.levels import levels
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import FEWEST, Surrogate
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import variant_title
from hpstudy.plots.panels import landscapes_data

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
        Points with a level as `value`, as `Landscape.points`, with the columns `probability` (in
        [0, 1]; NaN where the network has no draws) and `member`: whether it was measured in the
        region.
    diverged, stopped : DataFrame
        Points to be marked as such, as `hpstudy.plots.panels.Panel` has them.
    expected : float
        Sum of the probabilities: how many points are expected in the region; NaN without draws.
    """

    title: str
    points: pd.DataFrame
    diverged: pd.DataFrame
    stopped: pd.DataFrame
    expected: float


def roi_probability_data(analysis: StudyAnalysis, threshold: float) -> tuple[MembershipPanel, ...]:
    """Membership of every point of all networks, for `plot_roi_probability`.

    Parameters
    ----------
    analysis : StudyAnalysis
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
    panels = landscapes_data(analysis.landscapes, (threshold,)).panels
    found = []
    for panel, one in zip(panels, analysis.landscapes.values(), strict=True):
        probability = analysis.roi_probability(one.variant, threshold)
        points = levels(one).assign(probability=probability, member=one.in_roi(threshold))
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
    values : tuple of ndarray of shape (n_cells,)
        Values of each axis, from the least to the greatest measured one but 0, at equal steps of
        their logarithms.
    mean : ndarray of shape (n_cells, n_cells) or (n_cells,)
        Mean of the model less its best drawn one, in the metric's own unit; over two axes a row
        for each value of the first one.
    deviation : ndarray of the same shape
        Standard deviation of the model there, in the metric's unit.
    best : float
        That best mean, in the metric's own unit.
    points : DataFrame
        Measured points with a level as `value`, as `Landscape.points`, with the column
        `distance`: the level less `best`. The model goes through those without a value of 0.
    noise : float
        Standard deviation of one run about the noise-free landscape at the best point, in the
        metric's unit.
    replicates : tuple of float and int
        As `Surrogate.replicates`.
    """

    variant: str
    title: str
    values: tuple[np.ndarray, ...]
    mean: np.ndarray
    deviation: np.ndarray
    best: float
    points: pd.DataFrame
    noise: float
    replicates: tuple[float, int]


def surrogate_data(analysis: StudyAnalysis) -> tuple[SurrogateSurface, ...]:
    """Surfaces of all networks that have one, for `plot_surrogate`.

    Parameters
    ----------
    analysis : StudyAnalysis
        Of a table.

    Returns
    -------
    tuple of SurrogateSurface
        In the order of the landscapes, without those that have too few points for a model, or all
        of them at one value of an axis beside 0.

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
            "two or more values of each axis, without 0."
        )
    return found


def _spans_an_area(landscape: Landscape) -> bool:
    known = landscape.points[landscape.points["value"].notna() & landscape.placed]
    return all(known[axis].nunique() > 1 for axis in landscape.axes)


# The figure and its caption ask for the same one.
@lru_cache(maxsize=64)
def _surface(surrogate: Surrogate) -> SurrogateSurface:
    landscape = surrogate.landscape
    known = landscape.points[surrogate.used]
    values = tuple(
        np.geomspace(known[axis].min(), known[axis].max(), CELLS) for axis in landscape.axes
    )
    grid = np.meshgrid(*values, indexing="ij")
    # A single axis has the second place 1 throughout, whose logarithm is 0.
    first, second = [*map(np.ravel, grid), np.ones(grid[0].size)][:2]
    mean, deviation = surrogate.predict(first, second)
    best = float(mean.max())
    points = levels(landscape)
    points = points[points["value"].notna()]
    return SurrogateSurface(
        variant=landscape.variant,
        title=variant_title(landscape.variant),
        values=values,
        mean=landscape.sign * (mean - best).reshape(grid[0].shape) + 0.0,
        deviation=deviation.reshape(grid[0].shape),
        best=landscape.sign * best,
        points=points.assign(distance=points["value"] - landscape.sign * best),
        noise=surrogate.noise,
        replicates=surrogate.replicates,
    )
