"""A landscape to hold in the hand: what the book's script `interactive.js` draws, as JSON.

The page needs no kernel: regions, ellipses and risks of any threshold are computed in the browser,
from the means over seeds that `hpstudy.analysis.landscape` found.
"""

import json
import math
from html import escape

import pandas as pd

from hpstudy.analysis.landscape import Landscape, nine_digits
from hpstudy.analysis.study_results import METRIC_TITLES, StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import variant_title
from hpstudy.plots.marks import plain
from hpstudy.plots.panels import landscapes_data
from hpstudy.plots.plane import drawn_axis

INTERACTIVE_CLASS = "hpstudy-interactive"

LARGEST_THRESHOLD = 5.0
# Marks tell the region here, so that colours need not: they span half of all values, not the top.
SPANNED = 0.5
# Fields of a run beside its accuracies; they are only read, never computed with.
FIELDS = ("seed", "best_epoch", "loss", "train_loss", "seconds", "diverged", "stopped")
CURVES = ("top1", "train_loss")
# Regions are cut with a tolerance of 1e-9, which twelve digits of a percentage stay well below.
DIGITS, FIELD_DIGITS, CURVE_DIGITS = 12, 6, 4
MOST_TICKS = (6, 4)


def interactive_data(results: StudyResults) -> dict:
    """Everything of a study that a reader can ask its page for.

    Parameters
    ----------
    results : StudyResults
        A published study.

    Returns
    -------
    dict
        Ready for JSON; None where a value is NaN or infinite. Keys: "study", "label", "threshold"
        (of the region of interest to begin with) and "largest" (percentage points); "axes", two
        dicts of name, title, values (one a grid point), ends, ticks and labels, and zero, the place
        of the value 0 where there is one, the axis drawn upwards first; "metrics", name -> title
        and the ends of its two colour scales, of values and of distances from the own best;
        "networks", the dense one first, each with name, title, seeds (runs at each grid point, 0
        where it has none), shares diverged and stopped, value and std (metric -> one a grid point;
        percent), and "runs": arrays with one entry a run, among them point (index of the grid
        point), and the curves top1 (percent) and train_loss with one value an epoch, to four
        digits.

    Raises
    ------
    HpstudyError
        If no run of the study has an accuracy.
    """
    if not results.metrics:
        raise HpstudyError(f"no run of {results.name!r} has an accuracy, so nothing can be drawn.")
    every = {metric: results.landscapes(metric) for metric in results.metrics}
    first = next(iter(every.values()))
    axes = list(next(iter(first.values())).axes)
    # Landscapes of one table write a grid point alike, so that equal floats are one point.
    grid = pd.concat([one.points[axes] for one in first.values()]).drop_duplicates()
    grid = grid.sort_values(axes, ignore_index=True)
    return {
        "study": results.name,
        "label": results.label,
        "threshold": results.risk_threshold,
        "largest": LARGEST_THRESHOLD,
        "axes": [_axis(grid[axis], most) for axis, most in zip(axes, MOST_TICKS, strict=True)],
        "metrics": {
            metric: _metric(metric, networks, results.thresholds)
            for metric, networks in every.items()
        },
        "networks": [
            _network({metric: networks[name] for metric, networks in every.items()}, grid, results)
            for name in first
        ],
    }


def interactive_html(results: StudyResults) -> str:
    """Element that the book's script turns into the figure, its data in it.

    Parameters
    ----------
    results : StudyResults
        A published study.

    Returns
    -------
    str
        One `<div class="hpstudy-interactive">`. Without the script it shows one sentence. Names
        from the table stand in it only as JSON in which no "<" is left.
    """
    text = json.dumps(interactive_data(results), separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c")
    return (
        f'<div class="{INTERACTIVE_CLASS}"><p class="fallback">{escape(_sentence(results))}</p>'
        f'<script type="application/json">{safe}</script></div>'
    )


def show_interactive(results: StudyResults) -> None:
    """Display a study's landscapes so that a reader of the book can move them."""
    from IPython.display import display

    bundle = {"text/html": interactive_html(results), "text/plain": _sentence(results)}
    display(bundle, raw=True)


def _sentence(results: StudyResults) -> str:
    return (
        f"The landscapes of {results.title} can be moved in the built book, in a browser that "
        "runs its scripts."
    )


def _axis(values: pd.Series, most: int) -> dict:
    axis = drawn_axis(values)
    ticks, labels = axis.ticks(most)
    return {
        "name": axis.name,
        "title": axis.title,
        "values": values.tolist(),
        **({} if math.isnan(axis.zero) else {"zero": axis.zero}),
        "ends": list(axis.ends),
        "ticks": ticks,
        "labels": labels,
    }


def _metric(
    metric: str, networks: dict[str, Landscape], thresholds: tuple[float, ...]
) -> dict[str, object]:
    """Title of a metric and ends of its colour scales, which are those of all networks."""
    scales = {
        name: landscapes_data(networks, thresholds, SPANNED, relative)
        for name, relative in (("value", False), ("relative", True))
    }
    return {
        "title": METRIC_TITLES[metric],
        **{name: [panels.low, panels.high] for name, panels in scales.items()},
    }


def _network(one: dict[str, Landscape], grid: pd.DataFrame, results: StudyResults) -> dict:
    """One network on the grid of the study; `one` has its landscape by each metric."""
    axes = list(grid.columns)
    on_grid = {metric: grid.merge(one[metric].points, "left", axes) for metric in one}
    points = next(iter(on_grid.values()))
    variant = next(iter(one.values())).variant
    return {
        "name": variant,
        "title": variant_title(variant),
        "seeds": _numbers(points["seeds"].fillna(0), DIGITS),
        "diverged": _numbers(points["diverged"], FIELD_DIGITS),
        "stopped": _numbers(points["stopped"], FIELD_DIGITS),
        "value": {metric: _numbers(on_grid[metric]["value"], DIGITS) for metric in one},
        "std": {metric: _numbers(on_grid[metric]["std"], FIELD_DIGITS) for metric in one},
        "runs": _runs(variant, grid, results),
    }


def _runs(variant: str, grid: pd.DataFrame, results: StudyResults) -> dict[str, list]:
    """Runs of one network as arrays, in the order of the grid's points and then of the seeds."""
    index = dict(zip(_keys(grid), range(len(grid)), strict=True))
    table = results.table[results.table["variant"].astype(str) == variant]
    table = table.assign(point=[index[key] for key in _keys(table[list(grid.columns)])])
    table = table.sort_values(["point", "seed"])
    columns = {metric: DIGITS for metric in results.metrics} | dict.fromkeys(FIELDS, FIELD_DIGITS)
    # A table of an older version, or of one's own, may lack some of them.
    table = table.reindex(columns=["point", *columns, "curve"])
    curves = [json.loads(text) if isinstance(text, str) else {} for text in table["curve"]]
    return {
        "point": table["point"].tolist(),
        **{name: _numbers(table[name], digits) for name, digits in columns.items()},
        "curves": {
            name: [_numbers(curve.get(name, []), CURVE_DIGITS) for curve in curves]
            for name in CURVES
        },
    }


def _keys(points: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(zip(*(nine_digits(points[axis]) for axis in points), strict=True))


def _numbers(values, digits: int) -> list:
    """Values to so many significant digits, whole ones without a point; NaN is None."""
    return [int(x) if x is not None and x.is_integer() else x for x in plain(values, digits)]
