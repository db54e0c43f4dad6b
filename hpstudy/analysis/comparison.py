"""Everything that `hpstudy compare` finds in a table of runs, as one dictionary for JSON."""

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hpstudy.analysis.grid_checks import GridWarning, Kind, grid_warnings
from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.risk import RegionRisk, risks
from hpstudy.analysis.run_tables import RunTable, read_runs
from hpstudy.analysis.shift import LandscapeShift
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.verdict import TOLERABLE, Verdict, pooled_verdict, trainings, verdict
from hpstudy.errors import HpstudyError

__all__ = ["compare", "parse_roi", "read_runs"]

PERCENT_ROI = (0.5, 1.0)
"""Thresholds for accuracies in percent: the thesis's (section 3.3.1)."""


def parse_roi(text: str) -> tuple[float, ...]:
    """Thresholds of regions of interest, in the metric's unit, from text such as "0.5,1.0".

    Raises
    ------
    HpstudyError
        If one of them is not a positive, finite number.
    """
    thresholds = []
    for word in text.split(","):
        threshold = math.nan
        with suppress(ValueError):
            threshold = float(word)
        if not (math.isfinite(threshold) and threshold > 0):
            raise HpstudyError(
                f"--roi takes positive numbers separated by commas, such as 0.5,1.0; "
                f"not {word.strip()!r}."
            )
        thresholds.append(threshold)
    return tuple(dict.fromkeys(thresholds))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs of one table, and the thresholds by which their networks are compared.

    `roi` are the thresholds of the regions of interest, and `tolerable` is the loss up to which
    settings are kept, both in the metric's unit.
    """

    runs: RunTable
    roi: tuple[float, ...]
    tolerable: float

    @classmethod
    def of(cls, runs: RunTable, roi: float | tuple[float, ...] | None = None) -> "Comparison":
        """Comparison of a table by its thresholds, or by the usual ones (see `compare`)."""
        if roi is None and not runs.percent:
            middle = runs.table[runs.metric].median()
            raise HpstudyError(
                f"say how far from the best {runs.metric} still counts as good: add --roi with one "
                f"or two numbers in its own unit. Its median here is {middle:g}; "
                "--roi 0.5,1 would mean within 0.5, and within 1, of the best."
            )
        roi = PERCENT_ROI if roi is None else tuple(np.atleast_1d(roi).tolist())
        return cls(runs, roi, TOLERABLE if runs.percent else min(roi))

    @cached_property
    def analysis(self) -> StudyAnalysis:
        """Landscapes of all networks, the dense one's first, with what is drawn from them."""
        return StudyAnalysis(self.runs.landscapes())

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Verdicts on all pruned networks, whose good settings go by the widest threshold."""
        analysis = self.analysis
        return [verdict(analysis, name, max(self.roi), self.tolerable) for name in analysis.pruned]


def compare(runs: RunTable, roi: float | tuple[float, ...] | None = None) -> dict[str, Any]:
    """Landscapes, risk, movement, regret and verdicts of a table, as plain values for JSON.

    As in the thesis, sections 3.3.1 and 3.3.2, and Tables 4.1 and 4.2.

    Parameters
    ----------
    runs : RunTable
    roi : float or tuple of float, optional
        Thresholds of the regions of interest, in the metric's unit; by default 0.5 and 1.0 points.
        Shifts and the good settings of the verdicts go by the widest. Risks and tolerable losses
        go by 0.5 points, or by the narrowest for a metric that is not in percent.

    Returns
    -------
    dict
        Entries of networks are by variant, the dense one first; "movement" then by threshold.
        Levels, risks and losses are in the metric's unit, relative risks fractions, shifts and
        ellipses in decades with their centre as log10. An interval is [estimate, low, high] of the
        noise-free landscape, 95 % between the ends; of risks and losses each end is a one-sided
        95 % bound. None stands for what does not exist: an ellipse of fewer than five points, a
        mean over nothing, an interval of too few points.

    Raises
    ------
    HpstudyError
        If there are no thresholds and the metric is not in percent.
    """
    return as_dict(Comparison.of(runs, roi))


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Comparison as plain values (see `compare`)."""
    runs, roi, tolerable = comparison.runs, comparison.roi, comparison.tolerable
    analysis, networks = comparison.analysis, comparison.analysis.landscapes
    pooled = pooled_verdict([(analysis, max(roi))])
    keys = ("networks", "shift", "verdict", "loss")
    result = {
        "reading": runs.notes,
        "axes": runs.axes,
        "metric": runs.metric,
        "goal": runs.goal,
        "percent": runs.percent,
        "tolerable": tolerable,
        "landscapes": {name: _landscape(analysis, name, roi) for name in networks},
        "risk": {
            name: {"n": risk.n}
            | {key: getattr(risk, key) for key in RegionRisk._fields}
            | {"intervals": analysis.risk(name, tolerable)}
            for name, risk in risks(networks, tolerable).items()
        },
        "movement": {
            name: {str(float(x)): _movement(analysis.shift(name, x), len(runs.axes)) for x in roi}
            for name in analysis.pruned
        },
        # Whole curves, by number of trainings.
        "regret": {name: analysis.regret(name) for name in analysis.pruned},
        "advice": {row.variant: _advice(analysis, row) for row in comparison.verdicts},
        "pooled": pooled and dict(zip(keys, pooled, strict=True)),
    }
    return {key: plain(value) for key, value in result.items()}


