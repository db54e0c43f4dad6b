"""Landscapes small enough to be worked by hand, and what a grid's warnings say of them."""

import numpy as np
import pandas as pd

from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.regions import fit_ellipse

# --- hills ----------------------------------------------------------------------------------------


def runs(rows, variant="unpruned"):
    """Table of runs from (lr, weight_decay, seed, top1)."""
    table = pd.DataFrame(rows, columns=["lr", "weight_decay", "seed", "top1"])
    return table.assign(variant=variant)


def landscape(rows):
    return landscapes(runs(rows))["unpruned"]


def square(values):
    """Landscape of a 3 x 3 grid; `values` in rows of equal lr, columns of equal weight decay."""
    lrs, decays = (0.01, 0.1, 1.0), (1e-4, 1e-3, 1e-2)
    return landscape(
        [(lr, wd, 0, values[i][j]) for i, lr in enumerate(lrs) for j, wd in enumerate(decays)]
    )


HILL = square([[90.0, 91.0, 90.0], [91.0, 92.0, 91.6], [90.0, 91.5, 89.0]])


# --- ellipses -------------------------------------------------------------------------------------


def ellipse_of(lr, decay, multiple=2.0):
    """Ellipse of points, by their values of the two axes."""
    return fit_ellipse(np.log10([lr, decay]).T, multiple)


# --- grids ----------------------------------------------------------------------------------------

LRS = (0.001, 0.01, 0.1, 1.0, 10.0)
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def one_run_each(rows, axes=("lr", "weight_decay"), **states):
    """Landscape of one run at each (first, second, value)."""
    table = pd.DataFrame(rows, columns=[*axes, "top1"]).assign(variant="unpruned", **states)
    return landscapes(table, axes=axes)["unpruned"]


def on_grid(values, lrs=LRS, decays=DECAYS, axes=("lr", "weight_decay")):
    """Landscape of rows of equal first axis; None where there was no run, NaN for diverged."""
    return one_run_each(
        [
            (lr, decay, value)
            for lr, row in zip(lrs, values, strict=True)
            for decay, value in zip(decays, row, strict=True)
            if value is not None
        ],
        axes,
    )


def marked(picture, **other):
    """Landscape drawn in five rows: * the best, X within 0.5 of it, ! diverged, blank no run."""
    level = {"X": 90.0, ".": 80.0, "!": np.nan, " ": None, "*": 90.1}
    return on_grid([[level[mark] for mark in row] for row in picture], **other)


def kinds(one, *thresholds):
    return [found.kind for found in grid_warnings(one, thresholds or (0.5,))]


def the(kind, one, threshold=0.5):
    (found,) = [each for each in grid_warnings(one, [threshold]) if each.kind == kind]
    return found


def cells(found):
    return [tuple(row) for row in found.cells.to_numpy()]


# Three values wide in every direction and inside the grid.
CLEAN = marked([".....", ".XXX.", ".X*X.", ".XXX.", "....."])
