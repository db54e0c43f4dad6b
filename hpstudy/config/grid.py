"""The grid of learning rates and weight decays: its values, their order, and how it grows."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationInfo, field_validator

from hpstudy.config.kinds import integer, number
from hpstudy.errors import shown

AXES = ("lr", "weight_decay")
"""The thesis's hyperparameters: the one drawn upwards, then the one drawn across."""

Positive = number("a finite number above 0", lambda value: value > 0)
# -0.0 is refused, as it would give one setting two ids.
Decay = number(
    "0 or a finite number above it", lambda value: value >= 0 and math.copysign(1, value) > 0
)

# Means over seeds that are equal on paper differ in the last bits; so does `best - threshold`.
TOLERANCE = 1e-9


class Frozen(BaseModel):
    """Part of a params file: no other keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(Frozen):
    """One setting of the two hyperparameters; weight decay is torch's coupled SGD value, or 0."""

    lr: Positive
    weight_decay: Decay


class Prior(Point):
    """Setting that the grid lies around, on logarithmic axes."""

    weight_decay: Positive


class Axis(Frozen):
    """Values around the prior, evenly spaced in log10; `step` is in decades (section 3.3).

    `extend` is the number of steps that may be added on each side where the region of interest
    touches it.
    """

    points: integer(1, 101)
    step: number("a number from 0.001 to 10", lambda value: 0.001 <= value <= 10)
    extend: integer(0, 50) = 0

    @property
    def reach(self) -> float:
        """Decades from the prior to the furthest value that the axis may come to have."""
        return self.step * ((self.points - 1) / 2 + self.extend)


_VALUES = {
    "lr": TypeAdapter(tuple[Positive, ...]),
    "weight_decay": TypeAdapter(tuple[Decay, ...]),
}


class Extent(NamedTuple):
    """Steps added to a grid at the lower and the upper end of each axis."""

    lr: tuple[int, int] = (0, 0)
    weight_decay: tuple[int, int] = (0, 0)


BASE = Extent()


class Growth(NamedTuple):
    """How far a grid has grown.

    Attributes
    ----------
    extent : Extent
        What has been added to its sides.
    settled : bool
        Whether every point there has a result and none is to be added.
    touched : tuple of str
        Of a settled grid, the ends that the region of interest touches all the same, because they
        may not be extended further: "low lr", "high lr", "low weight_decay", "high weight_decay".
    """

    extent: Extent
    settled: bool
    touched: tuple[str, ...]


