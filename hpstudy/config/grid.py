"""The grid of learning rates and weight decays: its values, and their order."""

import math
from functools import partial
from itertools import product
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from hpstudy.config.validation import Frozen

AXES = ("lr", "weight_decay")
"""The thesis's hyperparameters: the one drawn upwards, then the one drawn across."""


def _not_negative_zero(value: float) -> float:
    if math.copysign(1, value) < 0:
        raise ValueError("must be 0 or above, because -0.0 would give one setting two ids")
    return value


Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Decay = Annotated[
    float, Field(strict=True, ge=0, allow_inf_nan=False), AfterValidator(_not_negative_zero)
]

# Means over seeds that are equal on paper differ in the last bits; so does `best - threshold`.
TOLERANCE = 1e-9


class Point(Frozen):
    """One setting of the two hyperparameters; weight decay is torch's coupled SGD value, or 0.

    Where one's own command trains, these are the values of the first and of the second axis.
    """

    lr: Decay
    weight_decay: Decay


class Prior(Point):
    """Setting that the grid lies around, on logarithmic axes."""

    lr: Positive
    weight_decay: Positive


class Axis(Frozen):
    """Values around the prior, evenly spaced in log10 (section 3.3).

    `step` is in decades. `extend` is the number of steps that may be added on each side where the
    region of interest touches it.
    """

    points: Annotated[int, Field(strict=True, ge=1, le=101)]
    step: Annotated[float, Field(strict=True, ge=0.001, le=10)]
    extend: Annotated[int, Field(strict=True, ge=0, le=50)] = 0

    @property
    def reach(self) -> float:
        """Decades from the prior to the furthest value that the axis may grow to."""
        return self.step * ((self.points - 1) / 2 + self.extend)


def _values_or_axis(numbers: TypeAdapter[tuple[float, ...]], value: Any) -> Any:
    # pydantic would report the faults of both alternatives.
    if isinstance(value, dict):
        return Axis.model_validate(value)
    if isinstance(value, list | tuple):
        return numbers.validate_python(value)
    if not isinstance(value, Axis):
        raise ValueError("must be a list of values, or points and step")
    return value


def _distinct(value: Axis | tuple[float, ...]) -> Axis | tuple[float, ...]:
    if isinstance(value, tuple) and len(set(map(setting_key, value))) != max(len(value), 1):
        raise ValueError("must hold one or more distinct values")
    return value


PositiveAxis = Annotated[
    Axis | tuple[Positive, ...],
    BeforeValidator(partial(_values_or_axis, TypeAdapter(tuple[Positive, ...]))),
    AfterValidator(_distinct),
]
AnyAxis = Annotated[
    Axis | tuple[Decay, ...],
    BeforeValidator(partial(_values_or_axis, TypeAdapter(tuple[Decay, ...]))),
    AfterValidator(_distinct),
]


class Extent(NamedTuple):
    """Steps added to a grid at the lower and the upper end of each axis."""

    lr: tuple[int, int] = (0, 0)
    weight_decay: tuple[int, int] = (0, 0)


BASE = Extent()


