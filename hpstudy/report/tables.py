"""Tables of the studies: pooled verdicts, transfer regret, regions, shifts, noise and grids.

A function returns a frame with one row a network, or a network and a region of interest. Its index
names the row; its columns are headed as the book shows them. Cells hold numbers, `Interval` or
`Loss` (NaN where there is none); accuracies are percentages, losses and risks percentage points,
shifts and diameters decades.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from hpstudy.analysis.grid_checks import Kind, grid_warnings
from hpstudy.analysis.intervals import NO_LOSS, UNKNOWN
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import DATA_TITLES, StudyResults
from hpstudy.analysis.verdict import TARGETS, pooled_verdict, trainings
from hpstudy.config.grid import AXES
from hpstudy.plots.labels import axis_title, factor_text, short_title
from hpstudy.report.notebook import interval_text
from hpstudy.storage.tables import METRIC_TITLES

KEYS = ["study", "variant"]

WARNINGS = {
    Kind.NO_VALUE: "no setting has a value",
    Kind.OPTIMUM_ON_EDGE: "the best setting lies on the edge of the grid",
    Kind.REGION_ON_EDGE: "the region reaches the edge of the grid",
    Kind.FEW_POINTS: "the region has too few settings for an ellipse",
    Kind.COARSE: "the region is narrower than two steps of the grid",
    Kind.DIVERGED: "runs diverged",
    Kind.STOPPED: "runs were stopped early and have no value",
    Kind.MISSING: "settings inside the grid have no result",
    Kind.FOR_ZERO: "the smallest value may stand for 0",
    Kind.SCATTERED: "most settings are scattered, not on a grid",
}


def decisive(studies: Iterable[StudyResults], settings: int = 40) -> list[StudyResults]:
    """Finished studies with replicates and enough settings of each network; all if none is."""
    studies = list(studies)
    finished = [study for study in studies if study.replicated and not study.missing]
    return [study for study in finished if min(_settings(study)) >= settings] or studies


def studies_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Network, data, length of training and number of runs of each study."""
    rows = []
    for study in studies:
        data, recipe = study.record["study"]["data"], study.record["study"]["recipe"]
        row = {
            "study": study.name,
            "network": study.title,
            "images": DATA_TITLES.get(data["name"], data["name"]),
            "size": f"{data['image_size']}×{data['image_size']}",
            "trained on": int(data["train"]),
            "tested on": int(data["test"]),
            "epochs": int(recipe["epochs"]),
            "settings": max(_settings(study)),
            "runs": len(study.table),
            "runs missing": sum(study.missing.values()),
            "smaller than the thesis's": study.scaled_down,
        }
        rows.append(row)
    return indexed(rows, ["study"])


def pooled_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Verdicts on the pruned networks of each study together, then on those of all studies.

    Good settings are those of the widest region of interest of a study. Shifts, as factors, and
    losses are means over the networks that have an interval.
    """
    studies = list(studies)
    pools = {study.heading: [(study.analysis(), max(study.thresholds))] for study in studies}
    if len(pools) > 1:
        pools["all"] = [pool for own in pools.values() for pool in own]
    rows = []
    for heading, pool in pools.items():
        networks = sum(len(analysis.pruned) for analysis, _ in pool)
        result = pooled_verdict(pool)
        known = result.networks if result else 0
        row: dict[Any, Any] = {
            "study": heading,
            ("networks", "with shifts"): f"{known} of {networks}",
        }
        for axis in AXES:
            row[axis_title(axis), "verdict"] = result.answers[axis] if result else None
            shift = result.axes[axis] if result else UNKNOWN
            row[axis_title(axis), "shift"] = factor_text(shift)
        rows.append(row | {("loss", "points"): result.loss if result else NO_LOSS})
    return _grouped(indexed(rows, ["study"]))


def transfer_regret_table(studies: Iterable[StudyResults], metric: str = "top1") -> pd.DataFrame:
    """Loss at the dense network's best setting, and the further trainings that bring it down.

    Settings are drawn at random, or by a local search from there, until the expected loss is at
    most 0.5, 0.25 and 0.1 points; None where no number of trainings does that on the grid.
    """
    rows = []
    for study, analysis, name in _networks(studies, pruned=True, metric=metric):
        row: dict[Any, Any] = _keys(study, name) | {
            ("loss", "measured"): analysis.measured_transfer_regret(name),
            ("loss", "without noise"): analysis.transfer_regret(name),
        }
        for search, numbers in trainings(analysis, name).items():
            title = {"random": "random choice", "local": "local search"}[search]
            row |= {(title, f"{target:g}"): numbers.get(target) for target in TARGETS}
        rows.append(row)
    return _grouped(indexed(rows, KEYS))


def transfer_regret_tables(study: StudyResults) -> dict[str, pd.DataFrame]:
    """`transfer_regret_table` of one study by each accuracy, under its title."""
    return {METRIC_TITLES[name]: transfer_regret_table([study], name) for name in study.metrics}


def region_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Regions of interest of the noise-free landscapes: Table 4.1 with intervals.

    The band is log10 weight decay = a - b log10 learning rate (equation 2.2 has b = 1).
    """
    rows = []
    for study, analysis, name in _networks(studies):
        for threshold in reversed(study.thresholds):
            shape = analysis.shape(name, threshold)
            row = _keys(study, name, threshold) | {
                "settings": interval_text(shape.n, digits=0),
                "length": shape.length,
                "width": shape.width,
                "log₁₀ weight decay": shape.second,
                "log₁₀ learning rate": shape.first,
                "slope b of the band": shape.band.b,
            }
            rows.append(row)
    return indexed(rows, [*KEYS, "region"])


