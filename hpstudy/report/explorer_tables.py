"""What the explorer shows: runs to choose from, and tables of two landscapes."""

import math
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.intervals import UNKNOWN
from hpstudy.analysis.landscape import Landscape, common_points, landscapes, setting_keys
from hpstudy.analysis.risk import risk
from hpstudy.analysis.run_tables import RunTable, read_runs
from hpstudy.analysis.shift import difference, roi_overlap
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults, in_order, read_result
from hpstudy.config.grid import AXES
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.plots.interactive import Sliders
from hpstudy.plots.labels import metric_of, roi_title, variant_title
from hpstudy.report.notebook import number_text
from hpstudy.storage.tables import TABLE_COLUMNS

USUAL_THRESHOLD = 0.5
"""Threshold of accuracies, in percentage points."""


@dataclass(frozen=True, eq=False)
class Source:
    """Runs to explore: a published study, or a table of the user.

    `axes` and `metrics` are columns that can be shown, and `start` is the first threshold of the
    regions of interest, in percentage points; None for a metric that is no accuracy.
    """

    label: str
    table: pd.DataFrame
    dense: str
    axes: tuple[str, ...]
    metrics: tuple[str, ...]
    goal: str = "maximize"
    ceiling: float | None = None
    start: float | None = None
    made: dict[tuple[str, ...], dict[str, Landscape]] = field(default_factory=dict)

    def landscapes(self, metric: str, axes: tuple[str, ...]) -> dict[str, Landscape]:
        """Landscapes of the networks by variant, the dense one first; made once."""
        key = (metric, *axes)
        if key not in self.made:
            self.made[key] = landscapes(
                self.table, metric, self.dense, axes, self.goal, self.ceiling
            )
        return self.made[key]

    def sliders(self, axes: tuple[str, ...]) -> Sliders:
        """Landscapes over one or two axes, with thresholds for a slider."""
        networks = {metric: self.landscapes(metric, axes) for metric in self.metrics}
        start = self.start
        if start is None:
            dense = networks[self.metrics[0]][self.dense]
            spread = dense.best - float(dense.points["value"].median())
            # A round number makes round steps of the slider.
            start = float(f"{spread / 4:.1g}") if math.isfinite(spread) and spread > 0 else 0.25
        return Sliders(self.label, self.table, networks, start)


def read_sources(
    sources: Iterable[str | Path | RunTable],
) -> tuple[dict[str, Source], list[str]]:
    """Sources by name, and a message for each file that cannot be read.

    Sources are folders of published tables, and tables of the user as `read_runs` returns them or
    as files; of studies with one name the last one is taken.

    Raises
    ------
    HpstudyError
        If nothing can be read.
    """
    sources, messages = list(sources), []
    own: dict[str, Source] = {}
    studies: dict[str, StudyResults] = {}
    published: dict[str, Source] = {}
    for given in sources:
        if isinstance(given, RunTable):
            name = f"own runs {len(own) + 1}" if own else "own runs"
            own[name] = own_source(name, given)
            continue
        path = Path(given)
        for file in [path] if path.is_file() else sorted(path.glob("*.csv")):
            try:
                if path.is_file():
                    own[file.stem] = own_source(file.stem, read_runs(file))
                else:
                    studies[file.stem] = read_result(file)
            except HpstudyError as error:
                messages.append(str(error))
    for name, results in in_order(studies.values()).items():
        try:
            published[name] = _published_source(results)
        except HpstudyError as error:
            messages.append(f"{name}: {error}")
    if not own and not published:
        places = ", ".join(str(one) for one in sources if not isinstance(one, RunTable))
        reasons = f": {messages[0]}" if messages else ""
        raise HpstudyError(f"no study has been published yet in {places}{reasons}.")
    return own | published, messages


def own_source(name: str, runs: RunTable) -> Source:
    """Table of the user as a source."""
    accuracy = runs.percent and runs.goal == "maximize"
    return Source(
        label=f"{name}, {count(len(runs.table), 'row')}",
        table=runs.table,
        dense=runs.dense,
        axes=runs.axes,
        metrics=(runs.metric,),
        goal=runs.goal,
        ceiling=100.0 if accuracy else None,
        start=USUAL_THRESHOLD if accuracy else None,
    )


