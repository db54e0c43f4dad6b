"""Tables of the thesis from 2.3 on and its best accuracies, with this book's numbers.

Columns have two levels: "This book", and "Thesis" with the numbers of the same network and variant.
Where the thesis lacks a network, these are of the deeper one of its family
(`hpstudy.analysis.thesis_data.RELATIVES`), which the thesis's column "network" names.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import thesis_data as thesis
from hpstudy.analysis.intervals import Loss
from hpstudy.analysis.landscape import Landscape, setting_keys
from hpstudy.analysis.regions import Ellipse
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.config.grid import AXES, setting_key
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.plots.labels import axis_title, roi_title, setting_text, short_title

THESIS_ROI = (0.5, 1.0)
THESIS_RISK = 0.5
"""Thresholds of the thesis's regions of interest and of its risk, in percentage points."""

AUTHORS = {"wang2023": "Wang et al. (2023)", "liu2019": "Liu et al. (2019)"}
_SETTING = {axis: axis_title(axis) for axis in AXES}
_CENTRE = {"weight_decay": "log₁₀ weight decay", "lr": "log₁₀ learning rate"}
_ACCURACY = {"top1": "top-1 (%)", "top5": "top-5 (%)"}
NO_ELLIPSE = Ellipse(math.nan, math.nan, (math.nan, math.nan), math.nan)


def hyperparameter_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 2.3: typical ranges of the hyperparameters, and what the studies use."""
    params = [study.record["study"] for study in studies]
    used = {"learning rate decay": "lr_decay", "decay epochs": "lr_decay_epochs"}
    table, ranges = thesis.table_2_3(), []
    for name in table["hyperparameter"]:
        key = used.get(name, name.replace("learning rate", "lr").replace(" ", "_"))
        values = [one["grid"].get(key, one["recipe"].get(key)) for one in params]
        every = np.unique(np.concatenate([np.ravel(value) for value in values]))
        ends = [setting_text(end) for end in dict.fromkeys([every.min(), every.max()])]
        ranges.append(" to ".join(ends))
    titles = {"typical": "typical (thesis)", "description": "what it is"}
    return table.assign(**{"this book": ranges}).rename(columns=titles).set_index("hyperparameter")


def data_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 3.1: images that each study trains and tests on."""
    rows = []
    for study in studies:
        data, reports = study.record["study"]["data"], study.record["certificates"].values()
        row = _row(study) | {"training": data["train"], "test": data["test"]}
        rows.append(row | {"classes": next((made.get("classes") for made in reports), None)})
    headings = {"input_shape": "input", "train": "training"}
    return _beside(rows, thesis.table_3_1().rename(columns=headings), ["model"])