def shift_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Differences between each pruned network's landscape and the dense network's.

    "Overlap by noise alone" is the Jaccard index of two measurements of one landscape.
    """
    rows = []
    for study, analysis, name in _networks(studies, pruned=True):
        for threshold in reversed(study.thresholds):
            if shift := analysis.shift(name, threshold):
                row = _keys(study, name, threshold) | {
                    "common settings": shift.n,
                    "Spearman": shift.spearman_interval,
                    "overlap": shift.jaccard,
                    "overlap by noise alone": shift.jaccard_by_noise,
                    "shift of the centre": shift.shift_interval,
                    "p of the shift": shift.shift_p,
                }
                rows.append(row)
    return indexed(rows, [*KEYS, "region"])


def noise_table(study: StudyResults) -> pd.DataFrame:
    """Best accuracy of each network as measured and without noise, and the noise of one run."""
    analysis, rows = study.analysis(), []
    for name, landscape in analysis.landscapes.items():
        surrogate = analysis.surrogates.get(name)
        row = {
            "variant": short_title(name),
            "best (%)": landscape.best,
            "without noise (%)": analysis.best(name),
            "SD of a run": surrogate.noise if surrogate else math.nan,
            "SD of replicates": surrogate.noise_model.replicates[0] if surrogate else math.nan,
        }
        rows.append(row)
    return indexed(rows, ["variant"])


def grid_table(study: StudyResults) -> pd.DataFrame:
    """Number of settings, of runs and of warnings of each network's grid."""
    rows = []
    for name, landscape in study.landscapes().items():
        points = landscape.points
        row = {"variant": short_title(name), "settings": len(points), "runs": landscape.runs}
        row["missing"] = study.missing.get(name, 0)
        row["diverged"] = round(float((points["diverged"] * points["seeds"]).sum()))
        row |= {f"within {_points(x)}": len(landscape.roi(x)) for x in study.thresholds}
        row["best on edge"] = landscape.on_edge
        row["warnings"] = len(grid_warnings(landscape, study.thresholds))
        rows.append(row)
    return indexed(rows, ["variant"])


def warning_table(study: StudyResults) -> pd.DataFrame:
    """Warnings of each network's grid, and the number of settings to add against each."""
    rows = [
        {
            "variant": short_title(name),
            "warning": WARNINGS[warning.kind],
            "region within": _points(warning.numbers.get("threshold")),
            "settings to add": len(warning.cells),
        }
        for name, landscape in study.landscapes().items()
        for warning in grid_warnings(landscape, study.thresholds)
    ]
    return indexed(rows, ["variant"])


def indexed(rows: list[dict[str, Any]], keys: list[str]) -> pd.DataFrame:
    """Frame of rows, headed by its keys also where there are none."""
    # As objects: a None would otherwise turn a column of counts into floats.
    return pd.DataFrame(rows, columns=None if rows else keys, dtype=object).set_index(keys)


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Table whose columns, pairs of names, have two levels."""
    if len(table.columns):
        table.columns = pd.MultiIndex.from_tuples(list(table.columns))
    return table


def _keys(study: StudyResults, variant: str, threshold: float | None = None) -> dict[str, Any]:
    keys: dict[str, Any] = {"study": study.heading, "variant": short_title(variant)}
    return keys if threshold is None else keys | {"region": f"within {_points(threshold)}"}


def _points(threshold: float | None) -> str | None:
    """Threshold of a region with its unit: "2 points"."""
    if threshold is None:
        return None
    return f"{threshold:g} point" + ("" if threshold == 1 else "s")


def _settings(study: StudyResults) -> list[int]:
    """Number of settings of each network."""
    return [len(landscape.points) for landscape in study.landscapes().values()]


def _networks(
    studies: Iterable[StudyResults], pruned: bool = False, metric: str = "top1"
) -> Iterator[tuple[StudyResults, StudyAnalysis, str]]:
    for study in studies:
        analysis = study.analysis(metric)
        for name in analysis.pruned if pruned else analysis.landscapes:
            yield study, analysis, name
