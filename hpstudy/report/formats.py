"""Numbers and tables as text, by the same rules in the book and at a terminal."""

import math
import re
import textwrap
from html import escape
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.plots.labels import setting_text

MISSING = "–"
LONGEST_LINE = 34
"""Characters of a table's cell from which its lines may break."""


def number_text(value: float, digits: int = 2) -> str:
    """Number with a true minus sign and no negative zero; a dash for NaN."""
    if not math.isfinite(value):
        return MISSING
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def interval_text(value: tuple[float, float, float], digits: int = 2) -> str:
    """Estimate and 95 % interval: "0.17 (0.00 to 0.86)"."""
    if not math.isfinite(value[0]):
        return MISSING
    estimate, low, high = (number_text(number, digits) for number in value)
    # A line may break before the bracket, but not within it.
    return f"{estimate} ({low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high})"


def loss_text(value: tuple[float, float, float], digits: int = 2) -> str:
    """Loss and its one-sided 95 % bounds: "0.21 (≤ 0.98)", "0.76 (≥ 0.31, ≤ 1.27)"."""
    if not math.isfinite(value[0]):
        return MISSING
    estimate, least, most = (number_text(number, digits) for number in value)
    return f"{estimate} (≥ {least}, ≤ {most})" if value[1] > 0 else f"{estimate} (≤ {most})"


def cell_text(value: Any, digits: int = 2) -> str:
    """One cell of a table: intervals and losses with their ends, counts with commas."""
    if isinstance(value, Loss):
        return loss_text(value, digits)
    if isinstance(value, Interval):
        return interval_text(value, digits)
    if value is None or value is pd.NA:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    return number_text(float(value), digits) if isinstance(value, Real) else str(value)


def html_table(frame: pd.DataFrame, name: str = "Table", digits: int = 2) -> str:
    """HTML table in a box that the keyboard reaches and scrolls sideways.

    Parameters
    ----------
    frame : DataFrame
        Its index heads the rows, if it has a name; a study or network that is alone is left out.
        Columns may have two levels, such as ("Thesis", "length"). Learning rates, weight decays
        and numbers of the thesis keep their own digits.
    name : str, default "Table"
        Read out by a screen reader.
    digits : int, default 2
        Decimals of all other numbers that are not whole.
    """
    for level in ("study", "network"):
        if level in frame.index.names and frame.index.nlevels > 1:
            if frame.index.get_level_values(level).nunique() == 1:
                frame = frame.reset_index(level, drop=True)
    # A counter makes the rows unique, which classes of cells need.
    bare = frame.index.names == [None]
    frame = frame.set_index(pd.RangeIndex(len(frame)), append=True)
    texts, classes = frame.astype(object), frame.astype(object)
    for position, column in enumerate(frame.columns):
        cells = frame.iloc[:, position]
        texts.isetitem(position, [_text(column, cell, digits) for cell in cells])
        classes.isetitem(position, [_class(cell) for cell in cells])
    style = Styler(texts, cell_ids=False).format(escape="html")
    if frame.columns.is_unique:
        style.set_td_classes(classes)
    style.format_index(_label, escape="html").format_index(escape="html", axis="columns")
    style.hide(axis="index", names=True)
    style.hide(axis="index", level=None if bare else frame.index.nlevels - 1)
    # Pandas gives every table an id and an empty style sheet.
    table = re.sub(r"^.*?<table[^>]*>", "<table>", style.to_html(), count=1, flags=re.DOTALL)
    table = re.sub(r'<th (?=class="(col|row)_heading)', r'<th scope="\1" ', table)
    box = f'<div class="hpstudy-table" tabindex="0" role="region" aria-label="{escape(name)}">'
    return f"{box}\n{table}</div>"


def _text(column: Any, value: Any, digits: int) -> str:
    names = column if isinstance(column, tuple) else (column,)
    number = isinstance(value, float) and math.isfinite(value)
    if number and names[0] == "Thesis":
        return f"{value:.4g}".replace("-", "−")
    if number and names[-1] in ("learning rate", "weight decay"):
        return setting_text(value)
    return cell_text(value, digits)


def _class(value: Any) -> str:
    if not isinstance(value, str):
        return "number"
    return "words" if len(value) > LONGEST_LINE else ""


def _label(value: Any) -> str:
    """Label of a row, in lines of at most `LONGEST_LINE` characters."""
    return "\n".join(textwrap.wrap(str(value), LONGEST_LINE, break_long_words=False))
