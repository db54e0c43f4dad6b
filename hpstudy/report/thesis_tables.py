"""Tables 3.2, 3.4, 4.1 and 4.2 and the best accuracies of the thesis, with this book's numbers.

Columns have two levels: "This book", and "Thesis" with the numbers of the same network and variant.
Where the thesis lacks a network, these are of the deeper one of its family
(`hpstudy.analysis.thesis_tables.RELATIVES`), which the thesis's column "network" names.
"""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from hpstudy.analysis import thesis_tables as thesis
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.config.grid import AXES
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.plots.labels import axis_title, roi_title, short_title

THESIS_ROI = (0.5, 1.0)
THESIS_RISK = 0.5
"""Thresholds of the thesis's regions of interest and of its risk, in percentage points."""

AUTHORS = {"wang2023": "Wang et al. (2023)", "liu2019": "Liu et al. (2019)"}
_SETTING = {axis: axis_title(axis) for axis in AXES}
_CENTRE = {"weight_decay": "log₁₀ weight decay", "lr": "log₁₀ learning rate"}


def size_table(studies: Iterable[StudyResults], networks: dict[str, Any]) -> pd.DataFrame:
    """Table 3.2: size of each dense network.

    Parameters
    ----------
    studies : iterable of StudyResults
    networks : dict
        As `hpstudy.networks.sizes.network_sizes` returns them: sizes at the thesis's image size.

    Returns
    -------
    DataFrame
        FLOPs are twice the multiply-accumulates of convolutions and linear layers;
        torch-pruning's counter adds batch normalisation.
    """
    rows = [
        {
            "study": "at the thesis's image size",
            "model": model,
            "input": f"{size['image_size']}×{size['image_size']}×3",
            "parameters (M)": size["params"] / 1e6,
            "FLOPs (M)": 2 * size["macs"] / 1e6,
            "by torch-pruning (M)": 2 * size["macs_torch_pruning"] / 1e6,
        }
        for model, size in networks.items()
    ]
    for study in studies:
        dense = study.table[study.table["variant"] == DENSE].iloc[0]
        size = study.record["study"]["data"]["image_size"]
        rows.append(
            {
                "study": study.name,
                "model": study.model,
                "input": f"{size}×{size}×3",
                "parameters (M)": int(dense["params"]) / 1e6,
                "FLOPs (M)": 2 * int(dense["macs"]) / 1e6,
                "by torch-pruning (M)": math.nan,
            }
        )
    published = thesis.table_3_2()
    published["flops"] /= 1e6
    published["input_shape"] = published["input_shape"].str.replace("x", "×")
    headings = {"input_shape": "input", "params_millions": "parameters (M)", "flops": "FLOPs (M)"}
    return _beside(rows, published.rename(columns=headings), ["model"])


def prior_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 3.4: the prior of each study, and the dense network's accuracy there, if trained."""
    rows = []
    for study in studies:
        prior = study.record["study"]["prior"]
        points = study.landscapes()[DENSE].points
        at_prior = (points[list(AXES)] == [float(f"{prior[axis]:.9g}") for axis in AXES]).all(
            axis=1
        )
        found = points[at_prior]
        rows.append(
            {
                "study": study.name,
                "model": study.model,
                **{title: prior[axis] for axis, title in _SETTING.items()},
                "top-1 (%)": float(found["value"].iloc[0]) if len(found) else math.nan,
                "seeds": int(found["seeds"].iloc[0]) if len(found) else 0,
            }
        )
    published = thesis.table_3_4().drop(columns="top5")
    return _beside(rows, published.rename(columns=_SETTING | {"top1": "top-1 (%)"}), ["model"])


def best_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Section 4.1.1: best accuracy of every network over its grid, and where it is."""
    rows = [
        {
            "study": study.name,
            "model": study.model,
            "variant": name,
            "settings": len(landscape.points),
            "runs": landscape.runs,
            "top-1 (%)": landscape.best,
            **{_SETTING[axis]: value for axis, value in landscape.best_at.items()},
        }
        for study in studies
        for name, landscape in study.landscapes().items()
    ]
    published = thesis.best_accuracies().drop(columns="top5")
    return _beside(rows, published.rename(columns={"top1": "top-1 (%)"}), ["model", "variant"])


def ellipse_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.1: ellipses of the regions of interest; NaN below five settings.

    The thesis's two regions are among them, also where a study names others.
    """
    rows = []
    for study in studies:
        for name, landscape in study.landscapes().items():
            for threshold in sorted({*study.thresholds, *THESIS_ROI}, reverse=True):
                ellipse = landscape.ellipse(threshold)
                first, second = ellipse.centre if ellipse else (math.nan, math.nan)
                rows.append(
                    {
                        "study": study.name,
                        "model": study.model,
                        "variant": name,
                        "roi": threshold,
                        "settings": len(landscape.roi(threshold)),
                        "length": ellipse.length if ellipse else math.nan,
                        "width": ellipse.width if ellipse else math.nan,
                        _CENTRE["weight_decay"]: second,
                        _CENTRE["lr"]: first,
                    }
                )
    published = thesis.table_4_1().rename(columns=_CENTRE)
    return _beside(rows, published, ["model", "variant", "roi"])


