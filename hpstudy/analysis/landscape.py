"""A table of runs as landscapes over one or two hyperparameters."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import Array, Mask, Rows
from hpstudy.analysis.regions import Ellipse, fit_ellipse, roi
from hpstudy.config.grid import AXES, TOLERANCE, setting_key
from hpstudy.errors import HpstudyError, unknown

# Columns of `Landscape.points` in addition to its axes.
FIELDS = ("value", "std", "seeds", "diverged", "stopped")
GOALS = ("maximize", "minimize")
# Metrics of this project's own tables, which are in percent.
PERCENTAGES = ("top1", "best_top1", "top5")
# Columns of tables that are not hyperparameters.
RESERVED = ("variant", "seed", "state", "top1", "top5", "best_top1", *FIELDS)


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Landscape:
    """Metric of one network over its settings of one or two hyperparameters.

    `points` has a row per setting, sorted by the axes (the one drawn upwards, then the one drawn
    across), with the columns axes, value, std, seeds, diverged and stopped. `value` is the mean
    over seeds in the metric's unit, negated where the goal is to minimize it, and NaN where any
    seed has none. `std` is the sample standard deviation over seeds, NaN for a single one. `seeds`
    counts the runs; `diverged` and `stopped` are shares of them. `ceiling` is the best possible
    value, oriented as `value` is. `singles` are the runs behind the means: point (row of `points`),
    seed, and value; None where only means are known.
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
        """Factor from `value` to the metric."""
        return -1 if self.goal == "minimize" else 1

    @property
    def percent(self) -> bool:
        """Whether the metric is in percent."""
        return self.metric in PERCENTAGES or self.ceiling == 100.0

    @property
    def levels(self) -> pd.DataFrame:
        """Copy of `points` with `value` in the metric's own unit and direction."""
        # Adding 0.0 makes a zero of a negative zero.
        return self.points.assign(value=self.sign * self.points["value"] + 0.0)

    @cached_property
    def values(self) -> Array:
        """Column `value` of the points, of shape (n_points,)."""
        return np.asarray(self.points["value"], float)

    @cached_property
    def logs(self) -> Array:
        """Settings as log10, of shape (n_points, 2); NaN for a 0, and 0 for want of an axis."""
        values = self.points[list(self.axes)].to_numpy(float)
        logs = np.log10(np.where(values > 0, values, np.nan))
        return np.column_stack([logs, np.zeros((len(logs), 2 - logs.shape[1]))])

    @cached_property
    def keys(self) -> pd.MultiIndex:
        """Settings by the keys of their values, which are equal where only rounding differs."""
        return pd.MultiIndex.from_frame(self.points[list(self.axes)].apply(setting_keys))

    @cached_property
    def placed(self) -> Mask:
        """Which points have a place on all axes: no value is 0; of shape (n_points,)."""
        return np.asarray(np.isfinite(self.logs.sum(axis=1)))

    @cached_property
    def best(self) -> float:
        """Highest value f(theta*) of equation 3.3; NaN without one."""
        return float(self.points["value"].max())

    @property
    def ties(self) -> int:
        """Number of further settings that measured exactly as well as the best one."""
        return max(int((self.values >= self.best - TOLERANCE).sum()) - 1, 0)

    @property
    def best_at(self) -> dict[str, float]:
        """Values of the axes at the best, NaN without one; of ties the smallest first axis."""
        if math.isnan(self.best):
            return dict.fromkeys(self.axes, math.nan)
        return {axis: float(self.points[axis].iloc[self.best_row]) for axis in self.axes}

    @property
    def best_row(self) -> int:
        """Row of `best_at` among the points."""
        return int(np.flatnonzero(self.values >= self.best - TOLERANCE)[0])

    def ranked_row(self, rank: int) -> int | None:
        """Row of the point that measured best (rank 0), second best (1) and so on; None without."""
        if np.isfinite(self.values).sum() <= rank:
            return None
        others = np.delete(np.arange(len(self.values)), self.best_row)
        order = others[np.argsort(-self.values[others], kind="stable")]
        return self.best_row if rank == 0 else int(order[rank - 1])

    @property
    def on_edge(self) -> bool:
        """Whether the best point lies at one of the `ends`: the optimum may then lie outside."""
        return self.at_end(pd.DataFrame([self.best_at])) != []

    def at_end(self, settings: pd.DataFrame) -> list[str]:
        """Axes at whose `ends` any setting lies; `settings` has the axes as columns."""
        return [axis for axis in self.axes if settings[axis].isin(self.ends(axis)).any()]

    def ends(self, axis: str) -> set[float]:
        """Least and greatest value of an axis, diverged runs included; a least 0 is no end."""
        tried = self.points[axis]
        return {tried.min(), tried.max()} - {0.0}

    @property
    def runs(self) -> int:
        """Number of runs of all points together."""
        return int(self.points["seeds"].sum())

    @property
    def seeds(self) -> int:
        """Greatest number of seeds at any point."""
        return int(self.points["seeds"].max())

    def in_roi(self, threshold: float) -> Mask:
        """Which points lie in the region of interest (equation 3.3) of a threshold of 0 or more."""
        if not (math.isfinite(threshold) and threshold >= 0):
            raise HpstudyError(f"a region of interest needs a threshold of 0 or more: {threshold}.")
        return roi(self.values, threshold)

    def roi(self, threshold: float) -> pd.DataFrame:
        """Rows of `points` in the region of interest."""
        return self.points[self.in_roi(threshold)].reset_index(drop=True)

    def ellipse(self, threshold: float, multiple: float = 2.0) -> Ellipse | None:
        """Ellipse of the region of interest without values of 0; None below five points."""
        return fit_ellipse(self.logs[self.in_roi(threshold)], multiple)


