"""What the report notebooks call: load studies, show figures and tables, glue numbers."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.study_results import StudyResults, read_results, read_study
from hpstudy.errors import HpstudyError
from hpstudy.report.formats import html_table
from hpstudy.storage.tables import read_json
from hpstudy.workspace import find_root


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
) -> None:
    """Display a figure or a table with its caption, in JupyterLab and in the book alike.

    Parameters
    ----------
    content : Figure, DataFrame, str or mapping
        A mapping shows several, each below its title, with one caption. A string is HTML.
    caption : str
        Text that the notebook's author wrote. Its first sentence names the content to a screen
        reader.
    digits : int, default 2
        Decimals of a table (`hpstudy.report.formats.html_table`).
    """
    parts = content if isinstance(content, Mapping) else {"": content}
    if not parts:
        return
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
        elif isinstance(part, pd.DataFrame):
            _display({"text/html": html_table(part, spoken, digits), "text/plain": spoken})
        else:
            _display({"text/html": part, "text/plain": spoken})
    if caption and not above:
        _paragraph(escape(caption))


@contextmanager
def if_enough_runs() -> Iterator[None]:
    """Show the reason in place of a figure that a study has too few runs for."""
    try:
        yield
    except HpstudyError as error:
        _paragraph(escape(f"No figure: {error}"))


def figure_bundle(figure: go.Figure, name: str) -> dict[str, Any]:
    """Figure as JupyterLab draws it and as the book's own script does, without another host.

    Returns
    -------
    dict
        Mime type -> content; the text is `name`, for readers that draw nothing.
    """
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
