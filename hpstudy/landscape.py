"""A table of runs as landscapes over lr x weight decay: optimum, region of interest, ellipse."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.errors import HpstudyError, unknown

MINIMUM_POINTS = 5
"""Fewest points an ellipse is fitted to (thesis, section 4.1.1 and Table 4.1)."""

# Means over seeds that are equal on paper differ in the last bits; so does `best - threshold`.
TOLERANCE = 1e-9
# Eigenvalues this much smaller than the largest one are rounding, not spread.
DEGENERATE = 1e-12


@dataclass(frozen=True)
class Ellipse:
    """Standard deviation ellipse of points in log10 space (thesis, section 3.3.1).

    Attributes
    ----------
    length, width : float
        Longest and shortest diameter, in decades; the width is 0 for collinear points.
    lr, weight_decay : float
        Centre, as log10 of the learning rate and of the weight decay.
    angle : float
        Of the long axis against the log10 lr axis, in radians, in (-pi/2, pi/2]; 0 for a circle.
    multiple : float
        Standard deviations from the centre to the outline; 2 in the thesis.
    n : int
        Points it was fitted to.
    """

    length: float
    width: float
    lr: float
    weight_decay: float
    angle: float
    multiple: float
    n: int

    def outline(self, points: int = 100) -> tuple[np.ndarray, np.ndarray]:
        """Log10 lr and log10 weight decay of the closed outline, each of shape (points,)."""
        turn = np.linspace(0.0, 2.0 * np.pi, points)
        along, across = self.length / 2 * np.cos(turn), self.width / 2 * np.sin(turn)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (
            self.lr + cos * along - sin * across,
            self.weight_decay + sin * along + cos * across,
        )


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Landscape:
    """Accuracy of one network over its grid of lr x weight decay.

    Attributes
    ----------
    variant : str
        The network: "unpruned", "uniform-0.6", ...
    metric : str
        Column the values come from; larger is better.
    points : DataFrame of shape (n_points, 7)
        One row per grid point, sorted by lr, then weight_decay. `value` is the mean over seeds, in
        the metric's unit; NaN where any seed has none. `std` is the sample standard deviation
        (n - 1) over seeds; NaN for a single seed. `seeds` counts the runs; `diverged` and
        `stopped` are the shares of them, in [0, 1], that diverged and that were stopped early
        because they could not reach the region of interest.
    """

    variant: str
    metric: str
    points: pd.DataFrame

    @property
    def best(self) -> float:
        """Highest value f(theta*) of equation 3.3; NaN where no point has a value."""
        return float(self.points["value"].max())

    @property
    def best_at(self) -> dict[str, float]:
        """Its lr and weight_decay; of ties the smallest lr, then weight_decay; NaN without any."""
        top = self.points[self.points["value"] >= self.best - TOLERANCE]
        if top.empty:
            return {"lr": math.nan, "weight_decay": math.nan}
        return {axis: float(top.iloc[0][axis]) for axis in ("lr", "weight_decay")}

    @property
    def on_edge(self) -> bool:
        """Whether the best point has the least or greatest lr or weight decay of the grid.

        The optimum may then lie outside. Points without a value count as grid: a run that
        diverged beyond the best point does bound it.
        """
        axes = self.points[["lr", "weight_decay"]]
        return any(at in (axes[axis].min(), axes[axis].max()) for axis, at in self.best_at.items())

    @property
    def seeds(self) -> int:
        """Most seeds at any point."""
        return int(self.points["seeds"].max())

    def roi(self, threshold: float) -> pd.DataFrame:
        """Region of interest: the points at most `threshold` below the best (equation 3.3).

        Parameters
        ----------
        threshold : float
            In the metric's unit, at least 0; the thesis uses 0.5 and 1.0 percentage points.

        Returns
        -------
        DataFrame of shape (n_roi, 7)
            Rows of `points`, in their order; points without a value are never in it.

        Raises
        ------
        HpstudyError
            If the threshold is negative or not finite.
        """
        if not (math.isfinite(threshold) and threshold >= 0):
            raise HpstudyError(f"a region of interest needs a threshold of 0 or more: {threshold}.")
        inside = self.points["value"] >= self.best - threshold - TOLERANCE
        return self.points[inside].reset_index(drop=True)

    def ellipse(self, threshold: float, multiple: float = 2.0) -> Ellipse | None:
        """Ellipse of the region of interest (section 3.3.1), or None below five points."""
        inside = self.roi(threshold)
        return confidence_ellipse(inside["lr"], inside["weight_decay"], multiple)

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values as a matrix for contour plots.

        Returns
        -------
        lr : ndarray of shape (n_lr,)
            Learning rates, increasing.
        weight_decay : ndarray of shape (n_weight_decay,)
            Weight decays, increasing.
        values : ndarray of shape (n_weight_decay, n_lr)
            Values in the metric's unit; NaN where not measured or without a value.
        """
        square = self.points.pivot(index="weight_decay", columns="lr", values="value")
        lr, weight_decay = square.columns, square.index
        return lr.to_numpy(float), weight_decay.to_numpy(float), square.to_numpy(float)


