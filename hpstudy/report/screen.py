"""What a terminal shows of landscapes: the answer of `hpstudy compare`, and those of a sweep."""

import io
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from hpstudy.analysis.comparison import Comparison
from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.intervals import Loss
from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.verdict import NEGLIGIBLE, Answer, Verdict
from hpstudy.errors import HpstudyError, count, printed
from hpstudy.plots.labels import (
    Metric,
    axis_title,
    factor_text,
    metric_of,
    setting_text,
    short_title,
)
from hpstudy.report.terminal import MARKS, WIDTH, console, lines_of
from hpstudy.report.verdicts import marks

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan

ALONE = Text("There is one network only, and no verdict: add the table of a pruned one.")
HEIGHT = 30
"""Lines of a screen."""
# Ink that is read on each class of cells.
INKS = ("white", "white", "black", "black", "black")
# Lines at most of how the tables were read, and columns of a network's name and of a bar.
READING, NAME, BAR = 5, 24, 22
SIGNS = {"keep": "✓", "retune": "↻", "inconclusive": "?"}
DOTS = {"keep": "●", "retune": "■", "inconclusive": "○"}
STYLES = {"keep": "bold bright_blue", "retune": "bold dark_orange", "inconclusive": "default"}
ADVICE = {
    "keep": "Keep the {axis} at {value}: its good settings move by at most a factor of {factor:.0f}"
    "{networks}.",
    "retune": "Retune the {axis}: its good settings move by more than a factor of {factor:.0f}"
    "{networks}.",
    "few": "The {axis} is inconclusive{networks}: too few settings for an interval.",
    "end": "The {axis} is inconclusive{networks}: good settings reach the end of its grid.",
    "noise": "The {axis} is inconclusive{networks}: train more seeds at the good settings.",
}
BOTH = {
    "keep": "Keeping the dense network's best setting loses at most {tolerable}{networks}.",
    "retune": "Keeping the dense network's best setting loses more than {tolerable}{networks}.",
    "inconclusive": "Whether keeping it loses more than {tolerable} is inconclusive{networks}.",
}


def show_screen(comparison: Comparison, html: Path | None = None) -> None:
    """Print a comparison on one screen of at most `HEIGHT` lines of `WIDTH` characters."""
    rows = comparison.verdicts
    above = [*_reading(comparison), dense_line(comparison), Text()]
    below = [ALONE]
    if rows:
        below = [Text(), *advice(comparison), Text(), key(comparison)]
    below += _more(comparison, html)
    first, last = ([line for part in parts for line in lines_of(part)] for parts in (above, below))
    room = HEIGHT - len(first) - len(last) - 3
    detailed = 2 * len(rows) <= room
    fit = len(rows) if detailed or len(rows) <= room else room - 1
    middle = lines_of(verdict_table(comparison, rows[:fit], detailed)) if rows else []
    if fit < len(rows):
        cut = f"{count(len(rows) - fit, 'more network')}: --full shows all {len(rows)}."
        middle += lines_of(Text(cut, style="dim"))
    print(*first, *middle, *last, sep="\n")


def _reading(comparison: Comparison) -> list[Text]:
    """How the tables were read, in at most `READING` lines."""
    notes = Text(" ".join(map(printed, comparison.runs.notes)), style="dim")
    lines = list(notes.wrap(console(), WIDTH))
    if len(lines) > READING:
        lines = [*lines[: READING - 1], Text("… --full shows all of it.", style="dim")]
    return lines


def dense_line(comparison: Comparison) -> Text:
    """Best setting of the dense network."""
    landscape = comparison.analysis.landscapes[comparison.runs.dense]
    name = _cut(printed(comparison.runs.dense), NAME)
    if not math.isfinite(landscape.best):
        return Text(f"Dense network {name}: no setting has a value.", style="bold")
    best = metric_of(landscape).level(landscape.sign * landscape.best)
    at = _settings(landscape.best_at)
    return Text(f"Dense network {name}: {best} at {at}.", style="bold")


def _settings(setting: dict[str, float]) -> str:
    return ", ".join(f"{axis_title(axis)} {setting_text(at)}" for axis, at in setting.items())


