"""What the page of a sweep shows besides figures: the answer, what to do, the price, the region."""

import math

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import VerdictGroup, trainings, verdict
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, unknown
from hpstudy.plots import plot_cells
from hpstudy.plots.labels import axis_title, setting_text, short_title
from hpstudy.report.notebook import MISSING, interval_text
from hpstudy.report.tables import indexed
from hpstudy.report.verdicts import TEMPLATES, verdict_html


def networks(runs: StudyResults, pruning: str) -> list[str]:
    """Networks to show: the dense one, and those of a pruning, or of "all"."""
    names = list(runs.landscapes())
    if pruning == "all":
        return names
    if pruning not in names:
        raise unknown("pruning", pruning, ["all", *names])
    return list(dict.fromkeys([DENSE, pruning]))


def answer_html(runs: StudyResults, pruning: str = "all") -> str:
    """Verdicts on the pruned networks that are shown, and what follows from each in words."""
    verdicts, rows = [], []
    dense = runs.landscapes()[DENSE]
    for name in _pruned(runs, pruning):
        result = verdict(runs.analysis(), name, max(runs.thresholds))
        counts = trainings(runs.analysis(), name)["local"].items()
        known = [(number, target) for target, number in counts if number]
        row = {"title": short_title(name), "verdict": result, "trainings": known[:1]}
        row["axes"] = {
            axis_title(axis): (of, setting_text(dense.best_at[axis]), 10**of.shift.estimate)
            for axis, of in result.axes.items()
        }
        verdicts.append(result)
        rows.append(row)
    table = verdict_html([VerdictGroup(runs.heading, verdicts)], detailed=True)
    return table + TEMPLATES.get_template("advice.html").render(rows=rows)


def price_table(runs: StudyResults, pruning: str = "all") -> pd.DataFrame:
    """Runs, recorded time, FLOPs and parameters of each network that is shown."""
    rows = []
    for name in networks(runs, pruning):
        own = runs.table[runs.table["variant"] == name]
        unit = "a core" if (own["device"] == "cpu").all() else "a GPU"
        row = {"network": short_title(name), "settings": len(runs.landscapes()[name].points)}
        row |= {"runs": len(own), "seconds a run": float(own["seconds"].median())}
        row |= {f"hours of {unit}": float(own["seconds"].sum() / 3600)}
        row |= {"million MACs": float(own["macs"].iloc[0] / 1e6)}
        rows.append(row | {"parameters": int(own["params"].iloc[0])})
    return indexed(rows, ["network"])


def landscape_figures(runs: StudyResults, pruning: str = "all") -> dict[str, go.Figure]:
    """Landscape of each network that is shown, with its levels, by the network's title."""
    shown, threshold, figures = runs.landscapes(), max(runs.thresholds), {}
    for name in networks(runs, pruning):
        figure = plot_cells(shown, threshold, [name], numbers=True)
        # The page has the title above the figure.
        figure.for_each_annotation(lambda note: note.update(text=note.text.rpartition("<br>")[2]))
        figures[short_title(name)] = figure
    return figures


def good_region_table(runs: StudyResults, pruning: str = "all") -> pd.DataFrame:
    """Good settings of the networks that are shown, without the noise of single runs.

    Columns are networks; rows the number of settings, the ellipse in decades, and its centre.
    """
    columns = {}
    for name in networks(runs, pruning):
        shape = runs.analysis().shape(name, max(runs.thresholds))
        columns[short_title(name)] = {
            "good settings": interval_text(shape.n, digits=0),
            "ellipse, length (decades)": interval_text(shape.length),
            "ellipse, width (decades)": interval_text(shape.width),
            "centre, learning rate": _value_text(shape.first),
            "centre, weight decay": _value_text(shape.second),
        }
    return pd.DataFrame(columns, dtype=object).rename_axis("good region")


def _value_text(decades: Interval) -> str:
    """Value with its interval, of its decimal logarithm: "0.032 (0.025 to 0.038)"; or a dash."""
    if not math.isfinite(decades.estimate):
        return MISSING
    estimate, low, high = (f"{10**decade:#.2g}".removesuffix(".") for decade in decades)
    return f"{estimate} ({low} to {high})"


def _pruned(runs: StudyResults, pruning: str) -> list[str]:
    if not (names := [name for name in networks(runs, pruning) if name != DENSE]):
        raise HpstudyError("there is no pruned network to compare the dense one with.")
    return names