def setting_keys(values: pd.Series) -> pd.Series:
    """Keys of values of one axis (`hpstudy.config.grid.setting_key`)."""
    return values.map(setting_key)


def unify_settings(values: pd.Series) -> pd.Series:
    """Values of one axis, each replaced by the first that is the same but for rounding."""
    return values.groupby(setting_keys(values)).transform("first")


def common_points(dense: Landscape, landscape: Landscape) -> tuple[Rows, Rows]:
    """Rows of two landscapes' points that are one setting at which both have a value.

    In the order of the first landscape's points. Refuses landscapes over different axes.
    """
    if dense.axes != landscape.axes:
        raise HpstudyError(
            f"{dense.variant!r} lies over {' x '.join(dense.axes)}, {landscape.variant!r} over "
            f"{' x '.join(landscape.axes)}; only landscapes over the same axes are compared."
        )
    rows = landscape.keys.get_indexer(dense.keys)
    both = ~np.isnan(dense.values) & ~np.isnan(landscape.values[rows]) & (rows >= 0)
    return np.flatnonzero(both), rows[both]


def landscapes(
    table: pd.DataFrame,
    metric: str = "top1",
    dense: str = "unpruned",
    axes: tuple[str, ...] = AXES,
    goal: str | None = None,
    ceiling: float | None = None,
) -> dict[str, Landscape]:
    """Landscapes of all networks of a table of runs, by variant, the dense network first.

    Parameters
    ----------
    table : DataFrame
        One row per run: variant, the axes, the metric, and, where known, seed, diverged, stopped.
        Without `diverged`, a run without a value that was not stopped counts as diverged. With
        columns `std` and `runs` a row is a setting: the metric is a mean, of so many runs of that
        sample standard deviation.
    metric : str, default "top1"
        Column of the values; NaN for a run without one.
    dense : str, default "unpruned"
        Variant of the dense network.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of one or two hyperparameters, finite and at least 0.
    goal : str, optional
        "maximize" (the default unless the metric is a loss by its name) or "minimize".
    ceiling : float, optional
        Best possible value in the metric's own unit; 100 for top1, best_top1 and top5.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing, the goal is invalid or is not given for a
        loss, or a value of an axis is negative or not finite.
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
    runs = table[list(axes)].astype(float)
    for axis, values in runs.items():
        for bad in values[~values.between(0, math.inf, inclusive="left")]:
            raise HpstudyError(f"{axis} is {bad:g}, but must be finite, and 0 or more.")
    sign = -1.0 if goal == "minimize" else 1.0
    if ceiling is None:
        ceiling = 100.0 if metric in PERCENTAGES else sign * math.inf
    names = table["variant"].astype(str)
    if dense not in set(names):
        raise unknown("variant for the dense network", dense, names.unique())
    stopped = _flags(table, "stopped", pd.Series(False, index=table.index))
    runs = runs.apply(unify_settings)
    runs["seed"] = table["seed"] if "seed" in table else 0
    runs["value"] = sign * table[metric].astype(float)
    runs["diverged"] = _flags(table, "diverged", runs["value"].isna() & ~stopped).astype(float)
    runs["stopped"] = stopped.astype(float)
    if means := {"std", "runs"} <= set(table.columns):
        runs = runs.assign(std=table["std"].astype(float), seeds=table["runs"].astype(int))
    result = {}
    for name in dict.fromkeys([dense, *names]):
        own = runs[names == name]
        points, singles = (_from_means(own, axes), None) if means else _from_runs(own, axes)
        singles = singles if "seed" in table else None
        result[name] = Landscape(name, metric, points, axes, goal, sign * ceiling, singles)
    return result


def check_axes(axes: tuple[str, ...]) -> None:
    """Refuse axes that are not one or two hyperparameters."""
    if not 1 <= len(set(axes)) == len(axes) <= 2:
        raise HpstudyError(
            f"a landscape has one axis or two different ones, not {', '.join(axes)}."
        )
    for axis in axes:
        if not axis or not axis.isprintable() or axis in RESERVED:
            raise HpstudyError(
                f"{axis!r} cannot be an axis: name the column of a hyperparameter, not "
                f"{', '.join(RESERVED)}."
            )


def _flags(table: pd.DataFrame, column: str, otherwise: pd.Series) -> pd.Series:
    """Column of truth values; `otherwise` where the table has none."""
    if column not in table.columns:
        return otherwise
    # A column with blanks comes from a CSV as text, where bool("False") would be True.
    return table[column].astype(str).str.lower().isin(["true", "1", "1.0"])


def _from_runs(runs: pd.DataFrame, axes: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`Landscape.points` and `singles` of one network's runs."""
    settings = runs.groupby(list(axes), as_index=False)
    points = settings.agg(
        value=("value", "mean"),
        std=("value", "std"),
        seeds=("value", "size"),
        diverged=("diverged", "mean"),
        stopped=("stopped", "mean"),
        measured=("value", "count"),
    )
    # A mean over the seeds that happened to survive would flatter the point.
    points.loc[points["measured"] < points["seeds"], ["value", "std"]] = np.nan
    singles = runs.assign(point=settings.ngroup())[["point", "seed", "value"]]
    singles = singles[points["value"].notna().to_numpy()[singles["point"]]]
    return points.drop(columns="measured"), singles.reset_index(drop=True)


def _from_means(rows: pd.DataFrame, axes: tuple[str, ...]) -> pd.DataFrame:
    """`Landscape.points` of one network whose rows are means."""
    if (again := rows.duplicated(list(axes))).any():
        at = ", ".join(f"{axis} {rows.loc[again.idxmax(), axis]:g}" for axis in axes)
        raise HpstudyError(f"a table of means has one row a setting, but {at} comes twice.")
    points = rows[[*axes, *FIELDS]].sort_values(list(axes), ignore_index=True)
    points.loc[points["seeds"] < 2, "std"] = np.nan
    return points
