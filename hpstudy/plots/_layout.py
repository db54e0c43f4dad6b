"""What all figures share: ticks, an empty figure of panels, and how a figure is shown."""

import json
import math
import re
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from hpstudy.plots.labels import real

FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
# One grey that is legible on white and on black; the book's script replaces it by the theme's ink.
INK = "#7f7f7f"
FAINT = "rgba(127,127,127,0.25)"
# Room for a panel and, between panels, for axes and titles, in pixels.
PANEL_WIDTH = 160
COLUMN_GAP = 58
ROW_GAP = 88


@dataclass(frozen=True)
class Ticks:
    """Positions of ticks on a logarithmic axis and their labels, as real values."""

    values: tuple[float, ...]
    labels: tuple[str, ...]


def log_ticks(low: float, high: float, most: int = 8) -> Ticks:
    """Round values between `low` and `high` for a logarithmic axis.

    Parameters
    ----------
    low, high : float
        Ends of the axis, positive, not logarithms.
    most : int, default 8
        Labels that there is room for.

    Returns
    -------
    Ticks
        The powers of ten; where they would be fewer than three also the threefold values, and
        where those are, the two- and fivefold instead. Two powers of ten do where there is no
        room for more.
    """
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    values: tuple[float, ...] = ()
    for multiples in ((1,), (1, 3), (1, 2, 5)):
        # float("3e-4") is the number meant; 3 * 10 ** -4 is off in the last digit.
        every = [
            float(f"{multiple}e{exponent}") for exponent in exponents for multiple in multiples
        ]
        inside = tuple(x for x in every if low * (1 - 1e-9) <= x <= high * (1 + 1e-9))
        if len(inside) > most and len(values) >= 2:
            break
        values = inside
        if len(values) >= 3:
            break
    return Ticks(values, tuple(real(x) for x in values))


def panel_figure(
    titles: list[str],
    columns: int,
    height: int,
    margins: dict[str, int],
    panel_width: int = PANEL_WIDTH,
) -> go.Figure:
    """Empty figure of equal panels, filled row by row.

    Parameters
    ----------
    titles : list of str
        One a panel; axes x, x2, ... and y, y2, ... are theirs in this order.
    columns : int
        Most panels beside each other.
    height : int
        Of one panel without its axes, in pixels.
    margins : dict
        Pixels above ("t"), below ("b"), left ("l") and right ("r") of all panels.
    panel_width : int, default 160
        Pixels that a panel needs without its axes: where there are fewer, fewer panels stand
        beside each other.

    Returns
    -------
    plotly.graph_objects.Figure
        Its layout's `meta` holds columns, sizes and margins, from which the book's script lays
        the panels out anew on a narrow screen.
    """
    columns = min(columns, len(titles))
    rows = math.ceil(len(titles) / columns)
    gaps = {
        "xgap": round(COLUMN_GAP / (PANEL_WIDTH + COLUMN_GAP), 3),
        "ygap": round(ROW_GAP / (height + ROW_GAP), 3),
    }
    figure = go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": INK},
            "grid": {
                "rows": rows,
                "columns": columns,
                "pattern": "independent",
                **gaps,
            },
            "height": rows * height + (rows - 1) * ROW_GAP + margins["t"] + margins["b"],
            "margin": {**margins, "pad": 0},
            "hovermode": "closest",
            "dragmode": "zoom",
            "meta": {
                "panels": len(titles),
                "columns": columns,
                "panelWidth": panel_width,
                "panelHeight": height,
                "rowGap": ROW_GAP,
                "margin": margins,
            },
        }
    )
    for number, title in enumerate(titles, start=1):
        suffix = "" if number == 1 else str(number)
        figure.add_annotation(
            text=title,
            # Anchored to the panel's own axes, so that it moves with them when panels wrap.
            xref=f"x{suffix} domain",
            yref=f"y{suffix} domain",
            x=0.5,
            y=1,
            xanchor="center",
            yanchor="bottom",
            yshift=3,
            showarrow=False,
            font={"size": 12},
        )
    return figure


def title_axes(figure: go.Figure, suffix: str, x: str, y: str) -> None:
    """Write the titles of one panel's axes beside it.

    As annotations: Plotly's own titles end up on the tick labels when a figure is laid out anew.
    """
    place = {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "showarrow": False}
    look = {"font": {"size": 11}, **place}
    figure.add_annotation(text=x, x=0.5, y=0, yanchor="top", yshift=-20, **look)
    figure.add_annotation(text=y, x=0, y=0.5, xanchor="right", xshift=-38, textangle=-90, **look)


def axis_style() -> dict:
    """Look of one axis."""
    return {
        "tickfont": {"size": 10.5},
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": INK,
        "showline": True,
        "mirror": True,
        "linecolor": INK,
        "linewidth": 1,
        "showgrid": False,
        "gridcolor": FAINT,
        "zeroline": False,
    }


def log_axis_style(low: float, high: float, most: int = 8) -> dict:
    """Look of one logarithmic axis from `low` to `high`, real values, with `most` labels."""
    ticks = log_ticks(low, high, most)
    return {
        **axis_style(),
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": list(ticks.values),
        "ticktext": list(ticks.labels),
        "tickangle": 0,
    }


def show(figure: go.Figure, caption: str, label: str = "") -> None:
    """Display a figure with its caption, in JupyterLab and in the book alike.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        What a `plot_` function returns.
    caption : str
        One or more sentences, as the caption functions write them.
    label : str, default ""
        Put before the caption, such as "Figure 4.2".
    """
    from IPython.display import HTML, display

    display(mimebundle(figure, caption, label), raw=True)
    head = f"<strong>{escape(label)}.</strong> " if label else ""
    display(HTML(f'<p class="hpstudy-caption">{head}{escape(caption)}</p>'))


def spoken_name(caption: str, label: str = "") -> str:
    """Label and first sentence of a caption: what a screen reader calls a figure or a table.

    The whole caption stands beside it as text, and would otherwise be read out twice.
    """
    return re.split(r"(?<=[.!?])\s", f"{label}: {caption}" if label else caption, maxsplit=1)[0]


def mimebundle(figure: go.Figure, caption: str, label: str = "") -> dict:
    """Figure as JupyterLab draws it and as the book's own script does.

    Neither part names another host: JupyterLab brings Plotly itself, and the book serves it from
    its own folder (`hpstudy.report.sphinx_offline`).

    Returns
    -------
    dict
        Mime type -> content; as text the caption, for readers that draw nothing.
    """
    text = figure.to_json()
    # "</script>" inside a string would end the element that carries the figure, and "<!--<script>"
    # would keep it from ending.
    safe = text.replace("</", "<\\/").replace("<!--", "\\u003c!--")
    height = figure.layout.height or 400
    return {
        "application/vnd.plotly.v1+json": json.loads(text),
        "text/html": (
            f'<div class="hpstudy-figure" role="img" '
            f'aria-label="{escape(spoken_name(caption, label))}" style="min-height:{height}px">'
            f'<script type="application/json">{safe}</script></div>'
        ),
        "text/plain": caption,
    }
