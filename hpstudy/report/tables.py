"""Which studies stand beside the thesis, and tables of studies: verdicts, losses, regions, costs.

A function returns a frame with one row a network, or a network and a region of interest. Its index
names the row; its columns are headed as the book shows them. Cells hold numbers, `Interval` or
`Loss` (NaN where there is none); accuracies are percentages, losses and risks percentage points,
shifts and diameters decades.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from hpstudy.analysis.anova import shares
from hpstudy.analysis.comparison import warning_sentence
from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.intervals import NO_LOSS, UNKNOWN
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.analysis.thesis_data import RELATIVES
from hpstudy.analysis.verdict import TARGETS, pooled_verdict, trainings
from hpstudy.config.grid import AXES
from hpstudy.config.study import Study
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import axis_title, factor_text, short_title
from hpstudy.report.notebook import cell_text, interval_text
from hpstudy.storage.tables import METRIC_TITLES
from hpstudy.workspace import find_root

KEYS, WITHIN, DEGREES = ["study", "variant"], "within (points)", "degrees of freedom"
Row = dict[Any, Any]
"""Values of a row of a table by their headings."""
SEARCHES = {
    "random": "trainings at random, until loss",
    "local": "trainings by local search, until loss",
}


def decisive(studies: Iterable[StudyResults], settings: int = 40) -> list[StudyResults]:
    """Finished studies with replicates and enough settings of each network; all if none is."""
    studies = list(studies)
    finished = [study for study in studies if study.replicated and not study.missing]
    return [study for study in finished if min(_settings(study)) >= settings] or studies


def counterpart(studies: Iterable[StudyResults], *models: str) -> StudyResults:
    """Study with the most runs of the first network of the thesis, or family, that has any."""
    families: dict[str, list[StudyResults]] = {}
    for study in studies:
        families.setdefault(_family(study), []).append(study)
    for model in filter(families.get, models):
        return max(families[model], key=lambda study: len(study.table))
    titles = " or ".join(MODEL_TITLES[model] for model in models)
    raise HpstudyError(f"no study of {titles} has been published yet.")


def beside(studies: list[StudyResults]) -> list[StudyResults]:
    """Decisive studies, and all of networks of the thesis that have no decisive one."""
    large = decisive(studies)
    families = {_family(study) for study in large}
    return [study for study in studies if study in large or _family(study) not in families]


def initial_grid(study: StudyResults) -> dict[str, tuple[float, ...]]:
    """Grid of a study before it grew, by axis, from its params file; empty without one."""
    path = find_root() / "params" / f"{study.name.replace('-', '/', 1)}.yaml"
    if not path.is_file():
        return {}
    planned = Study.load(path)
    return {axis: planned.grid.values(axis, planned.prior) for axis in AXES}


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
        row: Row = {"study": heading, ("networks", "with shifts"): f"{known} of {networks}"}
        for axis in AXES:
            row[axis_title(axis), "verdict"] = result.answers[axis] if result else None
            shift = result.axes[axis] if result else UNKNOWN
            row[axis_title(axis), "shift"] = factor_text(shift)
        rows.append(row | {("loss", "points"): result.loss if result else NO_LOSS})
    return _grouped(indexed(rows, ["study"]))


def transfer_regret_table(studies: Iterable[StudyResults], metric: str = "top1") -> pd.DataFrame:
    """Loss at the dense network's best setting, and the further trainings that bring it down.

    Settings are drawn at random, or by a local search from there, until the expected loss is at
    most one of `TARGETS`; None where no number of trainings does that on the grid.
    """
    rows = []
    for study, analysis, name in _networks(studies, pruned=True, metric=metric):
        row: Row = _keys(study, name)
        row["loss of keeping", "measured"] = analysis.measured_transfer_regret(name)
        row["loss of keeping", "without noise"] = analysis.transfer_regret(name)
        for search, numbers in trainings(analysis, name).items():
            row |= {
                (SEARCHES[search], f"≤\N{NO-BREAK SPACE}{target:g}"): numbers.get(target)
                for target in TARGETS
            }
        rows.append(row)
    return _grouped(indexed(rows, KEYS))


def region_table(
    studies: Iterable[StudyResults], shown: Iterable[str] | None = None
) -> pd.DataFrame:
    """Regions of interest (`region_row`) of the networks of studies, or of those shown only."""
    rows = [
        _keys(study, name, threshold) | region_row(analysis, name, threshold)
        for study, analysis, name in _networks(studies)
        if shown is None or name in shown
        for threshold in reversed(study.thresholds)
    ]
    return indexed(rows, [*KEYS, WITHIN])


def shift_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Shifts (`shift_row`) of the pruned networks of studies."""
    rows = [
        _keys(study, name, threshold) | row
        for study, analysis, name in _networks(studies, pruned=True)
        for threshold in reversed(study.thresholds)
        if (row := shift_row(analysis, name, threshold))
    ]
    return indexed(rows, [*KEYS, WITHIN])


