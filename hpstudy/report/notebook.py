"""What the report notebooks call: load studies, show figures and tables, write numbers."""

import json
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.study_results import StudyResults, read_results, read_study
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import setting_text
from hpstudy.storage.tables import read_json
from hpstudy.workspace import find_root

MISSING = "–"
DETAILS = '<details class="hp-fold"><summary>Details</summary><p>{}</p></details>'
LONGEST_LINE = 34
"""Characters of a table's cell from which its lines may break."""


def load_studies(folders: Iterable[str]) -> list[StudyResults]:
    """Every study published in folders of the clone; of one name the last folder's.

    Raises
    ------
    HpstudyError
        If there is none.
    """
    studies = list(read_results(find_root() / folder for folder in folders).values())
    if not studies:
        raise HpstudyError(f"no study has been published yet in {', '.join(folders)}.")
    return studies


def load_study(name: str, folders: Iterable[str]) -> StudyResults:
    """One study published in folders of the clone."""
    return read_study(name, (find_root() / folder for folder in folders))


def measurement(name: str) -> Any:
    """Contents of `book/measurements/<name>.json`, which a program of `benchmarks/` wrote."""
    return read_json(find_root() / "book" / "measurements" / f"{name}.json")


def glue(**values: object) -> None:
    """Make values known to the page, where prose names them by their keys."""
    from myst_nb import glue as paste

    for key, value in values.items():
        # As text, as a number of numpy would show its type.
        paste(key, str(value), display=False)


def show(
    content: go.Figure | pd.DataFrame | str | Mapping[str, go.Figure | pd.DataFrame],
    caption: str = "",
    digits: int = 2,
    details: str = "",
) -> None:
    """Display a figure or a table with its caption, in JupyterLab and in the book alike.

    Parameters
    ----------
    content : Figure, DataFrame, str or mapping
        A mapping shows several, each below its title, with one caption. A string is HTML.
    caption : str
        Its first sentence names the content to a screen reader.
    digits : int, default 2
        Decimals of a table (`html_table`).
    details : str
        What the caption has no room for; it unfolds.
    """
    parts = content if isinstance(content, Mapping) else {"": content}
    name = re.split(r"(?<=[.!?])\s", caption, maxsplit=1)[0]
    above = any(isinstance(part, pd.DataFrame) for part in parts.values())
    if above:
        _paragraph(escape(caption))
    for title, part in parts.items():
        if title:
            _paragraph(f"<strong>{escape(title)}</strong>")
        spoken = f"{title}: {name}" if title else name
        if isinstance(part, go.Figure):
            _display(figure_bundle(part, spoken))
        else:
            html = part if isinstance(part, str) else html_table(part, spoken, digits)
            _display({"text/html": html, "text/plain": spoken})
    if caption and parts and not above:
        _paragraph(escape(caption))
    if details:
        _display({"text/html": DETAILS.format(escape(details)), "text/plain": details})


@contextmanager
def if_enough_runs() -> Iterator[None]:
    """Show the reason in place of a figure that a study has too few runs for."""
    try:
        yield
    except HpstudyError as error:
        _paragraph(escape(f"No figure: {error}"))


def figure_bundle(figure: go.Figure, name: str) -> dict[str, Any]:
    """Figure by mime type, for JupyterLab, the book's own script, and readers that draw nothing."""
    text = figure.to_json()
    # "</script>" inside a string would end the element that carries the figure, and "<!--<script>"
    # would keep it from ending.
    safe = text.replace("</", "<\\/").replace("<!--", "\\u003c!--")
    height = figure.layout.height or 400
    return {
        "application/vnd.plotly.v1+json": json.loads(text),
        "text/html": (
            f'<div class="hpstudy-figure" role="img" aria-label="{escape(name)}" '
            f'style="min-height:{height}px"><script type="application/json">{safe}</script></div>'
        ),
        "text/plain": name,
    }


def _paragraph(html: str) -> None:
    _display({"text/html": f'<p class="hpstudy-caption">{html}</p>', "text/plain": ""})


def _display(bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython is not annotated.


def number_text(value: float, digits: int = 2) -> str:
    """Number with a true minus sign and no negative zero; a dash for NaN."""
    if not math.isfinite(value):
        return MISSING
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def interval_text(value: Interval | Loss, digits: int = 2) -> str:
    """Estimate and 95 % interval, "0.17 (0.00 to 0.86)", or one-sided bounds of a loss.

    "0.21 (≤ 0.98)", or "0.76 (≥ 0.31, ≤ 1.27)" where the lower bound is positive.
    """
    if not math.isfinite(value[0]):
        return MISSING
    estimate, low, high = (number_text(number, digits) for number in value)
    if isinstance(value, Loss):
        return f"{estimate} (≥ {low}, ≤ {high})" if value[1] > 0 else f"{estimate} (≤ {high})"
    # A line may break before the bracket, but not within it.
    return f"{estimate} ({low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high})"


def cell_text(value: Any, digits: int = 2) -> str:
    """One cell of a table: intervals and losses with their ends, counts with commas."""
    if isinstance(value, Interval | Loss):
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

    The index heads the rows, if it has a name; a study or network that is alone is left out.
    Columns may have two levels, such as ("Thesis", "length"). Learning rates, weight decays and
    numbers of the thesis keep their own digits, all others that are not whole have `digits`
    decimals. A screen reader reads out the `name`.
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
    if isinstance(value, float) and math.isfinite(value):
        if names[0] == "Thesis":
            return f"{value:.4g}".replace("-", "−")
        if names[-1] in ("learning rate", "weight decay"):
            return setting_text(value)
    return cell_text(value, digits)


def _class(value: Any) -> str:
    if not isinstance(value, str):
        return "number"
    return "words" if len(value) > LONGEST_LINE else ""


def _label(value: Any) -> str:
    """Label of a row, in lines of at most `LONGEST_LINE` characters."""
    return "\n".join(textwrap.wrap(str(value), LONGEST_LINE, break_long_words=False))
