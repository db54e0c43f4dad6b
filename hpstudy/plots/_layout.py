"""Panels of a figure: axes, legend and colour bars."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.plots.labels import setting_text

Props = dict[str, Any]
"""Properties of a part of a Plotly figure."""
FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
# One grey that is legible on white and on black; the book's script replaces it by the theme's ink.
INK = "#7f7f7f"
# Pixels between panels for axes and titles, and beside all of them.
ROW_GAP = 88
LEFT, RIGHT = 58, 8
TICKS = {"tickfont": {"size": 10.5}, "ticks": "outside", "ticklen": 4, "tickcolor": INK}
FRAME = {"showline": True, "mirror": True, "linecolor": INK, "linewidth": 1}
GRID = {"showgrid": False, "gridcolor": "rgba(127,127,127,0.25)", "zeroline": False}
AXIS = {**TICKS, **FRAME, **GRID}
# The legend stands above all panels, a colour bar below them.
ABOVE = {"yref": "container", "y": 1.0, "yanchor": "top", "x": 0.0, "xanchor": "left"}
LEGEND = {"orientation": "h", **ABOVE, "font": {"size": 11}, "itemsizing": "trace"}
BELOW = {"yref": "container", "y": 0.0, "ypad": 2, "yanchor": "bottom", "x": 0.5, "len": 0.7}
COLOUR_BAR = {"orientation": "h", **BELOW, "thickness": 12, "outlinewidth": 0}


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Round values between the positive ends of a logarithmic axis.

    Powers of ten; where these are fewer than three also their threefold, or else their two- and
    fivefold values, unless two are there already and `most` labels have no room for more.
    """
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    values: list[float] = []
    for multiples in ((1,), (1, 3), (1, 2, 5)):
        # float("3e-4") is the number meant; 3 * 10 ** -4 is off in the last digit.
        ticks = [float(f"{multiple}e{power}") for power in exponents for multiple in multiples]
        inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(values) >= 3 or (len(values) == 2 and len(inside) > most):
            break
        values = inside
    return values


@dataclass(frozen=True)
class Axis:
    """Logarithmic axis of one hyperparameter.

    `zero` is where settings with the value 0 are drawn, in a column that a line at `gap` separates;
    both are NaN without any.
    """

    name: str
    ends: tuple[float, float]
    zero: float = math.nan
    gap: float = math.nan

    def places(self, values: Any) -> np.ndarray:
        """Positive numbers at which values are drawn."""
        values = np.asarray(values, dtype=float)
        return np.where(values == 0, self.zero, values)

    def ticks(self, most: int) -> tuple[list[float], list[str]]:
        """Places and labels of ticks, at most `most` besides that of 0."""
        zeros = [] if math.isnan(self.zero) else [self.zero]
        values = log_ticks(self.gap if zeros else self.ends[0], self.ends[1], most)
        return zeros + values, ["0" for _ in zeros] + [setting_text(value) for value in values]

    def style(self, most: int) -> Props:
        """Properties of the axis."""
        places, labels = self.ticks(most)
        ends = [math.log10(end) for end in self.ends]
        ticks = {"tickvals": places, "ticktext": labels, "tickangle": 0}
        return {"type": "log", "range": ends, **ticks}


def axis_of(values: pd.Series) -> Axis:
    """Axis from half a grid step below the least to half a step above the greatest value."""
    name, numbers = str(values.name), values.to_numpy(float)
    logs = np.unique(np.log10(numbers[numbers > 0]))
    if len(logs) == 0:
        return Axis(name, (10**-0.5, 10**0.5), zero=1.0, gap=10**0.5)
    margin = float(np.median(np.diff(logs))) / 2 if len(logs) > 1 else 0.5
    high = float(10 ** (logs[-1] + margin))
    if (numbers > 0).all():
        return Axis(name, (float(10 ** (logs[0] - margin)), high))
    # The column must stand apart where many values lie close together.
    step = max(2 * margin, float(np.ptp(logs)) / 10)
    low, zero, gap = (float(10 ** (logs[0] - steps * step)) for steps in (2, 1.5, 0.75))
    return Axis(name, (low, high), zero, gap)