def risk_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.2: risk over the dense network's region of interest: the study's and the 0.5-ROI."""
    rows = []
    for study in studies:
        for threshold in sorted({study.risk_threshold, THESIS_RISK}, reverse=True):
            for name, risk in study.risks(threshold).items():
                rows.append(
                    {
                        "study": study.name,
                        "model": study.model,
                        "variant": name,
                        "roi": threshold,
                        "settings": risk.n,
                        "mean": risk.mean,
                        "SD": risk.std,
                        "mean (% of best)": 100 * risk.relative_mean,
                        "SD (% of best)": 100 * risk.relative_std,
                    }
                )
    published = thesis.table_4_2().assign(roi=THESIS_RISK)
    published[["relative_mean", "relative_std"]] *= 100
    headings = {"relative_mean": "mean (% of best)", "relative_std": "SD (% of best)", "std": "SD"}
    return _beside(rows, published.rename(columns=headings), ["model", "variant", "roi"])


def pruned_accuracy_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Accuracy that pruning costs: of studies, of the thesis and of others, most FLOPs first.

    Returns
    -------
    DataFrame
        Studies and the thesis give the best of a grid, others a mean at one setting. The points
        lost are an `Interval` of the noise-free landscapes for studies, and a number for others.
    """
    rows = []
    for study in studies:
        analysis = study.analysis()
        for name in analysis.pruned:
            dense, pruned = (analysis.landscapes[which].best for which in (analysis.dense, name))
            rows.append(
                (study.name, study.model, name, dense, pruned, analysis.accuracy_drop(name))
            )
    best = thesis.best_accuracies().set_index(["model", "variant"])["top1"]
    for (model, name), top1 in best.items():
        if name != DENSE:
            dense = best[model, DENSE]
            rows.append(("thesis", model, name, dense, top1, dense - top1))
    sources = [
        (f"{source}, {short_title(name)}", model, parse_variant(name)[1], *numbers)
        for source, model, name, *numbers in rows
    ]
    for other in thesis.from_scratch().itertuples():
        numbers = (other.flops_ratio, other.dense_top1, other.top1, other.dense_top1 - other.top1)
        sources.append((AUTHORS[other.source], other.model, *numbers))
    columns = ["source", "network", "FLOPs left (%)", "unpruned (%)", "pruned (%)", "points lost"]
    frame = pd.DataFrame(sources, columns=columns)
    frame = frame.sort_values("FLOPs left (%)", ascending=False, kind="stable", ignore_index=True)
    frame["network"] = frame["network"].map(MODEL_TITLES)
    frame["FLOPs left (%)"] *= 100
    return frame


def claim_table(agreements: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on the claims of the thesis, as `hpstudy.analysis.thesis_claims.agreement` has them."""
    titles = agreements[["variant", "against"]].map(short_title)
    compared = titles["variant"] + agreements["against"].ne("").map({True: " less ", False: ""})
    compared += titles["against"].where(agreements["against"].ne(""), "")
    return agreements.assign(
        networks=compared,
        region=agreements["roi"].map(roi_title, na_action="ignore"),
        number=agreements["value"],
    )[["claim", "section", "of", "study", "networks", "region", "number", "verdict"]]


def _beside(rows: list[dict], published: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of this book with the thesis's of the same keys in columns of their own."""
    own = pd.DataFrame(rows)
    wanted = own[keys].assign(model=own["model"].replace(thesis.RELATIVES))
    published = published.assign(network=published["model"].map(MODEL_TITLES))
    matched = wanted.merge(published, on=keys, how="left").drop(columns=keys)
    matched.insert(0, "network", matched.pop("network"))
    index = own[["study"]].assign(
        network=own["model"].map(lambda name: MODEL_TITLES.get(name, name))
    )
    if "variant" in own:
        index["variant"] = own["variant"].map(short_title)
    if "roi" in own:
        index["region"] = own["roi"].map(roi_title)
    own = own.drop(columns=["study", *keys])
    table = pd.concat({"This book": own, "Thesis": matched}, axis="columns")
    return table.set_index(pd.MultiIndex.from_frame(index))
