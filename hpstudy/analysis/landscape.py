"""A table of runs as landscapes over one or two hyperparameters: optimum, region of interest."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from hpstudy.analysis.ellipse import Ellipse, confidence_ellipse
from hpstudy.config.grid import AXES
from hpstudy.errors import HpstudyError, unknown

# Means over seeds that are equal on paper differ in the last bits; so does `best - threshold`.
TOLERANCE = 1e-9
# Columns of `Landscape.points` beside its axes.
FIELDS = ("value", "std", "seeds", "diverged", "stopped")
GOALS = ("maximize", "minimize")
# Metrics of this project's own tables, which are in percent.
PERCENTAGES = ("top1", "best_top1", "top5")
# Columns of tables that are no hyperparameters.
RESERVED = ("variant", "seed", "state", "top1", "top5", "best_top1", *FIELDS)


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Landscape:
    """Metric of one network over its settings of one or two hyperparameters.

    Attributes
    ----------
    variant : str
        The network: "unpruned", "uniform-0.6", ...
    metric : str
        Column the values come from.
    points : DataFrame of shape (n_points, 5 + n_axes)
        The axes and value, std, seeds, diverged, stopped. One row per setting, sorted by the
        first axis, then the second. `value` is the mean over seeds, in the metric's unit, and
        oriented so that larger is better: minus the metric where the goal is to minimize it. It is
        NaN where any seed has none. `std` is the sample standard deviation (n - 1) over seeds; NaN
        for a single seed. `seeds` counts the runs; `diverged` and `stopped` are the shares of
        them, in [0, 1], that diverged and that were stopped early because they could not reach
        the region of interest.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of the hyperparameters, one or two, all logarithmic: the one drawn upwards, then
        the one drawn across. A value may be 0, which has no place on the axis.
    goal : str, optional
        "maximize" or "minimize": which values of the metric are better. If not given it is
        maximized, unless its name says that it is a loss.
    ceiling : float, optional
        Best value that the metric can have, oriented as `value` is: 100 for accuracies in
        percent, 0 for errors; infinite where there is none.
    singles : DataFrame of shape (n_runs, 3), optional
        The runs behind the means: point (row of `points`), seed, and value, oriented alike. None
        where only means are known.
    """

    variant: str
    metric: str
    points: pd.DataFrame
    axes: tuple[str, ...] = AXES
    goal: str = "maximize"
    ceiling: float = math.inf
    singles: pd.DataFrame | None = None

    @property
    def sign(self) -> int:
        """What turns `value` into the metric itself: 1, or -1 where the goal is to minimize."""
        return -1 if self.goal == "minimize" else 1

    @cached_property
    def places(self) -> np.ndarray:
        """Settings as log10, of shape (n_points, 2).

        NaN where a value is 0; the second column is 0 throughout where there is one axis.
        """
        values = self.points[list(self.axes)].to_numpy(float)
        logs = np.log10(np.where(values > 0, values, np.nan))
        return np.column_stack([logs, np.zeros((len(logs), 2 - logs.shape[1]))])

    @cached_property
    def placed(self) -> np.ndarray:
        """Which points have a place on all axes, of shape (n_points,): no value is 0."""
        return np.isfinite(self.places).all(axis=1)

    @property
    def ties(self) -> int:
        """Settings that measured exactly as well as the best one, which is not counted."""
        return max(int((self.points["value"] >= self.best - TOLERANCE).sum()) - 1, 0)

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
        diverged beyond the best point does bound it, and so does a value of 0, which has nothing
        below it.
        """
        return self.at_end(pd.DataFrame([self.best_at])) != []

    def at_end(self, settings: pd.DataFrame) -> list[str]:
        """Axes at whose least (unless that is 0) or greatest value any of some settings lies.

        Parameters
        ----------
        settings : DataFrame
            Rows with the axes as columns, such as `roi` returns them.
        """
        found = []
        for axis in self.axes:
            tried = self.points[axis]
            ends = {tried.min(), tried.max()} - {0.0}
            if settings[axis].isin(ends).any():
                found.append(axis)
        return found

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
        """Ellipse of the region of interest (section 3.3.1), or None below five points.

        Settings with a value of 0 are left out. With one axis its width is 0.
        """
        inside = self.inside(threshold) & self.placed
        return confidence_ellipse(*(10.0 ** self.places[inside]).T, multiple)

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
    axes: tuple[str, ...] = AXES,
    goal: str | None = None,
    ceiling: float | None = None,
) -> dict[str, Landscape]:
    """Landscapes of all networks of a table of runs.

    Parameters
    ----------
    table : DataFrame
        One row per run with the columns variant, the axes and the metric; columns `seed`,
        `diverged` and `stopped` are used where there are any. Without `diverged`, a run without a
        value that was not stopped counts as diverged. With columns `std` and `runs` a row is a
        setting: the metric is a mean, of so many runs of that sample standard deviation.
    metric : str, default "top1"
        Column of the values; NaN for a run without one.
    dense : str, default "unpruned"
        Variant of the dense network.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of one or two hyperparameters, as `Landscape.axes`; 0 or positive, and finite.
    goal : str, optional
        "maximize" or "minimize": which values of the metric are better. If not given it is
        maximized, unless its name says that it is a loss.
    ceiling : float, optional
        Best value that the metric can have, in the metric's own unit: 100 for accuracies in
        percent, 0 for an error. If not given there is none, but for top1, best_top1 and top5.

    Returns
    -------
    dict of str to Landscape
        By variant, the dense network first, the others in order of appearance.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing, the goal is none, or is not given for a loss,
        or a value of an axis is negative or not finite.

    References
    ----------
    Thesis, section 3.3.
    """
    check_axes(axes)
    for column in ("variant", *axes, metric):
        if column not in table.columns:
            raise unknown("column", column, table.columns)
    if goal is None and metric.endswith("loss"):
        raise HpstudyError(f"{metric!r} is a loss by its name; say goal='minimize'.")
    goal = goal or "maximize"
    if goal not in GOALS:
        raise unknown("goal", goal, GOALS)
    sign = -1.0 if goal == "minimize" else 1.0
    if ceiling is None:
        ceiling = 100.0 if metric in PERCENTAGES else sign * math.inf
    variants = [str(name) for name in table["variant"].unique()]
    if dense not in variants:
        raise unknown("variant for the dense network", dense, variants)
    value = sign * table[metric].astype(float)
    stopped = _truths(table, "stopped", pd.Series(False, index=table.index))
    diverged = _truths(table, "diverged", value.isna() & ~stopped)
    runs = pd.DataFrame(
        {
            "variant": table["variant"].astype(str),
            **{axis: grid_values(_checked(table[axis].astype(float))) for axis in axes},
            "seed": table["seed"] if "seed" in table else 0,
            "value": value,
            "diverged": diverged.astype(float),
            "stopped": stopped.astype(float),
        }
    )
    means = {"std", "runs"} <= set(table.columns)
    if means:
        runs = runs.assign(std=table["std"].astype(float), runs=table["runs"].astype(int))
    order = [dense] + [name for name in variants if name != dense]
    networks = {name: runs[runs["variant"] == name] for name in order}
    found = {}
    for name, one in networks.items():
        points = _means(one, axes) if means else _points(one, axes)
        singles = None if means or "seed" not in table else _singles(one, points, axes)
        found[name] = Landscape(name, metric, points, axes, goal, sign * ceiling, singles)
    return found