def variance_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Shares of the variance that each axis explains alone, and both together only."""
    names = [*map(axis_title, AXES), "both together"]
    rows = [
        _keys(study, name) | dict(zip(names, found.values(), strict=True))
        for study, analysis, name in _networks(studies)
        if (found := shares(analysis, name, 5 * max(study.thresholds)))
    ]
    return indexed(rows, KEYS)


def noise_table(study: StudyResults) -> pd.DataFrame:
    """Best accuracy and noise (`noise_row`) of each network of a study."""
    analysis = study.analysis()
    rows = [
        {"variant": short_title(name)} | noise_row(analysis, name) for name in analysis.landscapes
    ]
    return indexed(rows, ["variant"])


def region_row(analysis: StudyAnalysis, name: str, threshold: float) -> Row:
    """Region of interest of a noise-free landscape: its size, and the ellipse around it.

    The ellipse has its diameters in decades, and its centre in values.
    """
    shape, axes = analysis.shape(name, threshold), analysis.landscapes[name].axes
    row: Row = {"settings": interval_text(shape.n, digits=0)}
    row |= {"length": shape.length, "width": shape.width}
    return row | {
        f"centre, {axis_title(axis)}": factor_text(centre).removeprefix("×")
        for axis, centre in zip(axes, (shape.first, shape.second), strict=False)
    }


def shift_row(analysis: StudyAnalysis, name: str, threshold: float) -> Row:
    """Difference between a pruned network's landscape and the dense network's; empty without one.

    The overlap of the regions is their Jaccard index, that by noise the index of two measurements
    of one landscape. The centre's shift is in decades, along all axes together.
    """
    shift = analysis.shift(name, threshold)
    if shift is None:
        return {}
    p = shift.shift_p
    return {
        "settings": shift.n,
        "Spearman": shift.spearman_interval,
        "overlap": shift.jaccard,
        "overlap by noise": shift.jaccard_by_noise,
        "shift of centre": shift.shift_interval,
        "p of shift": "< 0.001" if p < 0.001 else cell_text(p, 3),
    }


def noise_row(analysis: StudyAnalysis, name: str) -> Row:
    """Best level as measured and without noise, and the noise of one run."""
    landscape, surrogate = analysis.landscapes[name], analysis.surrogates.get(name)
    deviation, degrees = surrogate.noise_model.replicates if surrogate else (math.nan, 0)
    return {
        "best": landscape.sign * landscape.best,
        "without noise": analysis.best(name).scaled(landscape.sign),
        "SD of a run": surrogate.noise if surrogate else math.nan,
        "SD of replicates": deviation,
        DEGREES: degrees,
    }


def transfer_regret_tables(study: StudyResults) -> dict[str, pd.DataFrame]:
    """`transfer_regret_table` of a study, by metric."""
    return {
        METRIC_TITLES[metric]: transfer_regret_table([study], metric) for metric in study.metrics
    }


def cost_table(studies: Iterable[StudyResults], shown: Iterable[str] | None = None) -> pd.DataFrame:
    """Runs, time and size of the networks of studies, or of those shown only.

    Seconds and images per second are medians of the runs trained to the end.
    """
    rows = []
    for study, _, name in _networks(studies):
        if shown is None or name in shown:
            runs = study.table[study.table["variant"] == name]
            whole = runs[runs["top1"].notna()]
            row: Row = _keys(study, name) | {
                "runs": len(runs),
                "seconds a run": float(whole["seconds"].median()),
                "images/s": float(whole["images_per_second"].median()),
                "minutes in all": float(runs["seconds"].sum() / 60),
                "million MACs": float(runs["macs"].iloc[0] / 1e6),
                "parameters": int(runs["params"].iloc[0]),
            }
            rows.append(row)
    return indexed(rows, KEYS)


def grid_table(study: StudyResults) -> pd.DataFrame:
    """Number of settings, of runs and of warnings of each network's grid."""
    rows = []
    for name, landscape in study.landscapes().items():
        points = landscape.points
        row = {"variant": short_title(name), "settings": len(points), "runs": landscape.runs}
        row["missing"] = study.missing.get(name, 0)
        row["diverged"] = round(float((points["diverged"] * points["seeds"]).sum()))
        row |= {f"within {x:g}": len(landscape.roi(x)) for x in study.thresholds}
        row["best on edge"] = landscape.on_edge
        row["warnings"] = len(grid_warnings(landscape, study.thresholds))
        rows.append(row)
    return indexed(rows, ["variant"])


def warning_table(study: StudyResults) -> pd.DataFrame:
    """Warnings of each network's grid, and the number of settings to add against each."""
    rows = []
    for name, landscape in study.landscapes().items():
        for warning in grid_warnings(landscape, study.thresholds):
            sentence = warning_sentence(warning)
            for axis in AXES:
                sentence = sentence.replace(f" {axis} ", f" {axis_title(axis)} ")
            row = {"variant": short_title(name), "warning": sentence}
            rows.append(row | {"settings to add": len(warning.cells)})
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
    return keys if threshold is None else keys | {WITHIN: f"{threshold:g}"}


def _family(study: StudyResults) -> str:
    return RELATIVES.get(study.model, study.model)


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
