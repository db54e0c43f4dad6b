"""Landscapes as tables of coloured numbers in a terminal, while a sweep goes on."""

import io
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.errors import HpstudyError
from hpstudy.plots.cells import CLASSES, LIMITS
from hpstudy.plots.labels import setting_text, short_title

if TYPE_CHECKING:
    from hpstudy.sweep.plan import Plan

WIDTH = 100
# Ink that is read on each of the classes.
INKS = ("white", "white", "black", "black", "black")


def draw(plan: "Plan") -> None:
    """Print the landscapes that a study has by now on standard error, above progress bars."""
    try:
        shown = landscapes(plan.table())
    except HpstudyError:
        return  # the dense network has no run yet
    text, threshold = io.StringIO(), max(plan.study.roi)
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    console = Console(file=text, force_terminal=sys.stderr.isatty(), width=width, highlight=False)
    console.print(
        f"{plan.study.name}: top-1 accuracy (%) over learning rate (up) and weight decay\n"
        f"* best, + within {threshold:g} of the best, - not trained yet or diverged"
    )
    console.print(Columns([landscape_table(own, threshold) for own in shown.values()], padding=2))
    tqdm.write(text.getvalue().rstrip(), sys.stderr)


def landscape_table(landscape: Landscape, threshold: float) -> Table:
    """Table of one landscape, a coloured cell a setting; a dash where there is no value yet."""
    up, across = landscape.axes
    levels = landscape.levels.pivot(index=up, columns=across, values="value")[::-1]
    title = short_title(landscape.variant)
    width = len(title) + 2
    table = Table(title=title, box=None, padding=0, title_style="bold", min_width=width)
    table.add_column(justify="right")
    for value in levels.columns:
        table.add_column(setting_text(value), justify="center", min_width=7)
    for value, row in levels.iterrows():
        cells = [_cell(level, landscape.best, threshold) for level in row]
        table.add_row(f"{setting_text(value)} ", *cells)
    return table


def _cell(level: float, best: float, threshold: float) -> Text:
    if not np.isfinite(level):
        return Text("-")
    number = int(np.searchsorted(LIMITS * threshold, best - level - 1e-9))
    mark = "*" if level == best else "+" if number < 2 else " "
    return Text(f" {level:.1f}{mark} ", f"{INKS[number]} on {CLASSES[number]}")
