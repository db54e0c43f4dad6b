"""Warnings about a grid: reasons to distrust what is read off it, and the settings to add."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array, Mask
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.regions import Ellipse
from hpstudy.config.grid import grid_value

Cells = Iterable[tuple[float, ...]]


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


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class GridWarning:
    """One reason to read a landscape with care.

    Attributes
    ----------
    kind : Kind
    numbers : dict
        Facts of the warning, by the names that `grid_warnings` gives them.
    cells : DataFrame of shape (n_cells, n_axes)
        Settings to add, sorted; empty where adding settings is no remedy.
    """

    kind: Kind
    numbers: dict[str, Any]
    cells: pd.DataFrame


def grid_warnings(landscape: Landscape, thresholds: Iterable[float]) -> list[GridWarning]:
    """Reasons to distrust the optimum, the regions of interest and their ellipses.

    - no value: no point has one; then neither optimum nor regions are judged.
    - optimum on edge, region on edge: it has the least or greatest value of an axis, so that it may
      lie, or go on, beyond. Nothing lies below a value of 0, and where there is one, none of the
      least values is an edge. `ends`: list of (axis, "lowest" | "highest" | "only", value). To
      add: one more value on each of these sides, at the axis's median distance in log10, crossed
      with all values of the other axis (the new ones too, so that a rectangle stays one).
    - few points: the region has fewer than five, without those at a value of 0, too few for an
      ellipse (thesis, section 4.1.1). `points`, `at_zero`: numbers of either. To add: what lies
      halfway in log10 from the region's points to their eight neighbours; to two over one axis.
    - coarse: the ellipse's width of 2 x 2 deviations is below two grid steps, measured along its
      short axis. A grid of step h places a point only to +- h / 2, which is a variance of h^2 /
      12; a region two steps wide has a deviation of h / 2 and so a variance of h^2 / 4. Below
      that, more than a third of the spread seen across the region may be the grid's own. `width`,
      `step`: in decades. To add: the halfway points again, those inside the region's bounding box;
      where the region has a single value on an axis, the box reaches to the next ones. Over one
      axis five points are never that narrow.
    - diverged: `runs` of `all_runs` did, at settings within `range`: axis -> (least, greatest),
      None for an end of the axis.
    - stopped: at `points` of `all_points` runs were stopped early.
    - scattered: over two axes, most of the `points` share a value with another on one axis at
      most, and most combinations of their values were not tried, as in the table of a random
      search. Rows and columns mean little there: nothing is called coarse or missing, and no
      settings are proposed.
    - missing: combinations of the grid's values that lie between points of the grid along both
      axes but have no runs, or no value although nothing diverged or was stopped. A grid that is
      finer in one place, or leaves out a corner, misses nothing; nor does it at a value of 0.
    - for zero: the least value of an axis without a 0, `value`, lies `decades`, more than two
      median steps, below `next`, as one does that was written in the stead of 0.

    Warnings of regions have their `threshold`. Proposed values have six significant digits, and
    are whole numbers on an axis that has no others (such as a batch size).

    Parameters
    ----------
    landscape : Landscape
    thresholds : iterable of float
        Thresholds of the regions of interest to judge, in the metric's unit.

    Returns
    -------
    list of GridWarning
        In the order above; empty for a grid without any.

    Raises
    ------
    HpstudyError
        If a threshold is negative or not finite.
    """
    scattered = is_scattered(landscape)
    regions = {threshold: landscape.roi(threshold) for threshold in sorted(thresholds)}
    warnings: list[GridWarning] = []
    if math.isnan(landscape.best):
        warnings.append(GridWarning(Kind.NO_VALUE, {}, _table(landscape, ())))
        regions = {}
    else:
        best = pd.DataFrame([landscape.best_at])
        warnings += _on_edge(landscape, best, Kind.OPTIMUM_ON_EDGE, {})
    for threshold, region in regions.items():
        facts, ellipse = {"threshold": threshold}, landscape.ellipse(threshold)
        # A wider region touches all that a narrower one does; only more is worth a word.
        warnings += [
            warning
            for warning in _on_edge(landscape, region, Kind.REGION_ON_EDGE, facts)
            if not any(warning.cells.equals(earlier.cells) for earlier in warnings)
        ]
        if ellipse is None:
            placed = int((region[list(landscape.axes)] > 0).all(axis=1).sum())
            facts |= {"points": placed, "at_zero": len(region) - placed}
            warnings.append(GridWarning(Kind.FEW_POINTS, facts, _halfway(landscape, region)))
        elif not scattered:
            warnings += _coarse(landscape, region, ellipse, facts)
    warnings += _unfinished(landscape)
    if scattered:
        warnings = [replace(warning, cells=warning.cells.head(0)) for warning in warnings]
        facts = {"points": len(landscape.points)}
        return [*warnings, GridWarning(Kind.SCATTERED, facts, _table(landscape, ()))]
    return warnings + _missing(landscape) + _for_zero(landscape)


def is_scattered(landscape: Landscape) -> bool:
    """Whether most points are on no grid; a grid that is half trained is still one."""
    points = landscape.points
    if len(landscape.axes) == 1:
        return False
    alone = [~points[axis].duplicated(keep=False) for axis in landscape.axes]
    crossings = math.prod(points[axis].nunique() for axis in landscape.axes)
    return bool((alone[0] | alone[1]).mean() > 0.5 and 2 * len(points) < crossings)


def _on_edge(
    landscape: Landscape, inside: pd.DataFrame, kind: Kind, facts: dict[str, Any]
) -> list[GridWarning]:
    """Sides of the grid on which `inside` has points, and the rows and columns beyond them."""
    ends: list[tuple[str, str, float]] = []
    grown, values = [], [_tried(landscape, axis) for axis in landscape.axes]
    for axis, tried in zip(landscape.axes, values, strict=True):
        beyond: list[float] = []
        if len(tried) == 1:
            ends.append((axis, "only", tried[0]))
        else:
            steps = np.diff(np.log10(tried[tried > 0]))
            for end, side, sign in ((tried[0], "lowest", -1), (tried[-1], "highest", 1)):
                if end > 0 and (inside[axis] == end).any():
                    ends.append((axis, side, end))
                    # A 0 and a single further value show no step.
                    beyond += [math.log10(end) + sign * np.median(steps)] if len(steps) else []
        grown.append({*tried, *_proposed(beyond, tried)})
    if not ends:
        return []
    cells = set(product(*grown)) - set(product(*values))
    return [GridWarning(kind, {**facts, "ends": ends}, _table(landscape, cells))]


def _coarse(
    landscape: Landscape, region: pd.DataFrame, ellipse: Ellipse, facts: dict[str, Any]
) -> list[GridWarning]:
    if len(landscape.axes) == 1:
        return []
    region = region[(region[list(landscape.axes)] > 0).all(axis=1)]
    box = [_box(landscape, region, axis) for axis in landscape.axes]
    if any(len(values) == 1 for values in box):
        # One value on a whole axis: the edge that it lies on says so.
        return []
    first, second = (np.median(np.diff(np.log10(values))) for values in box)
    # The short axis points along (-sin, cos).
    step = math.hypot(first * math.sin(ellipse.angle), second * math.cos(ellipse.angle))
    if ellipse.width >= 2 * step * (1 - 1e-9):
        return []
    cells = _halfway(landscape, region)
    for axis, values in zip(landscape.axes, box, strict=True):
        cells = cells[cells[axis].between(values[0], values[-1])]
    facts = {**facts, "width": ellipse.width, "step": step}
    return [GridWarning(Kind.COARSE, facts, cells.reset_index(drop=True))]


def _unfinished(landscape: Landscape) -> list[GridWarning]:
    """Warnings of runs that diverged or were stopped."""
    points, warnings = landscape.points, []
    runs = round((points["diverged"] * points["seeds"]).sum())
    if runs:
        ranges = {}
        for axis in landscape.axes:
            hit, tried = points.loc[points["diverged"] > 0, axis], points[axis]
            low = hit.min() if hit.min() > tried.min() else None
            high = hit.max() if hit.max() < tried.max() else None
            ranges[axis] = (low, high)
        facts = {"runs": runs, "all_runs": landscape.runs, "range": ranges}
        warnings.append(GridWarning(Kind.DIVERGED, facts, _table(landscape, ())))
    if stopped := int((points["stopped"] > 0).sum()):
        facts = {"points": stopped, "all_points": len(points)}
        warnings.append(GridWarning(Kind.STOPPED, facts, _table(landscape, ())))
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
    return [GridWarning(Kind.MISSING, {}, _table(landscape, cells))] if cells else []


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
            warnings.append(GridWarning(Kind.FOR_ZERO, facts, _table(landscape, ())))
    return warnings


# --- settings to add ------------------------------------------------------------------------------


def _enclosed(trained: Mask, axis: int) -> Mask:
    """Whether a trained point comes at or before, and one at or after, each place of a line."""
    before = np.logical_or.accumulate(trained, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(trained, axis), axis=axis), axis)
    return before & after


def _halfway(landscape: Landscape, region: pd.DataFrame) -> pd.DataFrame:
    """Points halfway in log10 from those of the region to their eight neighbours."""
    ladders, places = [], []
    for axis in landscape.axes:
        tried = _tried(landscape, axis)
        # Even rungs are the tried values, odd ones lie halfway between them.
        ladder = {2 * k: value for k, value in enumerate(tried)}
        for k, pair in enumerate(zip(tried[:-1], tried[1:], strict=True)):
            # Nothing lies halfway to 0.
            for value in _proposed([np.log10(pair).mean()], tried) if pair[0] > 0 else ():
                ladder[2 * k + 1] = value
        ladders.append(ladder)
        places.append(2 * np.searchsorted(tried, region[axis]))
    rungs = {
        tuple(np.add(place, step))
        for place in zip(*places, strict=True)
        for step in product((-1, 0, 1), repeat=len(ladders))
        if any(step)
    }
    cells = {
        tuple(ladder[k] for ladder, k in zip(ladders, rung, strict=True))
        for rung in rungs
        if all(k in ladder for ladder, k in zip(ladders, rung, strict=True))
    }
    return _table(landscape, cells)


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


def _table(landscape: Landscape, cells: Cells) -> pd.DataFrame:
    """Points by the axes as columns, sorted by them."""
    return pd.DataFrame(sorted(cells), columns=list(landscape.axes), dtype=float)
