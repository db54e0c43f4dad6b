"""Warnings about a grid: reasons to distrust what is read off it, and the settings to add."""

import math
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array, Mask
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.regions import Ellipse
from hpstudy.config.grid import grid_value


class Kind(StrEnum):
    """What is wrong with a grid, as `grid_warnings` defines it."""

    NO_VALUE = "no value"
    OPTIMUM_ON_EDGE = "optimum on edge"
    REGION_ON_EDGE = "region on edge"
    FEW_POINTS = "few points"
    COARSE = "coarse"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    MISSING = "missing"
    FOR_ZERO = "for zero"
    SCATTERED = "scattered"


class GridWarning(NamedTuple):
    """One reason to read a landscape with care, with its facts as `grid_warnings` names them.

    `cells` has a row for each setting to add, sorted, and the axes as columns; it is empty where
    adding settings is no remedy.
    """

    kind: Kind
    numbers: dict[str, Any]
    cells: pd.DataFrame


def grid_warnings(landscape: Landscape, thresholds: Iterable[float]) -> list[GridWarning]:
    """Reasons to distrust the optimum, the regions of interest and their ellipses.

    - no value: no point has one; then neither optimum nor regions are judged.
    - optimum on edge, region on edge: it has the least or greatest value of an axis, so that it may
      lie, or go on, beyond. Nothing lies below a value of 0. `ends`: list of (axis, "lowest" |
      "highest" | "only", value). To add: one more value on each of these sides, at the axis's
      median distance in log10, crossed with all values of the other axis.
    - few points: the region has fewer than five, without those at a value of 0, too few for an
      ellipse (thesis, section 4.1.1). `points`, `at_zero`: numbers of either. To add: what lies
      halfway in log10 from the region's points to their eight neighbours; to two over one axis.
    - coarse: the ellipse's width of 2 x 2 deviations is below two grid steps, measured along its
      short axis. A grid of step h adds a variance of h^2 / 12, and a region two steps wide has one
      of h^2 / 4: below that, more than a third of the spread across it may be the grid's own.
      `width`, `step`: in decades. To add: the halfway points again, those inside the region's
      bounding box, which reaches to the next values where the region has a single one.
    - diverged: `runs` of `all_runs` did, at settings within `range`: axis -> (least, greatest),
      None for an end of the axis.
    - stopped: at `points` of `all_points` runs were stopped early.
    - scattered: over two axes, most of the `points` are on no grid (`is_scattered`): nothing is
      called coarse or missing, and no settings are proposed.
    - missing: combinations of the grid's values that lie between points of the grid along both
      axes but have no runs, or no value although nothing diverged or was stopped.
    - for zero: the least value of an axis without a 0, `value`, lies `decades`, more than two
      median steps, below `next`, as one does that was written in the stead of 0.

    Warnings of regions have their `threshold`. Proposed values have six significant digits, and
    are whole numbers on an axis that has no others (such as a batch size).

    Raises
    ------
    HpstudyError
        If a threshold is negative or not finite.
    """
    scattered = is_scattered(landscape)
    regions = {threshold: landscape.roi(threshold) for threshold in sorted(thresholds)}
    warnings: list[GridWarning] = []
    if math.isnan(landscape.best):
        warnings.append(_warning(landscape, Kind.NO_VALUE))
        regions = {}
    else:
        best = pd.DataFrame([landscape.best_at])
        warnings += _on_edge(landscape, best, Kind.OPTIMUM_ON_EDGE)
    for threshold, region in regions.items():
        ellipse = landscape.ellipse(threshold)
        for edge in _on_edge(landscape, region, Kind.REGION_ON_EDGE, threshold=threshold):
            # A wider region touches all that a narrower one does; only more is worth a word.
            if not any(edge.cells.equals(earlier.cells) for earlier in warnings):
                warnings.append(edge)
        if ellipse is None:
            placed = int((region[list(landscape.axes)] > 0).all(axis=1).sum())
            facts = {"threshold": threshold, "points": placed, "at_zero": len(region) - placed}
            cells = _halfway(landscape, region)
            warnings.append(_warning(landscape, Kind.FEW_POINTS, cells, **facts))
        elif not scattered:
            warnings += _coarse(landscape, region, ellipse, threshold)
    warnings += _unfinished(landscape)
    if scattered:
        warnings = [warning._replace(cells=warning.cells.head(0)) for warning in warnings]
        return [*warnings, _warning(landscape, Kind.SCATTERED, points=len(landscape.points))]
    return warnings + _missing(landscape) + _for_zero(landscape)


