"""What the report notebooks call: load studies, show figures and tables, write numbers."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from itertools import groupby
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.study_results import StudyResults, read_results, read_study
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import setting_text
from hpstudy.report.verdicts import TEMPLATES
from hpstudy.storage.tables import read_json
from hpstudy.workspace import find_root

MISSING = "–"
LONGEST_LINE = 24
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
    folded: str = "",
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
    folded : str
        Label under which all of it unfolds; by default it is open.
    """
    parts = content if isinstance(content, Mapping) else {"": content}
    name = re.split(r"(?<=[.!?])\s", caption, maxsplit=1)[0]
    bundles = []
    for title, part in parts.items():
        if title:
            bundles.append(_paragraph(f"<strong>{escape(title)}</strong>"))
        spoken = f"{title}: {name}" if title else name
        if isinstance(part, go.Figure):
            bundles.append(figure_bundle(part, spoken))
        else:
            html = part if isinstance(part, str) else html_table(part, spoken, digits)
            bundles.append({"text/html": html, "text/plain": spoken})
    if caption and parts:
        above = any(isinstance(part, pd.DataFrame) for part in parts.values())
        bundles.insert(0 if above else len(bundles), _paragraph(escape(caption)))
    if details:
        bundles.append(_fold("Details", f"<p>{escape(details)}</p>"))
    if folded:
        bundles = [_fold(folded, "".join(bundle["text/html"] for bundle in bundles))]
    for bundle in bundles:
        _display(bundle)


def drawing(name: str) -> str:
    """Drawing `book/_static/drawings/<name>.svg`, inline: it takes the ink of the page's theme."""
    path = find_root() / "book" / "_static" / "drawings" / f"{name}.svg"
    return f'<div class="hpstudy-drawing">{path.read_text(encoding="utf-8")}</div>'


@contextmanager
def if_enough_runs() -> Iterator[None]:
    """Show the reason in place of a figure that a study has too few runs for."""
    try:
        yield
    except HpstudyError as error:
        _display(_paragraph(escape(f"No figure: {error}")))


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


def _paragraph(html: str) -> dict[str, Any]:
    return {"text/html": f'<p class="hpstudy-caption">{html}</p>', "text/plain": ""}


def _fold(label: str, html: str) -> dict[str, Any]:
    fold = f'<details class="hp-fold"><summary>{escape(label)}</summary>{html}</details>'
    return {"text/html": fold, "text/plain": label}


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
    return f"{estimate} ({low} to {high})"


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

    The index heads the rows, if it has a name; a study or network that is alone is left out, and
    several studies head the rows of each. Columns may have two levels, such as ("Thesis",
    "length"). Learning rates, weight decays and numbers of the thesis keep their own digits, all
    others that are not whole have `digits` decimals. A screen reader reads out the `name`.
    """
    for level in ("study", "network"):
        if level in frame.index.names and frame.index.nlevels > 1:
            if frame.index.get_level_values(level).nunique() == 1:
                frame = frame.reset_index(level, drop=True)
    names = [name for name in frame.index.names if name is not None]
    labels = _rows([frame.index.get_level_values(name) for name in names], names, digits)
    titles = list(frame.columns)
    rows = _rows([frame.iloc[:, place] for place in range(len(titles))], titles, digits)
    body = list(zip(labels or [()] * len(rows), rows, strict=True))
    parts = [("", body)]
    if names[:1] == ["study"] and len(names) > 1:
        names = names[1:]
        parts = [
            (study, [(labels[1:], cells) for labels, cells in part])
            for (study, _), part in groupby(body, lambda row: row[0][0])
        ]
    columns = [title if isinstance(title, tuple) else (title,) for title in titles]
    groups = [(title, len(list(of))) for title, of in groupby(columns, lambda column: column[0])]
    kinds = [kind for _, kind in rows[0]] if rows else [""] * len(columns)
    return TEMPLATES.get_template("table.html").render(
        name=name,
        names=names,
        groups=groups if frame.columns.nlevels > 1 else [],
        heads=[(column[-1], kind) for column, kind in zip(columns, kinds, strict=True)],
        parts=parts,
    )


def _rows(columns: Iterable[Iterable[Any]], titles: list[Any], digits: int) -> list[Any]:
    """Rows of cells, each a text and its class in the style sheet, of columns of values."""
    texts = []
    for title, values in zip(titles, columns, strict=True):
        cells = [_cell(title, value, digits) for value in values]
        # What is missing stands where the others of its column do.
        usual = next((kind for text, kind in cells if text != MISSING), "number")
        texts.append([(text, usual if text == MISSING else kind) for text, kind in cells])
    return list(zip(*texts, strict=True))


def _cell(column: Any, value: Any, digits: int) -> tuple[str, str]:
    if isinstance(value, str):
        if re.fullmatch(r"[×−]?[\d.,]+ \(.*\)", value):
            return _before_brackets(value)
        return value, "words" if len(value) > LONGEST_LINE else ""
    names = column if isinstance(column, tuple) else (column,)
    if isinstance(value, float) and math.isfinite(value):
        if names[0] == "Thesis":
            return f"{value:.4g}".replace("-", "−"), "number"
        if names[-1] in ("learning rate", "weight decay"):
            return setting_text(value), "number"
    text = cell_text(value, digits)
    return _before_brackets(text) if isinstance(value, Interval | Loss) else (text, "number")


def _before_brackets(text: str) -> tuple[str, str]:
    """Text whose lines may break before a bracket only, and the class of such cells."""
    unbroken = text.replace(" ", "\N{NO-BREAK SPACE}")
    return unbroken.replace("\N{NO-BREAK SPACE}(", " ("), "number interval"
