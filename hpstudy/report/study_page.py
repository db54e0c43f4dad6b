"""Facts, answers and links on the pages of studies and of sweeps."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from hpstudy.analysis.study_results import StudyResults, data_title
from hpstudy.analysis.verdict import VerdictGroup, trainings, verdict
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.plots.cells import plot_cells
from hpstudy.plots.labels import axis_title, setting_text, short_title
from hpstudy.report.verdicts import TEMPLATES, verdict_html
from hpstudy.storage.tables import METRIC_TITLES

Fact = tuple[str, str, str]
"""Name, value and note."""


def facts_html(study: StudyResults) -> str:
    """Strip of facts about a study, each a value below its name and above its note."""
    return TEMPLATES.get_template("facts.html").render(facts=study_facts(study))


def study_facts(study: StudyResults) -> list[Fact]:
    """What one study trained, on what, and how long it took."""
    params, record = study.record["study"], study.record["record"]
    data, recipe = params["data"], params["recipe"]
    landscapes = study.landscapes().values()
    seeds, missing = max(x.seeds for x in landscapes), sum(study.missing.values())
    size = f"{data['image_size']}×{data['image_size']}"
    hours = record["train_seconds"] / 3600
    stem = f", {params['stem']} stem" if params.get("stem") else ""
    return [
        ("Network", study.title, f"{size_text(study, DENSE)} parameters{stem}"),
        ("Images", data_title(data["name"]), f"{data['train']:,} of {size}"),
        (
            "Training",
            count(recipe["epochs"], "epoch"),
            "smaller than the thesis's"
            if study.scaled_down
            else f"batches of {recipe['batch_size']}",
        ),
        ("Settings", str(max(len(x.points) for x in landscapes)), _skipped_text(record)),
        (
            "Runs",
            f"{len(study.table):,}",
            f"{missing:,} missing" if missing else f"up to {count(seeds, 'seed')} a setting",
        ),
        (
            "Time",
            f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes",
            record["device"].replace("cpu", "CPU"),
        ),
    ]


def _skipped_text(record: Mapping[str, Any]) -> str:
    skipped = record.get("skipped", {}).values()
    return f"a network; up to {max(skipped)} skipped" if skipped else "a network"


def size_text(study: StudyResults, variant: str) -> str:
    """Number of parameters of one network: "160 k", "1.23 M"."""
    millions = study.table.loc[study.table["variant"] == variant, "params"].iloc[0] / 1e6
    return f"{millions:.2f} M" if millions >= 1 else f"{1e3 * millions:.0f} k"


def settings_html(study: StudyResults) -> str:
    """Table of a study's networks, each pruned one with a link to the page of its sweep."""
    return TEMPLATES.get_template("settings.html").render(
        study=study.name,
        networks=study.landscapes(),
        dense=DENSE,
        title=short_title,
        size=partial(size_text, study),
    )


# --- pages of sweeps ------------------------------------------------------------------------------


def networks(runs: StudyResults, pruning: str) -> list[str]:
    """Networks to show: the dense one, and those of a pruning, or of "all"."""
    names = list(runs.landscapes())
    if pruning == "all":
        return names
    if pruning not in names:
        raise unknown("pruning", pruning, ["all", *names])
    return list(dict.fromkeys([DENSE, pruning]))


def metric_figures(runs: StudyResults) -> dict[str, go.Figure]:
    """Landscapes by the metrics beside top-1 accuracy."""
    return {
        METRIC_TITLES[metric]: plot_cells(runs.landscapes(metric), max(runs.thresholds))
        for metric in runs.metrics[1:]
    }


def answer_html(runs: StudyResults, shown: list[str]) -> str:
    """Verdicts on the pruned networks that are shown, and what follows from each in words."""
    if not (pruned := [name for name in shown if name != DENSE]):
        raise HpstudyError("there is no pruned network to compare the dense one with.")
    verdicts, rows = [], []
    dense = runs.landscapes()[DENSE]
    for name in pruned:
        result = verdict(runs.analysis(), name, max(runs.thresholds))
        counts = trainings(runs.analysis(), name)["local"].items()
        known = [(number, target) for target, number in counts if number]
        row: dict[str, Any] = {"title": short_title(name), "verdict": result}
        row["trainings"] = known[:1]
        row["axes"] = {
            axis_title(axis): (of, setting_text(dense.best_at[axis]), 10**of.shift.estimate)
            for axis, of in result.axes.items()
        }
        verdicts.append(result)
        rows.append(row)
    table = verdict_html([VerdictGroup(runs.heading, verdicts)], detailed=True)
    return table + TEMPLATES.get_template("advice.html").render(rows=rows)


def landscape_figures(runs: StudyResults, shown: list[str]) -> dict[str, go.Figure]:
    """Landscape of each network that is shown, with its levels, by the network's title."""
    every, threshold, figures = runs.landscapes(), max(runs.thresholds), {}
    for name in shown:
        figure = plot_cells(every, threshold, [name], numbers=True)
        # The page has the title above the figure.
        figure.for_each_annotation(lambda note: note.update(text=note.text.rpartition("<br>")[2]))
        figures[short_title(name)] = figure
    return figures