def _landscape(analysis: StudyAnalysis, name: str, roi: tuple[float, ...]) -> dict[str, Any]:
    """Entry of one network under "landscapes"."""
    landscape, best = analysis.landscapes[name], analysis.best(name)
    surrogate = analysis.surrogates.get(name)
    deviation, degrees = surrogate.noise_model.replicates if surrogate else (math.nan, 0)
    return {
        "points": len(landscape.points),
        "seeds": landscape.seeds,
        "runs": landscape.runs,
        "best": landscape.sign * landscape.best,
        "best_at": landscape.best_at,
        "ties": landscape.ties,
        "best_corrected": best.scaled(landscape.sign),
        "best_bias": landscape.best - best.estimate,
        "on_edge": landscape.on_edge,
        "noise": {
            "std": surrogate and surrogate.noise,
            "replicates_std": deviation,
            "replicates_degrees": degrees,
            "growth": surrogate and surrogate.noise_model.growth,
            "shared_by_seeds": surrogate and surrogate.noise_model.shared,
        },
        "roi": {str(float(threshold)): _region(analysis, name, threshold) for threshold in roi},
        "warnings": [
            {
                "kind": warning.kind,
                "sentence": warning_sentence(warning),
                "cells": warning.cells.to_dict(orient="records"),
            }
            for warning in grid_warnings(landscape, roi)
        ],
    }


def _region(analysis: StudyAnalysis, name: str, threshold: float) -> dict[str, Any]:
    """Entry of one threshold under "roi"."""
    landscape, shape = analysis.landscapes[name], analysis.shape(name, threshold)
    ellipse = landscape.ellipse(threshold)
    axes = landscape.axes
    return {
        "count": len(landscape.roi(threshold)),
        "ellipse": ellipse
        and ellipse._asdict() | {"centre": dict(zip(axes, ellipse.centre, strict=False))},
        "intervals": {
            "count": shape.n,
            "length": shape.length,
            "width": shape.width,
            "centre": dict(zip(axes, (shape.first, shape.second), strict=False)),
            "angle": shape.angle,
            "fitted": shape.fitted,
        },
        "band": shape.band,
    }


def _movement(shift: LandscapeShift | None, axes: int) -> dict[str, Any] | None:
    """Entry of one threshold under "movement"."""
    return shift and shift._asdict() | {"shift_components": shift.shift_components[:axes]}


def _advice(analysis: StudyAnalysis, verdict: Verdict) -> dict[str, Any]:
    """Entry of one network under "advice"."""
    axes = verdict.axes
    return {
        "verdict": {axis: of.answer for axis, of in axes.items()} | {"both": verdict.both},
        "threshold": verdict.threshold,
        "shift": {axis: of.shift for axis, of in axes.items()},
        "at_grid_end": {axis: of.at_end for axis, of in axes.items()},
        "shift_interpolated": any(of.interpolated for of in axes.values()),
        "best_at_grid_end": verdict.edge,
        "measured": verdict.measured,
        "loss": verdict.loss,
        "second_best_loss": verdict.second,
        "interpolated": verdict.interpolated,
        "good_settings_kept": verdict.kept,
        "trainings": trainings(analysis, verdict.variant),
    }


def plain(value: Any) -> Any:
    """Value as JSON has it: lists and dictionaries, and None for what does not exist."""
    if isinstance(value, Interval | Loss):
        return list(value) if math.isfinite(value.estimate) else None
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


_SENTENCES = {
    Kind.NO_VALUE: "No setting has a value, so there is neither an optimum nor a region.",
    Kind.OPTIMUM_ON_EDGE: "The best setting has {ends} that was tried: a better one may lie "
    "beyond.",
    Kind.REGION_ON_EDGE: "The region within {threshold:g} of the best reaches {ends} that was "
    "tried: it may go on beyond.",
    Kind.FEW_POINTS: "The region within {threshold:g} of the best has too few settings for an "
    "ellipse: {points}, and {at_zero} at a value of 0.",
    Kind.COARSE: "The region within {threshold:g} of the best is {width:.2g} decades wide, less "
    "than two steps of the grid ({step:.2g} each): its ellipse may show the grid.",
    Kind.DIVERGED: "{runs} of {all_runs} runs diverged{where}.",
    Kind.STOPPED: "At {points} of {all_points} settings runs were stopped early; these settings "
    "have no value.",
    Kind.MISSING: "The grid has gaps: {cells} settings without a result among those that have one.",
    Kind.FOR_ZERO: "The lowest {axis} ({value:.3g}) lies {decades:.2g} decades below the next one "
    "({next:.3g}), more than two steps of the grid: if it stands for 0, write 0.",
    Kind.SCATTERED: "Most of the {points} settings are scattered instead of on a grid: edges are "
    "those of the tried range, and no settings to add are proposed.",
}


def warning_sentence(warning: GridWarning) -> str:
    """Sentence of a warning, under "sentence" of `hpstudy compare --json`."""
    numbers = {**warning.numbers, "cells": len(warning.cells)}
    if ends := numbers.get("ends"):
        numbers["ends"] = " and ".join(f"the {side} {axis} ({at:.3g})" for axis, side, at in ends)
    if ranges := numbers.get("range"):
        numbers["where"] = "".join(
            f", {axis} {'from' if high is None else 'up to'} {low if high is None else high:.3g}"
            for axis, (low, high) in ranges.items()
            if (low, high) != (None, None)
        )
    return _SENTENCES[warning.kind].format_map({"where": "", **numbers})