def recipe_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 3.3: recipe of each study; what all share with the thesis is left out."""
    titles = {"batch_size": "batch", "epochs": "epochs", "lr_decay_epochs": "decay after epochs"}
    titles |= {"lr_decay": "decay", "momentum": "momentum"}
    rows = []
    for study in studies:
        recipe = dict(study.record["study"]["recipe"])
        recipe["lr_decay_epochs"] = ", ".join(map(str, recipe["lr_decay_epochs"]))
        rows.append(_row(study) | {title: recipe[key] for key, title in titles.items()})
    return _beside(rows, thesis.table_3_3().rename(columns=titles), ["model"])


def confidence_table() -> pd.DataFrame:
    """Table 3.5: share of a Gaussian outside the ellipse, computed and as printed."""
    table = thesis.table_3_5().rename(columns={"multiplier": "standard deviations"})
    own = np.exp(-(table["standard deviations"] ** 2) / 2)
    columns = {("This book", "outside"): own, ("Thesis", "outside"): table["level"]}
    return pd.DataFrame(columns).set_index(table["standard deviations"])


def size_table(studies: Iterable[StudyResults], networks: dict[str, Any]) -> pd.DataFrame:
    """Table 3.2: size of each dense network, at the thesis's image size and at each study's.

    `networks` is the measurement of that name: sizes at the thesis's image size, by model.
    """
    sizes = [
        ({"study": f"{_network_title(model)}, the thesis's images", "model": model}, size)
        for model, size in networks.items()
    ]
    for study in studies:
        dense = study.table.loc[study.table["variant"] == DENSE, ["params", "macs"]].iloc[0]
        sizes.append((_row(study), dict(dense)))
    rows = [
        row
        | {
            "parameters (M)": size["params"] / 1e6,
            "FLOPs (M)": 2 * size["macs"] / 1e6,
            "by torch-pruning (M)": 2 * size.get("macs_torch_pruning", math.nan) / 1e6,
        }
        for row, size in sizes
    ]
    published = thesis.table_3_2()
    published["flops"] /= 1e6
    headings = {"input_shape": "input", "params_millions": "parameters (M)", "flops": "FLOPs (M)"}
    return _beside(rows, published.rename(columns=headings), ["model"])


def prior_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 3.4: the prior of each study, and the dense network's accuracy there, if trained."""
    rows = []
    for study in studies:
        prior = study.record["study"]["prior"]
        row = _row(study) | {title: prior[axis] for axis, title in _SETTING.items()}
        for metric, title in _ACCURACY.items():
            points = _points(study, metric, DENSE)
            for axis in AXES:
                points = points[setting_keys(points[axis]) == setting_key(prior[axis])]
            row[title] = points["value"].sum(min_count=1)
            row.setdefault("seeds", int(points["seeds"].sum()))
        rows.append(row)
    return _beside(rows, thesis.table_3_4().rename(columns=_SETTING | _ACCURACY), ["model"])


def best_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Section 4.1.1: best accuracy of every network over its grid, and where it is."""
    rows = []
    for study, row, landscape in _networks(studies):
        row |= {"settings": len(landscape.points), "runs": landscape.runs}
        row |= {"top-1 (%)": landscape.best}
        row |= {"top-5 (%)": _points(study, "top5", landscape.variant)["value"].max()}
        row |= {_SETTING[axis]: value for axis, value in landscape.best_at.items()}
        rows.append(row)
    published = thesis.best_accuracies().rename(columns=_ACCURACY)
    return _beside(rows, published, ["model", "variant"])


def ellipse_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.1: ellipses of the regions of interest; NaN below five settings.

    The thesis's two regions are among them, also where a study names others.
    """
    rows = []
    for study, row, landscape in _networks(studies):
        for threshold in sorted({*study.thresholds, *THESIS_ROI}, reverse=True):
            ellipse = landscape.ellipse(threshold) or NO_ELLIPSE
            region = {"roi": threshold, "settings": len(landscape.roi(threshold))}
            region |= {"length": ellipse.length, "width": ellipse.width}
            first, second = ellipse.centre
            rows.append(row | region | {_CENTRE["weight_decay"]: second, _CENTRE["lr"]: first})
    published = thesis.table_4_1().rename(columns=_CENTRE)
    return _beside(rows, published, ["model", "variant", "roi"])


