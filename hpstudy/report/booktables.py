"""Tables 3.2, 3.4, 4.1 and 4.2 of this book's studies beside the published ones, and its checks.

Every function returns a tidy frame; columns that begin with `published_` are the thesis's. They
stand in the row of the same network and variant or, where the thesis has not that network, of its
relative (`hpstudy.analysis.thesis_tables.RELATIVES`): `published_model` names it. They are NaN where it has none.
"""

import math
from collections.abc import Iterable

import pandas as pd

from hpstudy.analysis import thesis_tables
from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.study_results import StudyResults
from hpstudy.plots.labels import roi_title

KEYS = ["model", "variant"]
THESIS_ROI = (0.5, 1.0)
THESIS_RISK = 0.5
"""Thresholds of the thesis's regions of interest and of its risk, in percentage points."""


def sizes(studies: Iterable[StudyResults], networks: dict[str, dict]) -> pd.DataFrame:
    """Table 3.2: size of each dense network, at the thesis's image size and at each study's.

    Parameters
    ----------
    studies : iterable of StudyResults
        Published studies.
    networks : dict of str to dict
        As `hpstudy.networks.pruning_report.network_sizes` returns them; may be empty.

    Returns
    -------
    DataFrame of shape (n_networks + n_studies, 10)
        at (whose image size), model, input_shape, params, flops (twice the multiply-accumulates
        of convolutions and linear layers, for one image), flops_torch_pruning (twice that
        library's counter; NaN for studies), and the published model, input shape, params_millions,
        flops.
    """
    rows = [
        {
            "at": "the thesis's image size",
            "model": model,
            "input_shape": f"{one['image_size']}x{one['image_size']}x3",
            "params": one["params"],
            "flops": 2 * one["macs"],
            "flops_torch_pruning": 2 * one["macs_torch_pruning"],
        }
        for model, one in networks.items()
    ]
    for results in studies:
        size = results.record["study"]["data"]["image_size"]
        dense = results.table[results.table["variant"] == "unpruned"].iloc[0]
        rows.append(
            {
                "at": results.name,
                "model": results.model,
                "input_shape": f"{size}x{size}x3",
                "params": int(dense["params"]),
                "flops": 2 * int(dense["macs"]),
                "flops_torch_pruning": math.nan,
            }
        )
    columns = ["at", "model", "input_shape", "params", "flops", "flops_torch_pruning"]
    return _beside(rows, columns, thesis_tables.table_3_2(), ["model"])


