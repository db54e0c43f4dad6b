"""All numbers of `hpstudy compare --full` in a terminal: the screen's verdicts, then tables."""

import math
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from rich.table import Table
from rich.text import Text

from hpstudy.analysis.anova import shares
from hpstudy.analysis.comparison import Comparison, warning_sentence
from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.risk import risks
from hpstudy.analysis.verdict import pooled_verdict
from hpstudy.errors import count, printed
from hpstudy.plots.labels import Metric, axis_title, factor_text, metric_of, setting_text
from hpstudy.report import screen
from hpstudy.report.notebook import MISSING, cell_text
from hpstudy.report.tables import DEGREES, Row, noise_row, region_row, shift_row
from hpstudy.report.terminal import show

# Characters of a network's name, and of a line of a heading.
NAME, HEADING = 16, 13
TIES = "= number of further settings that are exactly as good as the best."


def show_full(comparison: Comparison) -> None:
    """Print how the tables were read, the verdicts, the warnings, and every number."""
    analysis = comparison.analysis
    metric = metric_of(analysis.landscapes[analysis.dense])
    show(*(Text(printed(note)) for note in comparison.runs.notes), "")
    show(screen.dense_line(comparison), "")
    if comparison.verdicts:
        show(screen.verdict_table(comparison, comparison.verdicts, detailed=True))
        if pooled := pooled_verdict([(analysis, max(comparison.roi))]):
            answers = (
                f"{axis_title(axis)} {pooled.answers[axis]}, {factor_text(shift)}"
                for axis, shift in pooled.axes.items()
            )
            show(Text(f"all {pooled.networks} with shifts: {'; '.join(answers)}"))
        show("", *screen.advice(comparison), "", screen.key(comparison))
    else:
        show(screen.ALONE)
    if any(landscape.ties for landscape in analysis.landscapes.values()):
        show(TIES)
    for name, landscape in analysis.landscapes.items():
        for warning in grid_warnings(landscape, comparison.roi):
            cells = f" ({count(len(warning.cells), 'cell')} to add)" if len(warning.cells) else ""
            show(Text(f"{printed(name)}: {warning_sentence(warning)}{cells}"))
    unit = "points" if metric.percent else metric.name
    dense_roi = f"the dense network's {comparison.tolerable:g}-ROI"
    for title, rows, of_metric in (
        (f"Landscapes ({metric.headed}, mean over seeds)", _landscapes(comparison, metric), True),
        (
            "Regions (settings as measured; ellipses without noise, in decades)",
            _regions(comparison),
            False,
        ),
        (f"Loss at the dense network's settings ({unit})", _losses(comparison), True),
        (f"Risk over {dense_roi} ({unit})", _risks(comparison), True),
        ("Shift from the dense network", _shifts(comparison), False),
        (f"Variance by axis (down to {_depth(comparison):g} {unit})", _variance(comparison), False),
    ):
        if found := list(rows):
            show("", title, _table(found, metric if of_metric else None))


def _table(rows: list[Row], metric: Metric | None) -> Table:
    """Table of rows; their levels and losses are written by a `metric`."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    names = [printed(row["network"]) for row in rows]
    widest = max(map(len, names))
    table.add_column("network", overflow="fold", min_width=min(NAME, widest), vertical="top")
    for heading in list(rows[0])[1:]:
        table.add_column("\n".join(wrap(heading, HEADING)), overflow="fold")
    for name, row in zip(names, rows, strict=True):
        table.add_row(name, *(_text(value, metric) for value in list(row.values())[1:]))
    return table


def _text(value: Any, metric: Metric | None) -> str:
    """Text of a cell: a value, and on a second line its interval or bounds."""
    if isinstance(value, str):
        text = value
    elif metric is None or isinstance(value, int):
        text = cell_text(value)
    elif isinstance(value, Loss):
        text = metric.loss(value)
    else:
        text = metric.interval(value) if isinstance(value, Interval) else metric.text(value)
    return text.replace(" (", "\n(")


def _landscapes(comparison: Comparison, metric: Metric) -> Iterator[Row]:
    """Best of each network, where it is, and the noise of a run."""
    for name, landscape in comparison.analysis.landscapes.items():
        row: Row = {"network": name} | noise_row(comparison.analysis, name)
        marks = "^" * landscape.on_edge + f" ={landscape.ties}" * bool(landscape.ties)
        row["best"] = metric.text(row["best"]) + marks
        row["SD of replicates"] = f"{metric.text(row['SD of replicates'])} ({row.pop(DEGREES)} df)"
        known = math.isfinite(landscape.best)
        best_at = "\n".join(map(setting_text, landscape.best_at.values())) if known else MISSING
        row |= {"best at " + ", ".join(map(axis_title, landscape.best_at)): best_at}
        yield row | {"runs": f"{landscape.runs:,}\nat {count(len(landscape.points), 'setting')}"}


def _regions(comparison: Comparison) -> Iterator[Row]:
    """Each region without noise, and the number of its settings as measured."""
    for name, landscape in comparison.analysis.landscapes.items():
        for threshold in comparison.roi:
            row = region_row(comparison.analysis, name, threshold)
            expected = row["settings"].partition(" ")[2]
            row["settings"] = f"{len(landscape.roi(threshold))} {expected}".rstrip()
            yield {"network": name, "within": f"{threshold:g}"} | row


def _depth(comparison: Comparison) -> float:
    """Depth below the best from which a setting is bad, however deep it is."""
    return 5 * max(comparison.roi)


def _variance(comparison: Comparison) -> Iterator[Row]:
    """Shares of the variance that an axis alone explains, and both together only."""
    names = [*map(axis_title, comparison.runs.axes), "both together"]
    for name in comparison.analysis.landscapes:
        if found := shares(comparison.analysis, name, _depth(comparison)):
            yield {"network": name, **dict(zip(names, found.values(), strict=True))}


def _losses(comparison: Comparison) -> Iterator[Row]:
    for row in comparison.verdicts:
        yield {
            "network": row.variant,
            "measured": row.measured,
            "without noise": row.loss,
            "at the second best": row.second,
        }


def _risks(comparison: Comparison) -> Iterator[Row]:
    """Risk as measured, as in the thesis's Table 4.2, and without noise."""
    analysis, threshold = comparison.analysis, comparison.tolerable
    for name, risk in risks(analysis.landscapes, threshold).items():
        yield {
            "network": name,
            "settings": risk.n,
            "mean": risk.mean,
            "standard deviation": risk.std,
            "mean, % of best": cell_text(100 * risk.relative_mean),
            "without noise": Loss(*analysis.risk(name, threshold).mean),
        }


def _shifts(comparison: Comparison) -> Iterator[Row]:
    for name in comparison.analysis.pruned:
        for threshold in comparison.roi:
            if row := shift_row(comparison.analysis, name, threshold):
                yield {"network": name, "within": f"{threshold:g}"} | row