class Grid(Frozen):
    """Learning rates and weight decays whose every combination is trained (section 3.3).

    A weight decay of 0 may be listed, though it has no place on a logarithmic axis.
    """

    lr: PositiveAxis
    weight_decay: AnyAxis

    @property
    def limits(self) -> dict[str, int]:
        """Largest number of steps that may be added on each side, by axis."""
        return {name: getattr(axis, "extend", 0) for name, axis in self}

    def most_points(self) -> int:
        """Number of points of the grid in its largest extent."""
        axes = (self.lr, self.weight_decay)
        return math.prod(
            axis.points + 2 * axis.extend if isinstance(axis, Axis) else len(axis) for axis in axes
        )

    @property
    def largest(self) -> Extent:
        """Largest extent of the grid."""
        return Extent(*((limit, limit) for limit in self.limits.values()))

    def values(self, name: str, prior: Point, extent: Extent = BASE) -> tuple[float, ...]:
        """Values of one hyperparameter, increasing."""
        axis: Axis | tuple[float, ...] = getattr(self, name)
        if not isinstance(axis, Axis):
            return tuple(sorted(axis))
        below, above = getattr(extent, name)
        middle, half = math.log10(getattr(prior, name)), (axis.points - 1) / 2
        steps = (axis.step * (k - half) for k in range(-below, axis.points + above))
        return tuple(grid_value(middle + step) for step in steps)

    def levels(self, prior: Point, extent: Extent = BASE) -> list[list[Point]]:
        """Every point, coarse to fine, so that the first levels already span the grid.

        The first level of a grid of 9 x 9 around the prior holds every fourth value of both axes
        (3 x 3 points), the second completes every second value (5 x 5), the third the rest. One
        more level holds the points of the extension. A weight decay of 0 belongs to the coarsest
        values, so that the level of its points is that of their learning rate.

        Returns
        -------
        list of lists of Point
            The number of levels does not depend on the extent. Within a level, the nearest to the
            prior (in decades) come first, and those without weight decay last.
        """
        axes = [self._steps("lr", prior), self._steps("weight_decay", prior)]
        reach = max(abs(step) for steps in axes for step in steps.values())
        deepest = max(reach, 1).bit_length() - 1
        levels: list[list[Point]] = [[] for _ in range(deepest + 2)]
        values = self.values("lr", prior, extent), self.values("weight_decay", prior, extent)
        for lr, weight_decay in product(*values):
            level = -1
            if lr in axes[0] and weight_decay in axes[1]:
                # The lowest bit set in either: both are divisible by it, as 0 is by everything.
                steps = axes[0][lr] | axes[1][weight_decay] | 1 << deepest
                level = deepest + 1 - (steps & -steps).bit_length()
            levels[level].append(Point(lr=lr, weight_decay=weight_decay))
        for points in levels:
            points.sort(key=lambda p: (0 in (p.lr, p.weight_decay), _decades(p, prior)))
        return levels

    def _steps(self, name: str, prior: Point) -> dict[float, int]:
        """Steps from the value nearest to the prior, by value; 0 for a value of 0."""
        values, middle = self.values(name, prior), getattr(prior, name)
        steps = {value: 0 for value in values if not value}
        if above := [value for value in values if value]:
            nearest = min(above, key=lambda value: abs(math.log10(value / middle)))
            steps |= {value: k - above.index(nearest) for k, value in enumerate(above)}
        return steps


def roi(values: NDArray[np.float64], threshold: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Region of interest of each landscape: values at most `threshold` below its best.

    Parameters
    ----------
    values : ndarray of shape (..., n_points)
        Larger is better; NaN or -inf where a point has no value, which is never inside.
    threshold : float or ndarray of shape (..., 1)
        In the values' unit, at least 0.

    References
    ----------
    Thesis, section 3.3.1, equation 3.3.
    """
    best = np.fmax.reduce(values, axis=-1, keepdims=True, initial=-np.inf)
    return np.greater_equal(values, best - threshold - TOLERANCE)


def setting_key(value: float) -> str:
    """Nine significant digits, which are equal for values that differ by rounding alone."""
    return f"{value:.9g}"


def grid_value(log10: float) -> float:
    """Value at a place of a logarithmic axis, in six significant digits.

    They are readable in tables, and give the same id on every platform's libm.
    """
    return float(f"{10**log10:.6g}")


def _decades(point: Point, other: Point) -> float:
    """Distance on logarithmic axes; for a value of 0, along the other axis alone."""
    ratios = [point.lr / other.lr or 1, point.weight_decay / other.weight_decay or 1]
    # Values have six digits: four here make equal distances equal.
    return round(math.hypot(*map(math.log10, ratios)), 4)