def is_scattered(landscape: Landscape) -> bool:
    """Whether most points share a value with another on one axis at most, as in a random search.

    Most combinations of their values were then not tried; a grid that is half trained is a grid.
    """
    points = landscape.points
    if len(landscape.axes) == 1:
        return False
    alone = [~points[axis].duplicated(keep=False) for axis in landscape.axes]
    crossings = math.prod(points[axis].nunique() for axis in landscape.axes)
    return bool((alone[0] | alone[1]).mean() > 0.5 and 2 * len(points) < crossings)


def _warning(
    landscape: Landscape, kind: Kind, cells: Iterable[tuple[float, ...]] = (), **numbers: Any
) -> GridWarning:
    table = pd.DataFrame(sorted(cells), columns=list(landscape.axes), dtype=float)
    return GridWarning(kind, numbers, table)


def _on_edge(
    landscape: Landscape, inside: pd.DataFrame, kind: Kind, **facts: float
) -> list[GridWarning]:
    """Sides of the grid on which `inside` has points, and the rows and columns beyond them."""
    ends: list[tuple[str, str, float]] = []
    grown, grid = [], [_tried(landscape, axis) for axis in landscape.axes]
    for axis, tried in zip(landscape.axes, grid, strict=True):
        beyond: list[float] = []
        steps = np.diff(np.log10(tried[tried > 0]))
        if len(tried) == 1:
            ends.append((axis, "only", tried[0]))
        for end, side, sign in ((tried[0], "lowest", -1), (tried[-1], "highest", 1)):
            if len(tried) > 1 and end > 0 and (inside[axis] == end).any():
                ends.append((axis, side, end))
                # A 0 and a single further value show no step.
                beyond += [math.log10(end) + sign * np.median(steps)] if len(steps) else []
        grown.append({*tried, *_proposed(beyond, tried)})
    cells = set(product(*grown)) - set(product(*grid))
    return [_warning(landscape, kind, cells, **facts, ends=ends)] if ends else []


def _coarse(
    landscape: Landscape, region: pd.DataFrame, ellipse: Ellipse, threshold: float
) -> list[GridWarning]:
    region = region[(region[list(landscape.axes)] > 0).all(axis=1)]
    box = [_box(landscape, region, axis) for axis in landscape.axes]
    # One value on a whole axis: the edge that it lies on says so.
    if len(box) == 1 or any(len(values) == 1 for values in box):
        return []
    first, second = (np.median(np.diff(np.log10(values))) for values in box)
    # The short axis points along (-sin, cos).
    step = math.hypot(first * math.sin(ellipse.angle), second * math.cos(ellipse.angle))
    if ellipse.width >= 2 * step * (1 - 1e-9):
        return []
    cells = [
        cell
        for cell in _halfway(landscape, region)
        if all(ends[0] <= value <= ends[-1] for value, ends in zip(cell, box, strict=True))
    ]
    facts = {"threshold": threshold, "width": ellipse.width, "step": step}
    return [_warning(landscape, Kind.COARSE, cells, **facts)]


def _unfinished(landscape: Landscape) -> list[GridWarning]:
    """Warnings of runs that diverged or were stopped."""
    points, warnings = landscape.points, []
    if runs := round((points["diverged"] * points["seeds"]).sum()):
        ranges = {}
        for axis in landscape.axes:
            hit, tried = points.loc[points["diverged"] > 0, axis], points[axis]
            low = hit.min() if hit.min() > tried.min() else None
            ranges[axis] = (low, hit.max() if hit.max() < tried.max() else None)
        facts = {"runs": runs, "all_runs": landscape.runs, "range": ranges}
        warnings.append(_warning(landscape, Kind.DIVERGED, **facts))
    if stopped := int((points["stopped"] > 0).sum()):
        facts = {"points": stopped, "all_points": len(points)}
        warnings.append(_warning(landscape, Kind.STOPPED, **facts))
    return warnings