def priors(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 3.4: the prior of each study and the dense network's accuracy there.

    Returns
    -------
    DataFrame of shape (n_studies, 10)
        study, model, lr, weight_decay, top1 (percent, mean over seeds; NaN if the prior is not
        on the grid), seeds, and the published model, lr, weight_decay, top1.
    """
    rows = []
    for results in studies:
        prior = results.record["study"]["prior"]
        points = next(iter(results.landscapes().values())).points
        at = [points[axis] == float(f"{prior[axis]:.9g}") for axis in ("lr", "weight_decay")]
        here = points[at[0] & at[1]]
        rows.append(
            {
                "study": results.name,
                "model": results.model,
                "lr": prior["lr"],
                "weight_decay": prior["weight_decay"],
                "top1": float(here["value"].iloc[0]) if len(here) else math.nan,
                "seeds": int(here["seeds"].iloc[0]) if len(here) else 0,
            }
        )
    columns = ["study", "model", "lr", "weight_decay", "top1", "seeds"]
    return _beside(rows, columns, thesis_tables.table_3_4().drop(columns="top5"), ["model"])


def bests(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Best accuracy of every network over its grid, and where it is.

    Returns
    -------
    DataFrame of shape (n_variants, 10)
        study, model, variant, points (of the grid), runs (at all of them), top1 (percent; biased
        upward, as every best of many), lr, weight_decay, and the published model and its
        top1 (section 4.1.1).
    """
    rows = [
        {
            "study": results.name,
            "model": results.model,
            "variant": name,
            "points": len(landscape.points),
            "runs": landscape.runs,
            "top1": landscape.best,
            **landscape.best_at,
        }
        for results in studies
        for name, landscape in results.landscapes().items()
    ]
    columns = ["study", *KEYS, "points", "runs", "top1", "lr", "weight_decay"]
    return _beside(rows, columns, thesis_tables.best_accuracies().drop(columns="top5"), KEYS)


def ellipses(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.1: ellipses of two standard deviations around the regions of interest.

    The thesis's thresholds are always among them, also where the study names others.

    Returns
    -------
    DataFrame of shape (n_variants x n_thresholds, 14)
        study, model, variant, roi (threshold in percentage points), n (points in it), length,
        width (decades), log10_weight_decay, log10_lr (centre), and the published model, length,
        width and centre. NaN below five points.
    """
    rows = []
    for results in studies:
        for name, landscape in results.landscapes().items():
            for threshold in sorted({*results.thresholds, *THESIS_ROI}, reverse=True):
                ellipse = landscape.ellipse(threshold)
                rows.append(
                    {
                        "study": results.name,
                        "model": results.model,
                        "variant": name,
                        "roi": threshold,
                        "n": len(landscape.roi(threshold)),
                        "length": ellipse.length if ellipse else math.nan,
                        "width": ellipse.width if ellipse else math.nan,
                        "log10_weight_decay": ellipse.centre[1] if ellipse else math.nan,
                        "log10_lr": ellipse.centre[0] if ellipse else math.nan,
                    }
                )
    centre = {"weight_decay": "log10_weight_decay", "lr": "log10_lr"}
    columns = ["study", *KEYS, "roi", "n", "length", "width", *centre.values()]
    return _beside(rows, columns, thesis_tables.table_4_1().rename(columns=centre), [*KEYS, "roi"])


def risk_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.2: risk of keeping the dense network's settings.

    Returns
    -------
    DataFrame of shape (n_variants x n_thresholds, 14)
        study, model, variant, roi (threshold of the dense network's region: the study's and the
        thesis's, which is 0.5), n (its points at which the variant has a value), mean, std
        (percentage points), relative_mean, relative_std (fractions), and the published model and
        its mean, std, relative_mean and relative_std.
    """
    rows = []
    for results in studies:
        for threshold in sorted({results.risk_threshold, THESIS_RISK}, reverse=True):
            for name, one in results.risks(threshold).items():
                rows.append(
                    {
                        "study": results.name,
                        "model": results.model,
                        "variant": name,
                        "roi": threshold,
                        "n": one.n,
                        "mean": one.mean,
                        "std": one.std,
                        "relative_mean": one.relative_mean,
                        "relative_std": one.relative_std,
                    }
                )
    columns = ["study", *KEYS, "roi", "n", "mean", "std", "relative_mean", "relative_std"]
    return _beside(rows, columns, thesis_tables.table_4_2().assign(roi=THESIS_RISK), [*KEYS, "roi"])


def checks(results: StudyResults) -> pd.DataFrame:
    """Facts to know of each landscape before believing it.

    Returns
    -------
    DataFrame of shape (n_variants, 7 or more)
        variant, points, runs, top1 (the best), on_edge (whether the best lies on the edge of the
        grid), diverged (share of runs), one column of points for each region of interest, missing
        (runs still to be trained), and `warnings`: how many `warnings_table` has of it.
    """
    rows = []
    for name, landscape in results.landscapes().items():
        points = landscape.points
        regions = {roi_title(x): len(landscape.roi(x)) for x in results.thresholds}
        rows.append(
            {
                "variant": name,
                "points": len(points),
                "runs": landscape.runs,
                "top1": landscape.best,
                "on_edge": landscape.on_edge,
                "diverged": float(
                    (points["diverged"] * points["seeds"]).sum() / points["seeds"].sum()
                ),
                **regions,
                "missing": results.missing.get(name, 0),
                "warnings": len(grid_warnings(landscape, results.thresholds)),
            }
        )
    return pd.DataFrame(rows)


def warnings_table(results: StudyResults) -> pd.DataFrame:
    """Warnings of the grids of a study: variant, kind and the number of settings to add."""
    rows = [
        (name, warning.kind, len(warning.cells))
        for name, landscape in results.landscapes().items()
        for warning in grid_warnings(landscape, results.thresholds)
    ]
    return pd.DataFrame(rows, columns=["variant", "kind", "cells"])


def _beside(
    rows: list[dict], columns: list[str], published: pd.DataFrame, keys: list[str]
) -> pd.DataFrame:
    """Rows of this book with the thesis's columns of the same keys beside them."""
    own = pd.DataFrame(rows, columns=columns)
    theirs = published.rename(
        columns={name: f"published_{name}" for name in published.columns if name not in keys}
    )
    theirs.insert(0, "published_model", theirs["model"])
    own["relative"] = own["model"].replace(thesis_tables.RELATIVES)
    theirs = theirs.rename(columns={"model": "relative"})
    keys = ["relative", *(key for key in keys if key != "model")]
    return own.merge(theirs, on=keys, how="left").drop(columns="relative")
