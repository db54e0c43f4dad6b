"""Everything that is told of a table of runs, as one dictionary for JSON."""

import math
from typing import NamedTuple

import pandas as pd

from hpstudy.advice import Advice, advise
from hpstudy.analysis import Analysis
from hpstudy.errors import HpstudyError
from hpstudy.gridcheck import warnings
from hpstudy.intervals import Interval
from hpstudy.landscape import AXES, landscapes
from hpstudy.movement import Movement
from hpstudy.risk import risks
from hpstudy.run_options import parse_axes, parse_columns
from hpstudy.run_tables import RunTable, read_runs

__all__ = ["RunTable", "compare", "parse_axes", "parse_columns", "parse_roi", "read_runs"]

RISK_THRESHOLD = 0.5
"""Percentage points; the risk is over the dense network's 0.5-ROI (thesis, section 3.3.2)."""


def parse_roi(text: str) -> tuple[float, ...]:
    """Thresholds of regions of interest, in percentage points, from text such as "0.5,1.0".

    Raises
    ------
    HpstudyError
        If one of them is not a positive, finite number; names it.
    """
    thresholds = []
    for word in text.split(","):
        try:
            threshold = float(word)
        except ValueError:
            threshold = math.nan
        if not (math.isfinite(threshold) and threshold > 0):
            raise HpstudyError(
                f"--roi takes positive numbers separated by commas, such as 0.5,1.0; "
                f"not {word.strip()!r}."
            )
        thresholds.append(threshold)
    return tuple(dict.fromkeys(thresholds))


def compare(
    table: pd.DataFrame,
    dense: str = "unpruned",
    roi: tuple[float, ...] = (0.5, 1.0),
    metric: str = "top1",
    axes: tuple[str, str] = AXES,
) -> dict:
    """Landscapes, movement, risk, regret and advice of a table, as plain values for JSON.

    Parameters
    ----------
    table : DataFrame
        Runs as `read_runs` has them; accuracies are averaged over seeds at each grid point.
    dense : str, default "unpruned"
        Variant of the dense network.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of the regions of interest, in percentage points. The risk is over the dense
        network's 0.5-ROI whatever they are.
    metric : str, default "top1"
        Column of accuracies.
    axes : tuple of str, default ("lr", "weight_decay")
        Columns of the two hyperparameters.

    Returns
    -------
    dict
        "landscapes", "risk", "movement", "regret" and "advice", each by variant, the dense network
        first ("movement", "regret" and "advice" without it); "movement" then by threshold.
        Accuracies, risks and regrets are in percentage points, relative risks fractions, ellipses
        in decades with their centre as log10. What has an interval is [estimate, low, high] of
        the noise-free landscape, 95 % between the ends. None stands for what does not exist: an
        ellipse of fewer than five points, a mean over nothing, an interval of too few points.

    Raises
    ------
    HpstudyError
        If a column or the dense network is missing.

    References
    ----------
    Thesis, sections 3.3.1 and 3.3.2; Tables 4.1 and 4.2.
    """
    found = landscapes(table, metric, dense, axes)
    analysis = Analysis(found)
    return {
        "axes": list(axes),
        "metric": metric,
        "landscapes": {name: _landscape(analysis, name, roi) for name in found},
        "risk": {
            name: {
                "n": one.n,
                "mean": _finite(one.mean),
                "std": _finite(one.std),
                "relative_mean": _finite(one.relative_mean),
                "relative_std": _finite(one.relative_std),
                "intervals": _intervals(analysis.risk(name, RISK_THRESHOLD)),
            }
            for name, one in risks(found, RISK_THRESHOLD).items()
        },
        "movement": {
            name: {str(float(x)): _movement(analysis.movement(name, x)) for x in roi}
            for name in analysis.pruned
        },
        "regret": {name: _regret(analysis, name) for name in analysis.pruned},
        "advice": {name: _advice(advise(analysis, name)) for name in analysis.pruned},
    }