def verdict_table(comparison: Comparison, rows: Sequence[Verdict], detailed: bool) -> Table:
    """Verdicts, a row a network; `detailed` adds a line of factors and losses to each."""
    metric = metric_of(comparison.analysis.landscapes[comparison.analysis.dense])
    largest = 4 * comparison.tolerable
    unit = "points" if metric.percent else metric.name
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\nnetwork", no_wrap=True, max_width=NAME)
    for axis in comparison.runs.axes:
        table.add_column(f"\n{axis_title(axis)[:NAME]}", no_wrap=True)
    head = _cut(f"  loss of keeping, {unit}", BAR + 4)
    table.add_column(f"{head}\n  {_scale(largest)}", no_wrap=True)
    table.add_column("still\ngood", justify="right", no_wrap=True)
    for row in rows:
        cells = [Text(_cut(printed(short_title(row.variant)), NAME))]
        for axis, of in row.axes.items():
            cells.append(_cell(of.answer, marks(row, axis), factor_text(of.shift), detailed))
        cells.append(_loss(row, metric, largest, detailed))
        table.add_row(*cells, f"{row.kept[0]} of {row.kept[1]}")
    return table


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cell(answer: Answer, mark: str, numbers: str, detailed: bool) -> Text:
    cell = Text(f"{SIGNS[answer]} {answer}", style=STYLES[answer])
    cell.append(mark)
    return cell.append(f"\n  {numbers}", style="not bold dim default") if detailed else cell


def _loss(row: Verdict, metric: Metric, largest: float, detailed: bool) -> Text:
    """Sign and bar of a loss; a second line has its numbers."""
    mark = marks(row, "both")
    cell = Text(f"{SIGNS[row.both]} ", style=STYLES[row.both])
    if not math.isfinite(row.loss.estimate):
        return cell.append(f"no interval{mark}")
    cell.append(_bar(row.loss, row.both, row.tolerable, largest)).append(mark)
    if detailed:
        cell.append(f"\n  {metric.loss(row.loss)}", style="not bold dim default")
    return cell


def _bar(loss: Loss, answer: Answer, tolerable: float, largest: float) -> str:
    """Loss and its bounds on a scale from 0, with a line at the tolerable one."""
    limit = _place(tolerable, largest)
    dot, low, high = (_place(value, largest) for value in loss)
    # Rounding must not carry an end across the limit.
    if loss.at_most <= tolerable:
        dot, high = min(dot, limit - 1), min(high, limit - 1)
    if loss.at_least > tolerable:
        dot, low = max(dot, limit + 1), max(low, limit + 1)
    places = ["━" if low <= place <= high else " " for place in range(BAR)]
    places[limit] = "┊"
    places[dot] = DOTS[answer]
    return "".join(places).rstrip()


def _place(value: float, largest: float) -> int:
    return round(max(0.0, min(value / largest, 1.0)) * (BAR - 1))


def _scale(largest: float) -> str:
    text = [" "] * (BAR + 6)
    for value in (0.0, largest / 4, largest / 2, largest):
        words = f"{value:.3g}"
        start = _place(value, largest) - (len(words) - 1) // 2
        text[max(0, start) : max(0, start) + len(words)] = words
    return "".join(text).rstrip()


def advice(comparison: Comparison) -> list[Text]:
    """A sentence for each hyperparameter; for a single one another on the loss."""
    rows, at = comparison.verdicts, comparison.analysis.landscapes[comparison.runs.dense].best_at
    sentences = []
    for axis in comparison.runs.axes:
        answers = [row.axes[axis].answer for row in rows]
        worst = _worst(answers)
        found = [row.axes[axis] for row in rows if row.axes[axis].answer == worst]
        kind: str = worst
        if worst == "inconclusive":
            known = [of for of in found if math.isfinite(of.shift.estimate)]
            kind = "few" if not known else "end" if any(of.at_end for of in known) else "noise"
        words = {"axis": axis_title(axis), "value": setting_text(at[axis])}
        words["networks"] = _networks(len(found), len(rows))
        sentences.append(ADVICE[kind].format(factor=10**NEGLIGIBLE, **words))
    if len(sentences) == 1:
        answers = [row.both for row in rows]
        worst = _worst(answers)
        networks = _networks(answers.count(worst), len(rows))
        limit = f"{comparison.tolerable:g}" + " points" * comparison.runs.percent
        sentences.append(BOTH[worst].format(tolerable=limit, networks=networks))
    return [Text(sentence, style="bold") for sentence in sentences]


def _worst(answers: Sequence[Answer]) -> Answer:
    order: tuple[Answer, ...] = ("retune", "inconclusive", "keep")
    return next(answer for answer in order if answer in answers)