BLANK: Props = {
    "template": "none",
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": FONT, "size": 12, "color": INK},
}
"""Layout of a figure that takes the page's ground."""


def panel_figure(
    titles: list[str], height: int, top: int, bottom: int, columns: int = 3, width: int = 160
) -> go.Figure:
    """Empty figure of equal panels, filled row by row.

    `height` and the least `width` are those of one panel without its axes, `top` and `bottom` the
    margins of all, in pixels. The book's script reads `layout.meta`, and stacks the panels where a
    page is narrow.
    """
    columns = min(columns, len(titles))
    rows = math.ceil(len(titles) / columns)
    margin = {"t": top, "b": bottom, "l": LEFT, "r": RIGHT}
    gaps = {"xgap": 0.266, "ygap": round(ROW_GAP / (height + ROW_GAP), 3)}
    sizes = {"panelWidth": width, "panelHeight": height, "rowGap": ROW_GAP, "margin": margin}
    figure = go.Figure(
        layout={
            **BLANK,
            "grid": {"rows": rows, "columns": columns, "pattern": "independent", **gaps},
            "height": rows * height + (rows - 1) * ROW_GAP + top + bottom,
            "margin": {**margin, "pad": 0},
            "hovermode": "closest",
            "dragmode": "zoom",
            "legend": LEGEND,
            "meta": {"panels": len(titles), "columns": columns, **sizes},
        }
    )
    for number, title in enumerate(titles, start=1):
        _write(figure, axis_suffix(number), title, 12, x=0.5, y=1, yanchor="bottom", yshift=3)
    return figure


def panel_title(title: str, small: str) -> str:
    """Title of a panel with a small second line."""
    return f"<b>{title}</b><br><span style='font-size:11px'>{small}</span>"


def axis_suffix(number: int) -> str:
    """Suffix of the names of a panel's axes; panels are counted from 1."""
    return "" if number == 1 else str(number)


def _write(figure: go.Figure, suffix: str, text: str, size: int, **place: Any) -> None:
    """Annotation that moves with a panel when panels are stacked; Plotly's own titles do not."""
    place |= {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "showarrow": False}
    figure.add_annotation(text=text, font={"size": size}, **place)


def set_axes(
    figure: go.Figure,
    number: int,
    across: Props,
    up: Props,
    titles: tuple[str, str] = ("", ""),
    linked: str = "xy",
) -> str:
    """Style and title both axes of one panel; the suffix of their names.

    A zoom in it is a zoom in all panels along the axes `linked`.
    """
    suffix = axis_suffix(number)
    _write(figure, suffix, titles[0], 11, x=0.5, y=0, yanchor="top", yshift=-20)
    beside = {"x": 0, "y": 0.5, "xanchor": "right", "xshift": -38, "textangle": -90}
    _write(figure, suffix, titles[1], 11, **beside)
    for letter, style in (("x", across), ("y", up)):
        link = {"matches": letter} if number > 1 and letter in linked else {}
        figure.update_layout({f"{letter}axis{suffix}": {**AXIS, **style, **link}})
    return suffix


def colour_axis(
    scale: str, low: float, high: float, title: str, shown: bool, reverse: bool = False, **bar: Any
) -> Props:
    """Colour axis; `bar` are further properties of its bar."""
    heading = {"text": title, "side": "bottom", "font": {"size": 11}}
    return {
        "colorscale": scale,
        "cmin": low,
        "cmax": high,
        "showscale": shown,
        "reversescale": reverse,
        "colorbar": {**COLOUR_BAR, "tickfont": {"size": 10.5}, "title": heading, **bar},
    }