def file_name(text: str) -> str:
    """Text as the name of a file: letters, digits, dots, dashes and underscores only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "view"


def read_upload(name: str, content: bytes) -> tuple[str, Source]:
    """Name and source of an uploaded table; refuses one that cannot be read or drawn."""
    with tempfile.TemporaryDirectory() as folder:
        # Runs are named by their file.
        path = Path(folder) / file_name(name)
        path.write_bytes(content)
        try:
            source = own_source(path.stem, read_runs(path))
            source.landscapes(source.metrics[0], source.axes[:2])
        except HpstudyError as error:
            raise HpstudyError(str(error).replace(f"{folder}/", "")) from None
    return path.stem, source


def _published_source(results: StudyResults) -> Source:
    axes = tuple(hyperparameters(results.table))
    start = results.risk_threshold
    return Source(results.label, results.table, DENSE, axes, results.metrics, start=start)


def hyperparameters(table: pd.DataFrame) -> list[str]:
    """Columns of a published table that can be an axis; refuses a table without any.

    Learning rate, weight decay, and columns that this package does not write itself; of finite
    numbers that are at least 0, with two or more different ones.
    """
    names = [name for name in table if name in AXES or name not in TABLE_COLUMNS]
    numeric = table[names].select_dtypes("number")
    axes = [
        name
        for name, column in numeric.items()
        if (np.isfinite(column) & (column >= 0)).all() and setting_keys(column).nunique() > 1
    ]
    if not axes:
        raise HpstudyError("a landscape needs a hyperparameter with two values; the table has none")
    return axes


def network_table(analysis: StudyAnalysis, threshold: float, multiple: float) -> pd.DataFrame:
    """Numbers of two networks, one column each, that need all runs: noise, and what lies under it.

    The analysis is that of the landscapes "left" and "right"; the threshold is in the metric's
    unit, and `multiple` are the standard deviations that an ellipse reaches. The risk is that of
    keeping the left network's region of interest (equation 3.5). Intervals are of 95 %.
    """
    columns, region = [], roi_title(threshold)
    left = analysis.landscapes["left"]
    for side, landscape in analysis.landscapes.items():
        points, metric = landscape.points, metric_of(landscape)
        shape, lost = analysis.shape(side, threshold), risk(left, landscape, threshold)
        best = analysis.best(side).scaled(metric.sign)
        cells = {
            "points": len(points),
            "runs at a point": f"{points['seeds'].min()} to {points['seeds'].max()}",
            "median SD over runs": metric.text(points["std"].median()),
            "best": metric.level(landscape.sign * landscape.best),
            "best, without noise": metric.interval(best),
            f"points in the {region}": len(landscape.roi(threshold)),
            f"points in the {region}, without noise": shape.n,
            "ellipse length in decades, without noise": shape.length.scaled(multiple / 2),
            "mean risk at the left network's region": f"{metric.text(lost.mean)} (n = {lost.n})",
            "mean risk, without noise": metric.interval(analysis.risk(side, threshold).mean),
        }
        columns.append(pd.Series(cells, name=variant_title(landscape.variant), dtype=object))
    # Both networks may be the same.
    return pd.concat(columns, axis="columns").rename_axis("quantity")


def pair_table(analysis: StudyAnalysis, threshold: float, multiple: float) -> pd.DataFrame:
    """Numbers of the comparison of two networks; parameters as of `network_table`."""
    left, right = analysis.landscapes.values()
    compared, shift = difference(left, right), analysis.shift("right", threshold)
    ellipses = (left.ellipse(threshold, multiple), right.ellipse(threshold, multiple))
    centres = [ellipse.centre for ellipse in ellipses if ellipse]
    apart = math.dist(*centres) if len(centres) == 2 else math.nan
    cells = {
        "settings that both have": compared.n,
        "rank correlation, Spearman": compared.spearman,
        "rank correlation, Kendall": compared.kendall,
        f"overlap of the {roi_title(threshold)}s, Jaccard": roi_overlap(left, right, threshold),
        "distance of the ellipses' centres, decades": apart,
        "without noise: Spearman": shift.spearman_interval if shift else UNKNOWN,
        "without noise: distance of the centres": shift.shift_interval if shift else UNKNOWN,
        "its permutation test, p": number_text(shift.shift_p if shift else math.nan, 3),
    }
    return pd.DataFrame({"right − left": pd.Series(cells, dtype=object)}).rename_axis("quantity")


def view_table(left: Landscape, right: Landscape, threshold: float) -> pd.DataFrame:
    """Data of the explorer's view, to be saved as CSV.

    `threshold` is that of the regions of interest, in the metric's unit.

    Returns
    -------
    DataFrame of shape (n_left + n_right, 10 + n_axes)
        side ("left", "right"), variant, metric and the columns of `Landscape.levels`; `from_best`,
        the value minus the network's best (0 or worse), `in_region`, and `difference`: the right
        network's `from_best` minus the left one's, on the right network's rows. NaN where there is
        no value.
    """
    frames = []
    for side, landscape in (("left", left), ("right", right)):
        keys = {"side": side, "variant": landscape.variant, "metric": landscape.metric}
        frame = pd.DataFrame(keys, index=landscape.points.index).join(landscape.levels)
        frame["from_best"] = landscape.sign * (landscape.points["value"] - landscape.best) + 0.0
        frame["in_region"] = landscape.in_roi(threshold)
        frame["difference"] = math.nan
        frames.append(frame.reset_index(drop=True))
    _, rows = common_points(left, right)
    compared = difference(left, right).points["difference"].to_numpy()
    frames[1].loc[rows, "difference"] = left.sign * compared + 0.0
    return pd.concat(frames, ignore_index=True)
