"""Landscapes that a reader moves in the browser: all numbers, computed here for every threshold."""

import json
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, setting_keys
from hpstudy.analysis.regions import fit_ellipses, roi
from hpstudy.analysis.risk import risk_draws
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import axis_of
from hpstudy.plots._traces import colour_range, rounded
from hpstudy.plots.labels import (
    axis_title,
    metric_of,
    setting_text,
    variant_colours,
    variant_title,
)

INTERACTIVE_CLASS = "hpstudy-interactive"
THRESHOLDS = np.linspace(0.1, 5.0, 99)
"""Steps of the slider, in percentage points."""
# Marks show the region, so that colours need not: they span half of all values, not the top.
TOP = 0.5
# Fields of a run beside its accuracies.
FIELDS = ("seed", "best_epoch", "loss", "train_loss", "seconds", "diverged", "stopped")
CURVES = ("top1", "train_loss")
DIGITS, CURVE_DIGITS = 6, 4
MOST_TICKS = (6, 4)


@dataclass(frozen=True, eq=False)
class Sliders:
    """Runs to move: landscapes by metric and variant over one pair of axes or one axis.

    The dense network's landscape is the first of a metric, `table` has the runs, and `start` is the
    threshold to show first, in the metric's unit.
    """

    title: str
    table: pd.DataFrame
    landscapes: dict[str, dict[str, Landscape]]
    start: float

    @classmethod
    def of(cls, results: StudyResults) -> "Sliders":
        """Sliders of a published study; refuses one without accuracies."""
        if not results.metrics:
            raise HpstudyError(
                f"no run of {results.name!r} has an accuracy, so nothing can be drawn."
            )
        networks = {metric: results.landscapes(metric) for metric in results.metrics}
        return cls(results.title, results.table, networks, results.risk_threshold)

    @property
    def dense(self) -> Landscape:
        """Landscape of the dense network by the first metric."""
        return next(iter(next(iter(self.landscapes.values())).values()))

    @property
    def thresholds(self) -> np.ndarray:
        """Steps of the slider: the usual ones for accuracies, others in tenths of the first."""
        accuracy = self.dense.percent and self.dense.sign > 0
        return THRESHOLDS if accuracy else self.start / 10 * np.arange(1, 41)


def interactive_data(runs: StudyResults | Sliders) -> dict[str, Any]:
    """Everything of a study that a reader can ask its page for, ready for JSON; None for NaN.

    Returns
    -------
    dict
        "thresholds" in the metric's unit ("%" or blank), and "start", the index of the first one to
        show; "axes", the one drawn upwards first: title, values (a text for each grid point), and
        log10 of places (one a grid point), levels, range and ticks with labels; "metrics", name ->
        title and the ends of two colour scales, and sign -1 where less is better; "networks", the
        dense one first: title, colour, seeds (runs at each grid point), shares diverged and
        stopped, metrics (`_metric`), and runs, arrays with one entry a run, among them point (index
        of the grid point) and curves.

    Raises
    ------
    HpstudyError
        If no run of the study has an accuracy.
    """
    shown = runs if isinstance(runs, Sliders) else Sliders.of(runs)
    landscapes, thresholds = shown.landscapes, shown.thresholds
    first, axes = next(iter(landscapes.values())), list(shown.dense.axes)
    # Landscapes of one table write a grid point alike, so that equal floats are one point.
    grid = pd.concat([landscape.points[axes] for landscape in first.values()])
    grid = grid.drop_duplicates().sort_values(axes, ignore_index=True)
    colours, most = variant_colours(first), MOST_TICKS[-len(axes) :]
    return {
        "unit": "%" if shown.dense.percent else "",
        "thresholds": rounded(thresholds, DIGITS),
        "start": int(np.abs(thresholds - shown.start).argmin()),
        "axes": [_axis(grid[axis], labels) for axis, labels in zip(axes, most, strict=True)],
        "metrics": {metric: _scales(networks) for metric, networks in landscapes.items()},
        "networks": [_network(name, grid, shown) | {"colour": colours[name]} for name in first],
    }


