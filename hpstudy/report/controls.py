"""Parts of the explorer: choices, sliders, and figures that are redrawn in place."""

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

WRAPPING = widgets.Layout(flex_flow="row wrap", width="100%")
WHOLE = widgets.Layout(width="100%", overflow="hidden")
# Plotly would offer to upload the data to its makers' servers.
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]}
"""Of figures with Plotly's own buttons."""


def dropdown(name: str, options: Iterable = (), value: Any = None) -> widgets.Dropdown:
    """Choice under a name."""
    return widgets.Dropdown(options=list(options), value=value, description=name)


def slider(
    name: str, value: float, low: float, high: float, step: float, digits: int
) -> widgets.FloatSlider:
    """Slider under a name, from `low` to `high`, that shows so many digits."""
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=name, readout_format=f".{digits}f"
    )


def stretch(one: widgets.FloatSlider, usual: float, largest: float) -> None:
    """Make a slider end at `largest`, and begin at `usual` where it ended elsewhere before."""
    if one.max == largest:
        return
    # It takes no end beyond its other one.
    one.min = 0.0
    one.max = largest
    one.step = one.min = largest / 50
    one.readout_format = ".1f" if largest >= 1 else ".3g"
    one.value = usual


def save_button(kind: str) -> widgets.Button:
    """Button that saves the view as one kind of file."""
    return widgets.Button(
        description=kind,
        tooltip=f"save this view as {kind}",
        layout=widgets.Layout(width="auto"),
    )


def fill(choice: widgets.Dropdown, options: list[tuple], first: object) -> None:
    """Offer new options, as (title, value); the old choice stays if it is among them."""
    kept = choice.value if choice.value in [value for _, value in options] else first
    choice.options = options
    choice.value = kept


def live(figure: go.Figure) -> go.FigureWidget:
    """Figure that a kernel can change and that reports clicks; nothing in it leaves the page."""
    shown = go.FigureWidget(figure)
    shown._config = CONFIG
    return shown


def redraw(shown: go.FigureWidget, figure: go.Figure) -> None:
    """Make a shown figure equal to another with the same number and kinds of traces."""
    parts = zip((*shown.data, shown.layout), _values(shown), _values(figure), strict=True)
    with shown.batch_update():
        # Touching only what changes halves the time.
        for part, before, after in parts:
            if after != before:
                part.update(after, overwrite=True)


def renew(shown: go.FigureWidget, figure: go.Figure) -> None:
    """Make a shown figure equal to another with any traces."""
    shown.data = ()
    shown.add_traces(figure.data)
    with shown.batch_update():
        shown.layout.update(_values(figure)[-1], overwrite=True)


def _values(figure: go.Figure) -> list[dict]:
    """Values of every trace of a figure, and of its layout last."""
    parts = [part.to_plotly_json() for part in (*figure.data, figure.layout)]
    return [
        {key: value for key, value in part.items() if key not in ("type", "uid")} for part in parts
    ]
