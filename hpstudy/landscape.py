"""A table of runs as landscapes over two hyperparameters: optimum, region of interest."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.ellipse import Ellipse, confidence_ellipse
from hpstudy.errors import HpstudyError, unknown

AXES = ("lr", "weight_decay")
"""The thesis's hyperparameters: the one drawn upwards, then the one drawn across."""

# Means over seeds that are equal on paper differ in the last bits; so does `best - threshold`.
TOLERANCE = 1e-9
# Columns of `Landscape.points` beside its two axes.
FIELDS = ("value", "std", "seeds", "diverged", "stopped")
# Columns of tables that are no hyperparameters.
RESERVED = ("variant", "seed", "state", "top1", "top5", "best_top1", *FIELDS)


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Landscape:
    """Accuracy of one network over its grid of two hyperparameters.

    Attributes
    ----------
    variant : str
        The network: "unpruned", "uniform-0.6", ...
    metric : str
        Column the values come from; larger is better.
    points : DataFrame of shape (n_points, 7)
        The two axes and value, std, seeds, diverged, stopped. One row per grid point, sorted by
        the first axis, then the second. `value` is the mean over seeds, in the metric's unit; NaN
        where any seed has none. `std` is the sample standard deviation (n - 1) over seeds; NaN
        for a single seed. `seeds` counts the runs; `diverged` and `stopped` are the shares of
        them, in [0, 1], that diverged and that were stopped early because they could not reach
        the region of interest.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of the two hyperparameters, both logarithmic: the one drawn upwards, then the one
        drawn across.
    """

    variant: str
    metric: str
    points: pd.DataFrame
    axes: tuple[str, str] = AXES

    @property
    def best(self) -> float:
        """Highest value f(theta*) of equation 3.3; NaN where no point has a value."""
        return float(self.points["value"].max())

    @property
    def best_at(self) -> dict[str, float]:
        """Axis -> its value there; of ties the smallest on the first axis, then on the second.

        NaN where no point has a value.
        """
        top = self.points[self.points["value"] >= self.best - TOLERANCE]
        if top.empty:
            return dict.fromkeys(self.axes, math.nan)
        return {axis: float(top.iloc[0][axis]) for axis in self.axes}

    @property
    def on_edge(self) -> bool:
        """Whether the best point has the least or greatest value of an axis of the grid.

        The optimum may then lie outside. Points without a value count as grid: a run that
        diverged beyond the best point does bound it.
        """
        return any(
            at in (self.points[axis].min(), self.points[axis].max())
            for axis, at in self.best_at.items()
        )

    @property
    def runs(self) -> int:
        """Runs of all points together."""
        return int(self.points["seeds"].sum())

    @property
    def seeds(self) -> int:
        """Most seeds at any point."""
        return int(self.points["seeds"].max())

    def inside(self, threshold: float) -> np.ndarray:
        """Which points lie in the region of interest: at most `threshold` below the best.

        Parameters
        ----------
        threshold : float
            In the metric's unit, at least 0; the thesis uses 0.5 and 1.0 percentage points.

        Returns
        -------
        ndarray of bool, shape (n_points,)
            In the order of `points`; a point without a value is never in it.

        Raises
        ------
        HpstudyError
            If the threshold is negative or not finite.

        References
        ----------
        Thesis, section 3.3.1, equation 3.3.
        """
        if not (math.isfinite(threshold) and threshold >= 0):
            raise HpstudyError(f"a region of interest needs a threshold of 0 or more: {threshold}.")
        return self.points["value"].to_numpy(float) >= self.best - threshold - TOLERANCE

    def roi(self, threshold: float) -> pd.DataFrame:
        """Region of interest (equation 3.3): the rows of `points` that are `inside`."""
        return self.points[self.inside(threshold)].reset_index(drop=True)

    def ellipse(self, threshold: float, multiple: float = 2.0) -> Ellipse | None:
        """Ellipse of the region of interest (section 3.3.1), or None below five points."""
        inside = self.roi(threshold)
        return confidence_ellipse(*(inside[axis] for axis in self.axes), multiple)

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values as a matrix for contour plots.

        Returns
        -------
        first : ndarray of shape (n_first,)
            Values of the first axis, increasing.
        second : ndarray of shape (n_second,)
            Values of the second axis, increasing.
        values : ndarray of shape (n_second, n_first)
            Values in the metric's unit; NaN where not measured or without a value.
        """
        square = self.points.pivot(index=self.axes[1], columns=self.axes[0], values="value")
        first, second = square.columns, square.index
        return first.to_numpy(float), second.to_numpy(float), square.to_numpy(float)


def grid_values(values: pd.Series) -> pd.Series:
    """Values, each replaced by the first one with its nine leading digits.

    So 0.1 and 0.1000000001 are one grid point, and keep a value that the table holds.
    """
    return values.groupby(nine_digits(values)).transform("first")


def nine_digits(values: pd.Series) -> pd.Series:
    """Text of nine significant digits, equal for values that only floats make differ."""
    return values.map(lambda value: f"{value:.9g}")


def landscapes(
    table: pd.DataFrame,
    metric: str = "top1",
    dense: str = "unpruned",
    axes: tuple[str, str] = AXES,
) -> dict[str, Landscape]:
    """Landscapes of all networks of a table of runs.

    Parameters
    ----------
    table : DataFrame
        One row per run with the columns variant, the two axes and the metric; columns `diverged`
        and `stopped` are used where there are any. Without the former, a run without a value
        that was not stopped counts as diverged.
    metric : str, default "top1"
        Column of which larger is better; NaN for a run without a value.
    dense : str, default "unpruned"
        Variant of the dense network.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of two hyperparameters, positive and finite, as `Landscape.axes`.

    Returns
    -------
    dict of str to Landscape
        By variant, the dense network first, the others in order of appearance.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing, the metric is a loss, or the axes are not two
        columns of positive, finite numbers.

    References
    ----------
    Thesis, section 3.3.
    """
    check_axes(axes)
    for column in ("variant", *axes, metric):
        if column not in table.columns:
            raise unknown("column", column, table.columns)
    if metric.endswith("loss"):
        raise HpstudyError(f"a landscape's best value is its largest, so {metric!r} cannot be one.")
    variants = [str(name) for name in table["variant"].unique()]
    if dense not in variants:
        raise unknown("variant for the dense network", dense, variants)
    value = table[metric].astype(float)
    stopped = _truths(table, "stopped", pd.Series(False, index=table.index))
    diverged = _truths(table, "diverged", value.isna() & ~stopped)
    runs = pd.DataFrame(
        {
            "variant": table["variant"].astype(str),
            **{axis: grid_values(_positive(table[axis].astype(float))) for axis in axes},
            "value": value,
            "diverged": diverged.astype(float),
            "stopped": stopped.astype(float),
        }
    )
    order = [dense] + [name for name in variants if name != dense]
    networks = {name: runs[runs["variant"] == name] for name in order}
    return {
        name: Landscape(name, metric, _points(one, axes), axes) for name, one in networks.items()
    }


def check_axes(axes: tuple[str, str]) -> None:
    """Refuse axes that are not two different columns, or that bear the name of no hyperparameter.

    Raises
    ------
    HpstudyError
        Names them.
    """
    if len(axes) != 2 or axes[0] == axes[1]:
        raise HpstudyError(f"a landscape has two different axes, not {', '.join(axes)}.")
    for axis in axes:
        if not axis or not axis.isprintable() or axis in RESERVED:
            raise HpstudyError(
                f"the axis {axis!r} is none: an axis is a hyperparameter, called otherwise than "
                f"{', '.join(RESERVED)}."
            )


def _positive(values: pd.Series) -> pd.Series:
    """Values themselves, if they can lie on a logarithmic axis."""
    bad = values[~(np.isfinite(values) & (values > 0))]
    if len(bad):
        raise HpstudyError(f"{values.name} is {bad.iloc[0]:g}, but must be positive and finite.")
    return values


def _truths(table: pd.DataFrame, column: str, otherwise: pd.Series) -> pd.Series:
    """Column of truth values; `otherwise` where the table has none."""
    if column not in table.columns:
        return otherwise
    # A column with blanks comes from a CSV as text, where bool("False") would be True.
    return table[column].astype(str).str.lower().isin(["true", "1", "1.0"])


def _points(runs: pd.DataFrame, axes: tuple[str, str]) -> pd.DataFrame:
    """Grid points of one network's runs, as `Landscape.points` describes them."""
    points = runs.groupby(list(axes), as_index=False).agg(
        value=("value", "mean"),
        std=("value", "std"),
        seeds=("value", "size"),
        diverged=("diverged", "mean"),
        stopped=("stopped", "mean"),
        measured=("value", "count"),
    )
    # A mean over the seeds that happened to survive would flatter the point.
    points.loc[points["measured"] < points["seeds"], ["value", "std"]] = np.nan
    return points.drop(columns="measured")