def _missing(landscape: Landscape) -> list[GridWarning]:
    points, axes = landscape.points, list(landscape.axes)
    bare = points["value"].isna() & (points["diverged"] == 0) & (points["stopped"] == 0)
    cells = set(points.loc[bare, axes].itertuples(index=False, name=None))
    if len(axes) == 2:
        square = points[landscape.placed].pivot(index=axes[0], columns=axes[1], values="seeds")
        trained = square.notna().to_numpy()
        holes = ~trained & _enclosed(trained, 0) & _enclosed(trained, 1)
        cells |= {(square.index[row], square.columns[column]) for row, column in np.argwhere(holes)}
    return [_warning(landscape, Kind.MISSING, cells)] if cells else []


def _for_zero(landscape: Landscape) -> list[GridWarning]:
    warnings = []
    # Nobody trains at a learning rate of 0.
    for axis in [axis for axis in landscape.axes if axis != "lr"]:
        tried = _tried(landscape, axis)
        if len(tried) < 3 or tried[0] == 0:
            continue
        first, *steps = np.diff(np.log10(tried))
        if first > 2 * np.median(steps) * (1 + 1e-9):
            facts = {"axis": axis, "value": tried[0], "next": tried[1], "decades": first}
            warnings.append(_warning(landscape, Kind.FOR_ZERO, **facts))
    return warnings


def _enclosed(trained: Mask, axis: int) -> Mask:
    """Whether a trained point comes at or before, and one at or after, each place of a line."""
    before = np.logical_or.accumulate(trained, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(trained, axis), axis=axis), axis)
    return before & after


def _halfway(landscape: Landscape, region: pd.DataFrame) -> set[tuple[float, ...]]:
    """Points halfway in log10 from those of the region to their eight neighbours."""
    ladders, places = [], []
    for axis in landscape.axes:
        tried = _tried(landscape, axis)
        # Even rungs are the tried values, odd ones lie halfway between them.
        ladder = {2 * k: value for k, value in enumerate(tried)}
        for k, pair in enumerate(pairwise(tried)):
            # Nothing lies halfway to 0.
            for value in _proposed([np.log10(pair).mean()], tried) if pair[0] > 0 else ():
                ladder[2 * k + 1] = value
        ladders.append(ladder)
        places.append(2 * np.searchsorted(tried, region[axis]))
    cells = set()
    for place in zip(*places, strict=True):
        for step in product((-1, 0, 1), repeat=len(ladders)):
            rungs = zip(ladders, np.add(place, step), strict=True)
            cell = tuple(ladder.get(rung, math.nan) for ladder, rung in rungs)
            if any(step) and not any(map(math.isnan, cell)):
                cells.add(cell)
    return cells


def _box(landscape: Landscape, region: pd.DataFrame, axis: str) -> Array:
    """Values of an axis that the region spans; the next ones too where that is a single value."""
    tried = _tried(landscape, axis)
    tried = tried[tried > 0]
    low, high = np.searchsorted(tried, [region[axis].min(), region[axis].max()])
    if low == high:
        low, high = max(low - 1, 0), high + 1
    return tried[low : high + 1]


def _proposed(logs: Iterable[float], tried: Array) -> list[float]:
    """Values to add, by their log10: as numbers that can be written down, and new ones only."""
    values = [grid_value(log) for log in logs]
    if (tried == tried.round()).all():
        values = [float(round(value)) for value in values]
    return [value for value in values if value > 0 and value not in tried]


def _tried(landscape: Landscape, axis: str) -> Array:
    """Values of an axis that were tried, increasing."""
    return np.unique(landscape.points[axis].to_numpy(float))
