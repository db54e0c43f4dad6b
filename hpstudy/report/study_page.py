"""Head and foot of a study's page: facts about the study, and the pages of its settings."""

from collections.abc import Iterable
from html import escape

import plotly.graph_objects as go

from hpstudy.analysis.study_results import DATA_TITLES, StudyResults
from hpstudy.config.study import DENSE
from hpstudy.errors import count
from hpstudy.plots.cells import plot_cells
from hpstudy.plots.labels import short_title
from hpstudy.report.notebook import number_text
from hpstudy.storage.tables import METRIC_TITLES

STYLE = "display: grid; grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr))"
Fact = tuple[str, str, str]
"""Name, value and note."""


def facts_html(facts: Iterable[Fact]) -> str:
    """Strip of facts, each a value below its name and above its note."""
    cells = (
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong>"
        f"<small>{escape(note)}</small></dd></div>"
        for name, value, note in facts
    )
    return f'<dl class="hpstudy-facts" style="{STYLE}">{"".join(cells)}</dl>'


def study_facts(study: StudyResults) -> list[Fact]:
    """What one study trained, on what, and how long it took."""
    params, record = study.record["study"], study.record["record"]
    data, recipe = params["data"], params["recipe"]
    landscapes = study.landscapes().values()
    seeds, missing = max(x.seeds for x in landscapes), sum(study.missing.values())
    size = f"{data['image_size']}×{data['image_size']}"
    hours = record["train_seconds"] / 3600
    time = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return [
        ("Network", study.title, size_text(study, DENSE)),
        ("Images", DATA_TITLES.get(data["name"], data["name"]), f"{data['train']:,} of {size}"),
        (
            "Training",
            count(recipe["epochs"], "epoch"),
            "smaller than the thesis's"
            if study.scaled_down
            else f"batches of {recipe['batch_size']}",
        ),
        ("Settings", str(max(len(x.points) for x in landscapes)), "a network"),
        (
            "Runs",
            f"{len(study.table):,}",
            f"{missing:,} missing" if missing else f"up to {count(seeds, 'seed')} a setting",
        ),
        ("Time", time, record["device"].replace("cpu", "CPU")),
    ]


def other_accuracies(study: StudyResults) -> dict[str, go.Figure]:
    """Landscapes of a study by its accuracies other than the first, under their titles."""
    widest = max(study.thresholds)
    return {
        METRIC_TITLES[name]: plot_cells(study.landscapes(name), widest)
        for name in study.metrics[1:]
    }


def settings_html(study: StudyResults) -> str:
    """Table of a study's networks, each pruned one with a link to the page of its sweep."""
    heads = ("network", "runs", "parameters", "best top-1 (%)")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = []
    for name, landscape in study.landscapes().items():
        link = escape(short_title(name))
        if name != DENSE:
            link = f'<a href="{escape(study.name)}/{escape(name)}.html">{link}</a>'
        size = size_text(study, name).removesuffix(" parameters")
        numbers = (landscape.runs, size, number_text(landscape.best, 1))
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        rows.append(f'<tr><th scope="row">{link}</th>{cells}</tr>')
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="hpstudy-table hpstudy-settings">{table}</div>'


def size_text(study: StudyResults, variant: str) -> str:
    """Number of parameters of one network: "160 k parameters"; empty where it is unknown."""
    reports = study.record["certificates"]
    if variant == DENSE:
        sizes = [report.get("params_dense") for report in reports.values()]
    else:
        sizes = [reports[variant].get("params")] if variant in reports else []
    if not sizes or sizes[0] is None:
        return ""
    return (
        f"{sizes[0] / 1e6:.2f} M parameters"
        if sizes[0] >= 1e6
        else f"{sizes[0] / 1e3:.0f} k parameters"
    )
