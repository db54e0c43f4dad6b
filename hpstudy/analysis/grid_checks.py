"""Whether a grid can bear what is read off it: warnings, and the points that would settle them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from hpstudy.analysis.ellipse import MINIMUM_POINTS, Ellipse
from hpstudy.analysis.grid_cells import box_of, cell_table, halfway, holes, proposed, values_of
from hpstudy.analysis.landscape import Landscape
from hpstudy.config.words import axis_title
from hpstudy.errors import count


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Finding:
    """One reason to read a landscape with care.

    Attributes
    ----------
    kind : str
        "no value", "optimum on edge", "region on edge", "few points", "coarse", "diverged",
        "stopped", "missing", "for zero" or "scattered".
    sentence : str
        What is the matter, for a reader.
    cells : DataFrame of shape (n_cells, n_axes)
        Points to add, by the axes and sorted by them; empty where adding points is no remedy.
    """

    kind: str
    sentence: str
    cells: pd.DataFrame


def warnings(landscape: Landscape, thresholds: Iterable[float]) -> list[Finding]:
    """What speaks against trusting the optimum, the regions of interest and their ellipses.

    - optimum on edge, region on edge: it has the least or greatest value of an axis, so that it may
      lie, or go on, beyond. Nothing lies below a value of 0, and where there is one, none of the
      least values is an edge. To add: one more value on each of these sides, at the axis's median
      distance in log10, crossed with all values of the other axis (the new ones too, so that a
      rectangle stays one).
    - few points: the region has fewer than five, without those at a value of 0, too few for an
      ellipse (thesis, section 4.1.1). To add: what lies halfway in log10 from the region's points
      to their eight neighbours; to two over one axis.
    - coarse: the ellipse's width of 2 x 2 deviations is below two grid steps, measured along its
      short axis. A grid of step h tells a position only to +- h / 2, which is a variance of h^2 /
      12; a region two steps wide has a deviation of h / 2 and so a variance of h^2 / 4. Below
      that, more than a third of the spread seen across the region may be the grid's own. To add:
      the halfway points again, those inside the region's bounding box; where the region has a
      single value on an axis, the box reaches to the next ones. Over one axis five points are
      never that narrow.
    - diverged, stopped: how many runs or points, and where; nothing to add.
    - missing: combinations of the grid's values that lie between points of the grid along both
      axes but have no runs, or no value although nothing diverged or was stopped. A grid that is
      finer in one place, or leaves out a corner, misses nothing; nor does it at a value of 0.
    - for zero: the least value of an axis without a 0 lies more than two median steps below the
      next one, as one does that was written in the stead of 0.
    - scattered: over two axes, most points share a value with another on one axis at most, and
      most combinations of their values were not tried, as in the table of a random search. Rows
      and columns mean little there: nothing is called coarse or missing, and no points are
      proposed.
    - no value: no point has one; then neither optimum nor regions are judged.

    Proposed values have six significant digits, as in `hpstudy.config.grid`, and are whole numbers on an
    axis that has no others (such as a batch size).

    Parameters
    ----------
    landscape : Landscape
    thresholds : iterable of float
        Of the regions of interest to judge, in the metric's unit.

    Returns
    -------
    list of Finding
        In the order above; empty for a grid with which nothing is the matter.

    Raises
    ------
    HpstudyError
        If a threshold is negative or not finite.
    """
    regions = {threshold: landscape.roi(threshold) for threshold in sorted(thresholds)}
    scattered = is_scattered(landscape)
    found = []
    if math.isnan(landscape.best):
        sentence = "No point has a value, so there is neither an optimum nor a region of interest."
        found.append(Finding("no value", sentence, cell_table(landscape, ())))
    else:
        best = pd.DataFrame([landscape.best_at])
        doubt = "a better one may lie beyond"
        found += _on_edge(landscape, best, "optimum on edge", "The optimum is at", doubt)
        for threshold, region in regions.items():
            name = f"The region of interest within {threshold:g} of the best"
            doubt = "it may go on beyond"
            edges = _on_edge(landscape, region, "region on edge", f"{name} reaches", doubt)
            # A wider region touches all that a narrower one does; only more is worth a word.
            found += [one for one in edges if not any(one.cells.equals(x.cells) for x in found)]
            ellipse = landscape.ellipse(threshold)
            if ellipse is None:
                found.append(_few_points(landscape, region, name))
            elif not scattered:
                found += _coarse(landscape, region, name, ellipse)
    found += _diverged(landscape)
    found += _stopped(landscape)
    if scattered:
        found = [replace(one, cells=one.cells.head(0)) for one in found]
        sentence = (
            f"Most of the {len(landscape.points)} points are scattered instead of on a grid, so "
            "edges are those of the tried range and no points to add are proposed."
        )
        return [*found, Finding("scattered", sentence, cell_table(landscape, ()))]
    return found + _missing(landscape) + _for_zero(landscape)


def finding_table(landscapes: dict[str, Landscape], thresholds: Iterable[float]) -> pd.DataFrame:
    """Findings about all networks, for a page.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        By variant.
    thresholds : iterable of float
        As for `warnings`.

    Returns
    -------
    DataFrame of shape (n_findings, 4)
        variant, kind, sentence, and in `cells` the number of points to add.

    Raises
    ------
    HpstudyError
        If a threshold is negative or not finite.
    """
    thresholds = list(thresholds)
    rows = [
        (variant, one.kind, one.sentence, len(one.cells))
        for variant, landscape in landscapes.items()
        for one in warnings(landscape, thresholds)
    ]
    return pd.DataFrame(rows, columns=["variant", "kind", "sentence", "cells"])


def is_scattered(landscape: Landscape) -> bool:
    """Whether most points are on no grid; a grid that is half trained is still one."""
    points = landscape.points
    if len(landscape.axes) == 1:
        return False
    alone = [~points[axis].duplicated(keep=False) for axis in landscape.axes]
    crossings = math.prod(points[axis].nunique() for axis in landscape.axes)
    return bool((alone[0] | alone[1]).mean() > 0.5 and 2 * len(points) < crossings)


def _on_edge(
    landscape: Landscape, inside: pd.DataFrame, kind: str, start: str, doubt: str
) -> list[Finding]:
    """Sides of the grid on which `inside` has points, and the rows and columns beyond them."""
    ends, grown, values = [], [], [values_of(landscape, axis) for axis in landscape.axes]
    for axis, tried in zip(landscape.axes, values, strict=True):
        if len(tried) == 1:
            ends.append(f"the only {axis_title(axis)} ({tried[0]:.3g})")
            grown.append(set(tried))
            continue
        steps, beyond = np.diff(np.log10(tried[tried > 0])), []
        for end, word, sign in ((tried[0], "lowest", -1), (tried[-1], "highest", 1)):
            if end > 0 and (inside[axis] == end).any():
                ends.append(f"the {word} {axis_title(axis)} ({end:.3g})")
                # A 0 and a single value beside it tell no step.
                beyond += [math.log10(end) + sign * np.median(steps)] if len(steps) else []
        grown.append({*tried, *proposed(beyond, tried)})
    if not ends:
        return []
    cells = set(product(*grown)) - set(product(*values))
    sentence = f"{start} {' and '.join(ends)} that was tried: {doubt}."
    return [Finding(kind, sentence, cell_table(landscape, cells))]


def _few_points(landscape: Landscape, region: pd.DataFrame, name: str) -> Finding:
    placed = int((region[list(landscape.axes)] > 0).all(axis=1).sum())
    beside = f" and {len(region) - placed} at a value of 0" if placed < len(region) else ""
    what = "an ellipse" if len(landscape.axes) == 2 else "its spread"
    sentence = (
        f"{name} has {count(placed, 'point')} of the grid{beside}; "
        f"{what} takes {MINIMUM_POINTS} or more."
    )
    return Finding("few points", sentence, halfway(landscape, region))


def _coarse(
    landscape: Landscape, region: pd.DataFrame, name: str, ellipse: Ellipse
) -> list[Finding]:
    if len(landscape.axes) == 1:
        return []
    region = region[(region[list(landscape.axes)] > 0).all(axis=1)]
    box = [box_of(landscape, region, axis) for axis in landscape.axes]
    if any(len(values) == 1 for values in box):
        # One value on a whole axis: the edge that it lies on says so.
        return []
    first, second = (np.median(np.diff(np.log10(values))) for values in box)
    # The short axis points along (-sin, cos).
    step = math.hypot(first * math.sin(ellipse.angle), second * math.cos(ellipse.angle))
    if ellipse.width >= 2 * step * (1 - 1e-9):
        return []
    sentence = (
        f"{name} is {ellipse.width:.2g} decades wide, less than two steps of the grid in that "
        f"direction ({2 * step:.2g}): its ellipse may show the grid more than the region."
    )
    cells = halfway(landscape, region)
    for axis, values in zip(landscape.axes, box, strict=True):
        cells = cells[cells[axis].between(values[0], values[-1])]
    return [Finding("coarse", sentence, cells.reset_index(drop=True))]


def _diverged(landscape: Landscape) -> list[Finding]:
    points = landscape.points
    runs, lost = points["seeds"].sum(), (points["diverged"] * points["seeds"]).sum()
    if lost == 0:
        return []
    where = []
    for axis in landscape.axes:
        hit, tried = points.loc[points["diverged"] > 0, axis], points[axis]
        low, high = hit.min() > tried.min(), hit.max() < tried.max()
        if high and hit.max() == 0:
            where.append(f"{axis_title(axis)} 0")
        elif low and high and hit.min() == hit.max():
            where.append(f"{axis_title(axis)} {hit.min():.3g}")
        elif low and high:
            where.append(f"{axis_title(axis)} {hit.min():.3g} to {hit.max():.3g}")
        elif low:
            where.append(f"{axis_title(axis)} {hit.min():.3g} or more")
        elif high:
            where.append(f"{axis_title(axis)} {hit.max():.3g} or less")
    sentence = (
        f"{lost:.0f} of {runs} runs diverged ({100 * lost / runs:.2g} %), "
        f"{'all at ' + ' and '.join(where) if where else 'from one end of the grid to the other'}."
    )
    return [Finding("diverged", sentence, cell_table(landscape, ()))]


def _stopped(landscape: Landscape) -> list[Finding]:
    stopped = int((landscape.points["stopped"] > 0).sum())
    if stopped == 0:
        return []
    sentence = (
        f"At {stopped} of {len(landscape.points)} points runs were stopped early, as they could "
        "not reach the region of interest; these points have no value."
    )
    return [Finding("stopped", sentence, cell_table(landscape, ()))]


def _missing(landscape: Landscape) -> list[Finding]:
    points, axes = landscape.points, list(landscape.axes)
    bare = points["value"].isna() & (points["diverged"] == 0) & (points["stopped"] == 0)
    cells = set(points.loc[bare, axes].itertuples(index=False, name=None))
    if len(axes) == 2:
        cells |= holes(points[landscape.placed], axes)
    if not cells:
        return []
    gaps = count(len(cells), "point")
    sentence = f"The grid has gaps: {gaps} without a result among those that have one."
    return [Finding("missing", sentence, cell_table(landscape, cells))]


def _for_zero(landscape: Landscape) -> list[Finding]:
    found = []
    # Nobody trains at a learning rate of 0.
    for axis in [axis for axis in landscape.axes if axis != "lr"]:
        tried = values_of(landscape, axis)
        if len(tried) < 3 or tried[0] == 0:
            continue
        first, *steps = np.diff(np.log10(tried))
        if first <= 2 * np.median(steps) * (1 + 1e-9):
            continue
        title = axis_title(axis)
        sentence = (
            f"The lowest {title} ({tried[0]:.3g}) lies {first:.2g} decades below the next one "
            f"({tried[1]:.3g}), more than two steps of the grid: if it stands for 0, write 0, "
            "which is kept, and is in no ellipse and no shift."
        )
        found.append(Finding("for zero", sentence, cell_table(landscape, ())))
    return found