class Grid(Frozen):
    """Learning rates and weight decays whose every combination is trained (section 3.3).

    A listed weight decay of 0 has no place on a logarithmic axis: it lies beside the others.
    """

    lr: Axis | tuple[Positive, ...]
    weight_decay: Axis | tuple[Decay, ...]

    @field_validator("lr", "weight_decay", mode="before")
    @classmethod
    def _values_or_axis(cls, value: Any, info: ValidationInfo) -> Any:
        # Here, because pydantic would name the alternatives in words of its own.
        if isinstance(value, dict):
            return Axis.model_validate(value)
        if isinstance(value, list | tuple):
            return _VALUES[info.field_name].validate_python(value)
        if not isinstance(value, Axis):
            raise ValueError(f"must be a list of values, or points and step, not {shown(value)}")
        return value

    @field_validator("lr", "weight_decay")
    @classmethod
    def _distinct(cls, value: Axis | tuple[float, ...]) -> Axis | tuple[float, ...]:
        if isinstance(value, tuple) and len(set(map(setting_key, value))) != max(len(value), 1):
            raise ValueError(f"must hold one or more distinct values, unlike {shown(list(value))}")
        return value

    @property
    def limits(self) -> dict[str, int]:
        """Most steps that may be added on each side of an axis, by its name."""
        axes = {name: getattr(self, name) for name in Extent._fields}
        return {n: axis.extend if isinstance(axis, Axis) else 0 for n, axis in axes.items()}

    def most_points(self) -> int:
        """Points that the grid may come to have."""
        sizes = [
            axis.points + 2 * axis.extend if isinstance(axis, Axis) else len(axis)
            for axis in (self.lr, self.weight_decay)
        ]
        return sizes[0] * sizes[1]

    @property
    def largest(self) -> Extent:
        """Extent that the grid may come to have."""
        return Extent(*((limit, limit) for limit in self.limits.values()))

    def values(
        self, name: Literal["lr", "weight_decay"], prior: Point, extent: Extent = BASE
    ) -> tuple[float, ...]:
        """Values of one hyperparameter, increasing."""
        axis = getattr(self, name)
        if not isinstance(axis, Axis):
            return tuple(sorted(axis))
        below, above = getattr(extent, name)
        middle, half = math.log10(getattr(prior, name)), (axis.points - 1) / 2
        steps = (axis.step * (k - half) for k in range(-below, axis.points + above))
        return tuple(grid_value(middle + step) for step in steps)

    def levels(self, prior: Point, extent: Extent = BASE) -> list[list[Point]]:
        """Every point, coarse to fine, so that a part of them already spans the grid.

        Of a grid of 9 x 9 around the prior the first level holds every fourth value of both axes
        (3 x 3 points), the second what completes every second (5 x 5), the third the rest. One
        more level holds the points of the extension. A weight decay of 0 is as coarse as the
        coarsest, so that its points stand in the level of their learning rate.

        Returns
        -------
        list of lists of Point
            As many levels for every extent; within one, the nearest to the prior (in decades)
            first, and those without weight decay last.
        """
        axes = [self._steps(name, prior) for name in Extent._fields]
        reach = max(abs(step) for steps in axes for step in steps.values())
        deepest = max(reach, 1).bit_length() - 1
        levels: list[list[Point]] = [[] for _ in range(deepest + 2)]
        for lr, weight_decay in product(*(self.values(n, prior, extent) for n in Extent._fields)):
            level = -1
            if lr in axes[0] and weight_decay in axes[1]:
                # Divisible by 2 ** fineness, both of them; 0 is divisible by everything.
                steps = axes[0][lr] | axes[1][weight_decay] | 1 << deepest
                level = deepest + 1 - (steps & -steps).bit_length()
            levels[level].append(Point(lr=lr, weight_decay=weight_decay))
        for points in levels:
            points.sort(key=lambda point: (not point.weight_decay, _decades(point, prior)))
        return levels

    def _steps(self, name: str, prior: Point) -> dict[float, int]:
        """Steps of every value of an axis from the one that is nearest to the prior; 0 of 0."""
        values, middle = self.values(name, prior), getattr(prior, name)
        steps = {value: 0 for value in values if not value}
        if above := [value for value in values if value]:
            nearest = min(above, key=lambda value: abs(math.log10(value / middle)))
            steps |= {value: k - above.index(nearest) for k, value in enumerate(above)}
        return steps

    def grow(
        self,
        prior: Point,
        results: Mapping[tuple[float, float], float],
        threshold: float,
        start: Extent = BASE,
    ) -> Growth:
        """Extend the grid on every side that the region of interest touches, until it is inside.

        Parameters
        ----------
        prior : Point
        results : mapping of (lr, weight_decay) to float
            Accuracies in percent of the points that have been trained; NaN for one without a
            value, which bounds the region as any point outside it does.
        threshold : float
            Of the region of interest (equation 3.3), in percentage points.
        start : Extent
            To begin with.

        Returns
        -------
        Growth
            The same for the same results, in whatever order they came: a side grows by one step
            once all points so far have a result, and on what those alone show. A weight decay of
            0 is no end of the grid.

        References
        ----------
        Thesis, section 3.3, extends its grids by hand in this way.
        """
        extent = start
        while True:
            axes = {name: self.values(name, prior, extent) for name in Extent._fields}
            here = list(product(*axes.values()))
            if any(point not in results for point in here):
                return Growth(extent, False, ())
            near_best = region({point: results[point] for point in here}, threshold)
            grown, touched = {}, []
            for name, inside in zip(axes, map(set, zip(*near_best, strict=True)), strict=False):
                above = [value for value in axes[name] if value]
                ends = {"low": above[:1], "high": above[-1:]}
                ends = {end: not inside.isdisjoint(value) for end, value in ends.items()}
                touched += [f"{end} {name}" for end, hit in ends.items() if hit]
                steps = zip(getattr(extent, name), ends.values(), strict=True)
                limit = self.limits[name]
                grown[name] = tuple(max(old, min(old + hit, limit)) for old, hit in steps)
            if extent._replace(**grown) == extent:
                return Growth(extent, True, tuple(touched))
            extent = extent._replace(**grown)


def region(
    results: Mapping[tuple[float, float], float], threshold: float
) -> set[tuple[float, float]]:
    """Points in the region of interest (`roi`); a point without a value (NaN) never is."""
    inside = roi(np.array(list(results.values()), dtype=float), threshold)
    return {point for point, near in zip(results, inside, strict=True) if near}


def roi(values: np.ndarray, threshold: float) -> np.ndarray:
    """Region of interest of each landscape: values at most `threshold` below its best.

    Parameters
    ----------
    values : ndarray of shape (..., n_points)
        Larger is better; NaN or -inf where a point has no value.
    threshold : float
        In the values' unit, at least 0.

    Returns
    -------
    ndarray of bool, shape (..., n_points)
        False where a value is NaN.

    References
    ----------
    Thesis, section 3.3.1, equation 3.3.
    """
    best = np.fmax.reduce(values, axis=-1, keepdims=True, initial=-np.inf)
    return values >= best - threshold - TOLERANCE


def setting_key(value: float) -> str:
    """Nine significant digits, which are equal for values that differ by rounding alone."""
    return f"{value:.9g}"


def grid_value(log10: float) -> float:
    """Value at a place of a logarithmic axis, in six significant digits.

    They are readable in tables, and give the same id on every platform's libm.
    """
    return float(f"{10**log10:.6g}")


def _decades(point: Point, other: Point) -> float:
    """Distance on logarithmic axes; of a weight decay of 0, along the learning rate alone."""
    ratios = [point.lr / other.lr, point.weight_decay / other.weight_decay or 1]
    # Values have six digits, which must not tell apart two that lie equally far.
    return round(math.hypot(*map(math.log10, ratios)), 4)