def confidence_ellipse(lr, weight_decay, multiple: float = 2.0) -> Ellipse | None:
    """Ellipse `multiple` standard deviations around the mean of points in log10 space.

    The diameters are 2 * multiple * sqrt(eigenvalue) of the covariance, so 4 sqrt(eigenvalue) at
    the thesis's multiple of 2. The thesis does not say which covariance it takes; here it is the
    sample covariance, which divides by n - 1. With n it would be shorter by sqrt((n - 1) / n):
    11 % for five points, 1 % for fifty.

    Parameters
    ----------
    lr, weight_decay : array-like of shape (n,)
        The points; positive and finite.
    multiple : float, default 2.0
        Standard deviations; `confidence_level` gives the share of a Gaussian left outside.

    Returns
    -------
    Ellipse or None
        None below `MINIMUM_POINTS` points.

    Raises
    ------
    HpstudyError
        If a coordinate is not positive and finite, or the multiple is not positive.

    References
    ----------
    Thesis, section 3.3.1, Table 3.5, and section 4.1.1 for the five points.
    """
    where = np.array([lr, weight_decay], dtype=float)
    if not (np.isfinite(where).all() and (where > 0).all()):
        raise HpstudyError("an ellipse in log10 space needs positive, finite lr and weight_decay.")
    if not (math.isfinite(multiple) and multiple > 0):
        raise HpstudyError(f"an ellipse needs a positive multiple of deviations: {multiple}.")
    n = where.shape[1]
    if n < MINIMUM_POINTS:
        return None
    logs = np.log10(where)
    (var_lr, covariance), (_, var_weight_decay) = np.cov(logs)
    # Closed form of the 2 x 2 eigenproblem: the eigenvalues are middle +- radius.
    middle = (var_lr + var_weight_decay) / 2
    difference = (var_lr - var_weight_decay) / 2
    radius = math.hypot(difference, covariance)
    if radius <= DEGENERATE * middle:
        radius = difference = covariance = 0.0
    minor = middle - radius
    if minor <= DEGENERATE * middle:
        minor = 0.0
    angle = math.atan2(covariance, difference) / 2
    if angle <= -math.pi / 2:
        angle += math.pi
    return Ellipse(
        length=2 * multiple * math.sqrt(middle + radius),
        width=2 * multiple * math.sqrt(minor),
        lr=float(logs[0].mean()),
        weight_decay=float(logs[1].mean()),
        angle=angle,
        multiple=float(multiple),
        n=n,
    )


def confidence_level(multiple: float) -> float:
    """Share alpha of a bivariate Gaussian outside `multiple` standard deviations (Table 3.5)."""
    return math.exp(-(multiple**2) / 2)


def grid_values(values: pd.Series) -> pd.Series:
    """Values, each replaced by the first one with its nine leading digits.

    So 0.1 and 0.1000000001 are one grid point, and keep a value that the table holds.
    """
    return values.groupby(nine_digits(values)).transform("first")


def nine_digits(values: pd.Series) -> pd.Series:
    """Text of nine significant digits, equal for values that only floats make differ."""
    return values.map(lambda value: f"{value:.9g}")


def landscapes(
    table: pd.DataFrame, metric: str = "top1", dense: str = "unpruned"
) -> dict[str, Landscape]:
    """Landscapes of all networks of a table of runs.

    Parameters
    ----------
    table : DataFrame
        One row per run with columns variant, lr, weight_decay and the metric; columns `diverged`
        and `stopped` are used where there are any. Without the former, a run without a value
        that was not stopped counts as diverged.
    metric : str, default "top1"
        Column of which larger is better; NaN for a run without a value.
    dense : str, default "unpruned"
        Variant of the dense network.

    Returns
    -------
    dict of str to Landscape
        By variant, the dense network first, the others in order of appearance.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing, or the metric is a loss.

    References
    ----------
    Thesis, section 3.3.
    """
    for column in ("variant", "lr", "weight_decay", metric):
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
            "lr": grid_values(table["lr"].astype(float)),
            "weight_decay": grid_values(table["weight_decay"].astype(float)),
            "value": value,
            "diverged": diverged.astype(float),
            "stopped": stopped.astype(float),
        }
    )
    order = [dense] + [name for name in variants if name != dense]
    return {name: Landscape(name, metric, _points(runs[runs["variant"] == name])) for name in order}


def _truths(table: pd.DataFrame, column: str, otherwise: pd.Series) -> pd.Series:
    """Column of truth values; `otherwise` where the table has none."""
    if column not in table.columns:
        return otherwise
    # A column with blanks comes from a CSV as text, where bool("False") would be True.
    return table[column].astype(str).str.lower().isin(["true", "1", "1.0"])


def _points(runs: pd.DataFrame) -> pd.DataFrame:
    """Grid points of one network's runs, as `Landscape.points` describes them."""
    points = runs.groupby(["lr", "weight_decay"], as_index=False).agg(
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