def check_axes(axes: tuple[str, ...]) -> None:
    """Refuse axes that are not one or two columns, or that bear the name of no hyperparameter.

    Raises
    ------
    HpstudyError
        Names them.
    """
    if not 1 <= len(axes) <= 2 or len(set(axes)) < len(axes):
        raise HpstudyError(
            f"a landscape has one axis or two different ones, not {', '.join(axes)}."
        )
    for axis in axes:
        if not axis or not axis.isprintable() or axis in RESERVED:
            raise HpstudyError(
                f"the axis {axis!r} is none: an axis is a hyperparameter, called otherwise than "
                f"{', '.join(RESERVED)}."
            )


def _checked(values: pd.Series) -> pd.Series:
    """Values themselves, if they are hyperparameters: 0, or with a place on a logarithmic axis."""
    bad = values[~(np.isfinite(values) & (values >= 0))]
    if len(bad):
        raise HpstudyError(f"{values.name} is {bad.iloc[0]:g}, but must be finite, and 0 or more.")
    return values


def _truths(table: pd.DataFrame, column: str, otherwise: pd.Series) -> pd.Series:
    """Column of truth values; `otherwise` where the table has none."""
    if column not in table.columns:
        return otherwise
    # A column with blanks comes from a CSV as text, where bool("False") would be True.
    return table[column].astype(str).str.lower().isin(["true", "1", "1.0"])


def _points(runs: pd.DataFrame, axes: tuple[str, ...]) -> pd.DataFrame:
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


def _means(rows: pd.DataFrame, axes: tuple[str, ...]) -> pd.DataFrame:
    """Grid points of one network whose rows are means."""
    again = rows.duplicated(list(axes))
    if again.any():
        at = ", ".join(f"{axis} {rows.loc[again.idxmax(), axis]:g}" for axis in axes)
        raise HpstudyError(f"a table of means has one row a setting, but {at} comes twice.")
    points = rows.rename(columns={"runs": "seeds"})[[*axes, *FIELDS]]
    points.loc[points["seeds"] < 2, "std"] = np.nan
    return points.sort_values(list(axes), ignore_index=True)


def _singles(runs: pd.DataFrame, points: pd.DataFrame, axes: tuple[str, ...]) -> pd.DataFrame:
    """Runs of the points that have a value, as `Landscape.singles` describes them."""
    place = pd.MultiIndex.from_frame(points[list(axes)])
    at = place.get_indexer(pd.MultiIndex.from_frame(runs[list(axes)]))
    found = runs.assign(point=at)[["point", "seed", "value"]]
    return found[points["value"].notna().to_numpy()[at]].reset_index(drop=True)