def risk_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Table 4.2: risk over the dense network's region of interest: the study's and the 0.5-ROI.

    "Mean without noise" is a `Loss`.
    """
    rows = []
    for study, row, landscape in _networks(studies):
        for threshold in sorted({study.risk_threshold, THESIS_RISK}, reverse=True):
            risk = study.risks(threshold)[landscape.variant]
            region = {"roi": threshold, "settings": risk.n, "mean": risk.mean, "SD": risk.std}
            region["mean (% of best)"] = 100 * risk.relative_mean
            region["SD (% of best)"] = 100 * risk.relative_std
            noiseless = Loss(*study.analysis().risk(landscape.variant, threshold).mean)
            rows.append(row | region | {"mean without noise": noiseless})
    published = thesis.table_4_2().assign(roi=THESIS_RISK)
    published[["relative_mean", "relative_std"]] *= 100
    headings = {"relative_mean": "mean (% of best)", "relative_std": "SD (% of best)", "std": "SD"}
    return _beside(rows, published.rename(columns=headings), ["model", "variant", "roi"])


def pruned_accuracy_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Accuracy lost to pruning: in studies, in the thesis and by others, most FLOPs first.

    Studies and the thesis give the best of a grid, others a mean at one setting. "Points lost" is
    an `Interval` of the noise-free landscapes for studies, a number for others.
    """
    best = thesis.best_accuracies().set_index(["model", "variant"])["top1"]
    rows = []
    for study in studies:
        analysis = study.analysis()
        dense, *pruned = analysis.landscapes.values()
        for landscape in pruned:
            lost = analysis.accuracy_drop(landscape.variant)
            source = ("this book", study.heading, landscape.variant)
            rows.append((*source, dense.best, landscape.best, lost))
    for (model, name), top1 in best.drop(DENSE, level="variant").items():
        dense_top1 = best[model, DENSE]
        rows.append(("thesis", model, name, dense_top1, top1, dense_top1 - top1))
    named = [
        (f"{source}, {short_title(name)}", model, parse_variant(name)[1], *numbers)
        for source, model, name, *numbers in rows
    ]
    for other in thesis.from_scratch().itertuples():
        numbers = (other.flops_ratio, other.dense_top1, other.top1, other.dense_top1 - other.top1)
        named.append((AUTHORS[other.source], other.model, *numbers))
    columns = ["source", "network", "FLOPs left (%)", "dense (%)", "pruned (%)", "points lost"]
    frame = pd.DataFrame(named, columns=columns)
    frame = frame.sort_values("FLOPs left (%)", ascending=False, kind="stable", ignore_index=True)
    frame["network"] = frame["network"].map(_network_title)
    frame["FLOPs left (%)"] *= 100
    return frame


def claim_table(agreements: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on claims of the thesis (an `agreement` of `hpstudy.analysis.thesis_claims`)."""
    pairs = zip(agreements["variant"], agreements["against"], strict=True)
    columns = {
        "networks": [" less ".join(short_title(name) for name in pair if name) for pair in pairs],
        "region": agreements["roi"].map(roi_title, na_action="ignore"),
        "number": agreements["value"],
    }
    shown = ["verdict", "number", "study", "networks", "region", "of", "section"]
    return agreements.assign(**columns).set_index("claim")[shown]


def count_texts(counts: Mapping[str, Mapping[str, int]], answers: Sequence[str]) -> dict[str, str]:
    """Number of networks with each answer, by what is judged, as words for `glue`."""
    return {
        key: ", ".join(f"{answer} {given[answer]}" for answer in answers)
        for key, given in counts.items()
    }


def _networks(
    studies: Iterable[StudyResults],
) -> Iterator[tuple[StudyResults, dict[str, Any], Landscape]]:
    """Networks of studies, each with the keys of its row."""
    for study in studies:
        for name, landscape in study.landscapes().items():
            yield study, _row(study) | {"variant": name}, landscape


def _row(study: StudyResults) -> dict[str, Any]:
    return {"study": study.heading, "model": study.model}


def _points(study: StudyResults, metric: str, variant: str) -> pd.DataFrame:
    """Points of one network's landscape; none where the study did not record the metric."""
    known = metric in study.metrics
    points = study.landscapes(metric if known else "top1")[variant].points
    return points if known else points.iloc[:0]


def _network_title(model: str) -> str:
    return MODEL_TITLES.get(model, model)


def _beside(rows: list[dict[str, Any]], published: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of this book with the thesis's of the same keys in columns of their own."""
    own = pd.DataFrame(rows)
    wanted = own[keys].assign(model=own["model"].replace(thesis.RELATIVES))
    published = published.assign(network=published["model"].map(_network_title))
    matched = wanted.merge(published, on=keys, how="left").drop(columns=keys)
    matched.insert(0, "network", matched.pop("network"))
    index = own[["study"]].copy()
    if "variant" in keys:
        index["variant"] = own["variant"].map(short_title)
    if "roi" in keys:
        index["region"] = own["roi"].map(roi_title)
    if "input" in matched:
        matched["input"] = matched["input"].str.replace("x", "×")
    own = own.drop(columns=["study", *keys])
    table = pd.concat({"This book": own, "Thesis": matched}, axis="columns")
    return table.set_index([index[name] for name in index])