def interactive_html(runs: StudyResults | Sliders) -> str:
    """Element that the book's script turns into the figure; without the script, a sentence.

    Names from the table stand in it only as JSON in which no "<" is left.
    """
    shown = runs if isinstance(runs, Sliders) else Sliders.of(runs)
    text = json.dumps(interactive_data(shown), separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c")
    fallback = f"The landscapes of {shown.title} can be moved in a browser that runs scripts."
    return (
        f'<div class="{INTERACTIVE_CLASS}"><p class="fallback">{escape(fallback)}</p>'
        f'<script type="application/json">{safe}</script></div>'
    )


def _scales(networks: dict[str, Landscape]) -> dict[str, Any]:
    """Title of a metric, ends of its colours, and its sign where less is better."""
    metric = metric_of(next(iter(networks.values())))
    value, relative = (
        tuple(sorted(metric.sign * end + 0.0 for end in colour_range(networks, TOP, own_best)))
        for own_best in (False, True)
    )
    scales = {"title": metric.title, "value": value, "relative": relative}
    return scales | ({"sign": -1} if metric.sign < 0 else {})


def _axis(values: pd.Series, most: int) -> dict[str, Any]:
    axis = axis_of(values)
    ticks, labels = axis.ticks(most)
    places = np.log10(axis.places(values))
    return {
        "title": axis_title(axis.name),
        "values": [setting_text(value) for value in values],
        "places": rounded(places),
        "levels": rounded(np.unique(places)),
        "range": rounded(np.log10(axis.ends)),
        "ticks": rounded(np.log10(ticks)),
        "labels": labels,
    }


def _network(name: str, grid: pd.DataFrame, shown: Sliders) -> dict[str, Any]:
    """One network on the grid points of the study."""
    axes, metrics, points = list(grid.columns), {}, grid
    for metric, networks in shown.landscapes.items():
        dense = grid.merge(next(iter(networks.values())).points, "left", axes)
        points = grid.merge(networks[name].points, "left", axes)
        metrics[metric] = _metric(dense["value"], points, networks[name], shown.thresholds)
    return {
        "name": name,
        "title": variant_title(name),
        "seeds": _numbers(points["seeds"].fillna(0)),
        "diverged": _numbers(points["diverged"]),
        "stopped": _numbers(points["stopped"]),
        "metrics": metrics,
        "runs": _runs(name, grid, shown),
    }


def _metric(
    dense: pd.Series, points: pd.DataFrame, network: Landscape, steps: np.ndarray
) -> dict[str, Any]:
    """One network's numbers by one metric; `dense` are the dense network's values.

    "value", in the metric's unit, and "std" at each grid point; "best", the index of the best one;
    "enters", the index of the first threshold at which a grid point belongs to the region. For each
    threshold "ellipse" (length, width, the centre's two places, angle) and "risk", the mean over
    the dense network's region (equation 3.5).
    """
    reference, values = (
        column.fillna(-np.inf).to_numpy(float)[None] for column in (dense, points["value"])
    )
    thresholds = steps[:, None]
    inside = roi(values, thresholds) & np.isfinite(values)
    best = roi(values, 0.0) & np.isfinite(values)
    shapes = np.column_stack(fit_ellipses(replace(network, points=points).logs, inside))
    enters = np.where(inside.any(axis=0), inside.argmax(axis=0), np.nan)
    return {
        "value": _numbers(network.sign * points["value"] + 0.0, 9),
        "std": _numbers(points["std"]),
        "best": int(best.argmax()) if best.any() else None,
        "enters": _numbers(enters),
        "ellipse": [
            rounded(shape, DIGITS) if np.isfinite(shape).all() else None for shape in shapes
        ],
        "risk": _numbers(risk_draws(reference, values, thresholds).mean),
    }


def _runs(variant: str, grid: pd.DataFrame, shown: Sliders) -> dict[str, Any]:
    """Runs of one network as arrays, in the order of the grid's points and then of the seeds."""
    keys, points = grid.apply(setting_keys), shown.table[list(grid)].apply(setting_keys)
    index = pd.MultiIndex.from_frame(keys).get_indexer(pd.MultiIndex.from_frame(points))
    table = shown.table.assign(point=index)
    table = table[table["variant"].astype(str) == variant].sort_values(["point", "seed"])
    # A table of an older version, or of one's own, may lack some of them.
    table = table.reindex(columns=["point", *shown.landscapes, *FIELDS, "curve"])
    curves = [json.loads(text) if isinstance(text, str) else {} for text in table["curve"]]
    return {
        "point": table["point"].tolist(),
        **{name: _numbers(table[name]) for name in (*shown.landscapes, *FIELDS)},
        "curves": {
            name: [_numbers(curve.get(name, []), CURVE_DIGITS) for curve in curves]
            for name in CURVES
        },
    }


def _numbers(values: Any, digits: int = DIGITS) -> list[float | int | None]:
    """Values to so many significant digits, whole ones without a point; NaN is None."""
    return [int(x) if x is not None and x.is_integer() else x for x in rounded(values, digits)]