def _networks(some: int, all_of_them: int) -> str:
    if all_of_them == 1:
        return ""
    return f" in {some} of {all_of_them} networks" if some < all_of_them else " in every network"


def key(comparison: Comparison) -> Text:
    """What the verdicts mean, and what the marks that are in the table say."""
    good, limit = comparison.verdicts[0].threshold, comparison.tolerable
    lines = [
        f"keep: the 95 % interval lies within a factor of {10**NEGLIGIBLE:.0f}, or the loss is at "
        f"most {limit:g}. Good: within {good:g} of a network's own best."
    ]
    columns = [*comparison.runs.axes, "both"]
    used = {
        mark for row in comparison.verdicts for column in columns for mark in marks(row, column)
    }
    lines += [f"{mark} {note}" for mark, note in MARKS.items() if mark in used]
    named = {of.answer for row in comparison.verdicts for of in row.axes.values()}
    # The loss has a sign without its word.
    alone = {row.both for row in comparison.verdicts} - named
    lines += [f"{SIGNS[answer]} {answer}." for answer in SIGNS if answer in alone]
    return Text("\n".join(lines), style="dim")


def _more(comparison: Comparison, html: Path | None) -> list[Text]:
    """How to see more, and what has been written."""
    networks = comparison.analysis.landscapes.values()
    warnings = sum(len(grid_warnings(network, comparison.roi)) for network in networks)
    grids = f" (with {count(warnings, 'grid warning')})" if warnings else ""
    more = [Text(f"More: hpstudy compare TABLE --full{grids}, --json, --html FILE")]
    return [*more, Text(f"Report: {printed(str(html))}", style="bold")] if html else more


# --- while a sweep goes on ------------------------------------------------------------------------


def draw_landscapes(plan: "AnyPlan") -> None:
    """Print the landscapes that a study has by now on standard error, above progress bars."""
    try:
        shown = landscapes(plan.table(), plan.metric, axes=plan.axes, goal=plan.goal)
    except HpstudyError:
        return  # the dense network has no run yet
    metric = metric_of(next(iter(shown.values()))).headed
    axes = [axis_title(axis) for axis in plan.axes]
    axes[0] += " (up)"
    text, threshold = io.StringIO(), max(plan.study.roi)
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    console = Console(file=text, force_terminal=sys.stderr.isatty(), width=width, highlight=False)
    console.print(
        f"{plan.study.name}: {metric} over {' and '.join(axes)}\n"
        f"* best, + within {threshold:g} of the best, - not trained or diverged"
    )
    points = pd.concat([own.points for own in shown.values()])
    settings = {axis: sorted(points[axis].unique()) for axis in plan.axes}
    tables = [landscape_table(own, threshold, settings) for own in shown.values()]
    console.print(Columns(tables, padding=2))
    tqdm.write(text.getvalue().rstrip(), sys.stderr)


def landscape_table(
    landscape: Landscape, threshold: float, settings: Mapping[str, Sequence[float]]
) -> Table:
    """Table of one landscape over some settings, a coloured cell each; a dash without a value."""
    up, *across = landscape.axes
    # A single axis has one column, without a name.
    levels = landscape.levels.assign(**({} if across else {"": ""}))
    levels = levels.pivot(index=up, columns=across[0] if across else "", values="value")
    columns = settings[across[0]] if across else [""]
    levels = levels.reindex(index=settings[up][::-1], columns=columns)
    title = short_title(landscape.variant)
    width = len(title) + 2
    table = Table(title=title, box=None, padding=0, title_style="bold", min_width=width)
    table.add_column(justify="right")
    for value in levels.columns:
        title = setting_text(value) if across else ""
        table.add_column(title, justify="center", min_width=8)
    for value, row in levels.iterrows():
        cells = [_level(level, landscape.best, threshold) for level in row]
        table.add_row(f"{setting_text(value)} ", *cells)
    return table


def _level(level: float, best: float, threshold: float) -> Text:
    if not np.isfinite(level):
        return Text("-")
    # It imports Plotly, which `compare` has no need of.
    from hpstudy.plots.cells import CLASSES, LIMITS

    number = int(np.searchsorted(LIMITS * threshold, best - level - 1e-9))
    mark = "*" if level == best else "+" if number < 2 else " "
    return Text(f" {level:.1f}{mark} ", f"{INKS[number]} on {CLASSES[number]}")