def _landscape(analysis: Analysis, name: str, roi: tuple[float, ...]) -> dict:
    """Entry of one network under "landscapes"."""
    landscape, best = analysis.landscapes[name], analysis.best(name)
    surrogate = analysis.surrogates.get(name)
    deviation, degrees = surrogate.replicates if surrogate else (math.nan, 0)
    return {
        "points": len(landscape.points),
        "seeds": landscape.seeds,
        "runs": landscape.runs,
        "best": _finite(landscape.best),
        "best_at": {axis: _finite(at) for axis, at in landscape.best_at.items()},
        "best_corrected": _interval(best.corrected),
        "best_bias": _finite(best.bias),
        "on_edge": landscape.on_edge,
        "noise": {
            "std": surrogate and _finite(surrogate.noise),
            "replicates_std": _finite(deviation),
            "replicates_degrees": degrees,
        },
        "roi": {str(float(threshold)): _region(analysis, name, threshold) for threshold in roi},
        "warnings": [
            {
                "kind": one.kind,
                "sentence": one.sentence,
                "cells": one.cells.to_dict(orient="records"),
            }
            for one in warnings(landscape, roi)
        ],
    }


def _region(analysis: Analysis, name: str, threshold: float) -> dict:
    """Entry of one threshold under "roi"."""
    landscape, shape = analysis.landscapes[name], analysis.shape(name, threshold)
    ellipse = landscape.ellipse(threshold)
    centres = (shape.first, shape.second)
    return {
        "count": len(landscape.roi(threshold)),
        "ellipse": ellipse
        and {
            "length": ellipse.length,
            "width": ellipse.width,
            "centre": dict(zip(landscape.axes, ellipse.centre, strict=True)),
            "angle": ellipse.angle,
        },
        "intervals": {
            "count": _interval(shape.n),
            "length": _interval(shape.length),
            "width": _interval(shape.width),
            "centre": {
                axis: _interval(centre)
                for axis, centre in zip(landscape.axes, centres, strict=True)
            },
            "angle": _interval(shape.angle),
            "fitted": _finite(shape.fitted),
        },
        "band": _intervals(shape.band),
    }


def _movement(moved: Movement | None) -> dict | None:
    """Entry of one threshold under "movement"."""
    if moved is None:
        return None
    return {
        "n": moved.n,
        "spearman": _finite(moved.spearman),
        "spearman_interval": _interval(moved.spearman_interval),
        "kendall": _finite(moved.kendall),
        "jaccard": _finite(moved.overlap.measured),
        "jaccard_by_noise": _interval(moved.overlap.expected),
        "jaccard_p": _finite(moved.overlap.p),
        "shift": _finite(moved.shift.measured),
        "shift_interval": _interval(moved.shift.distance),
        "shift_components": [_interval(moved.shift.first), _interval(moved.shift.second)],
        "shift_p": _finite(moved.shift.p),
        "ellipse_overlap": _interval(moved.ellipse_overlap),
    }


def _regret(analysis: Analysis, name: str) -> dict | None:
    """Entry of one network under "regret": whole curves, by number of trainings."""
    found = analysis.regret(name)
    if found is None:
        return None
    return {
        way: {end: [_finite(float(x)) for x in values] for end, values in curve._asdict().items()}
        for way, curve in found._asdict().items()
    }


def _advice(advice: Advice) -> dict:
    """Entry of one network under "advice"."""
    return {
        "verdict": advice.verdict,
        "sentence": advice.sentence,
        "measured": _finite(advice.measured),
        "loss": _interval(advice.loss),
        "trainings": {
            way: {str(target): k for target, k in known.items()}
            for way, known in (("random", advice.random), ("local", advice.local))
        },
    }


def _intervals(values: NamedTuple) -> dict:
    """Fields of a tuple of intervals, by name."""
    return {name: _interval(value) for name, value in values._asdict().items()}


def _interval(value: Interval) -> list[float] | None:
    return list(value) if math.isfinite(value.estimate) else None


def _finite(value: float) -> float | None:
    """Value itself, or None for NaN, which JSON has no word for."""
    return value if math.isfinite(value) else None
