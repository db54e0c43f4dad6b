"""Figure 4.5 of the thesis: the risk of keeping the dense network's settings."""

from dataclasses import dataclass

import plotly.graph_objects as go

from hpstudy.analysis.risk import Risk
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import panel_figure, set_axes
from hpstudy.plots._traces import plain
from hpstudy.plots.labels import variant_colours, variant_title

POINT = {"size": 5, "color": "white", "line": {"width": 1, "color": "black"}}


@dataclass(frozen=True)
class RiskBox:
    """Distribution of one network's risk.

    Attributes
    ----------
    variant : str
    absolute : tuple of float
        Risk at each setting of the dense network's region of interest, in percentage points.
    relative : tuple of float
        The same as fractions of the network's best value.
    colour : str
        Colour of the network.
    """

    variant: str
    absolute: tuple[float, ...]
    relative: tuple[float, ...]
    colour: str


def risk_data(risks: dict[str, Risk]) -> tuple[RiskBox, ...]:
    """One box a network, the dense one first."""
    if not risks:
        raise HpstudyError("there is no risk to draw.")
    colours = variant_colours(risks)
    return tuple(
        RiskBox(name, tuple(risk.points["risk"]), tuple(risk.points["relative"]), colours[name])
        for name, risk in risks.items()
    )


def plot_risk(risks: dict[str, Risk]) -> go.Figure:
    """Box plots of the risk of keeping the dense network's settings, absolute and relative.

    Parameters
    ----------
    risks : dict of str to Risk
        The dense network first (`hpstudy.analysis.risk.risks`).

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels with a box for each network: quartiles around the median, whiskers to the last
        point within 1.5 times their distance, and every point.

    References
    ----------
    Thesis, section 3.3.2 and Figure 4.5.
    """
    boxes = risk_data(risks)
    titles = ["<b>Risk</b>, percentage points", "<b>Relative risk</b>, share of the own best"]
    figure = panel_figure(titles, 260, top=34, bottom=56, columns=2, panel_width=280)
    across = {
        "tickvals": list(range(len(boxes))),
        "ticktext": [_tick(variant_title(box.variant)) for box in boxes],
        "range": [-0.6, len(boxes) - 0.4],
        "tickangle": 0,
    }
    up = {"rangemode": "tozero", "showgrid": True}
    for number, field, digits in ((1, "absolute", ".2f"), (2, "relative", ".4f")):
        suffix = set_axes(figure, number, across, up, linked="")
        for place, box in enumerate(boxes):
            values, title = getattr(box, field), variant_title(box.variant)
            figure.add_trace(
                go.Box(
                    y=plain(values, 6),
                    x=[place] * len(values),
                    name=title,
                    boxpoints="all",
                    jitter=0.5,
                    pointpos=0,
                    marker=POINT,
                    line={"width": 1.5, "color": box.colour},
                    hovertemplate=f"%{{y:{digits}}}<extra>{title}</extra>",
                    showlegend=False,
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
    return figure


def _tick(title: str) -> str:
    """Title of a variant in short lines: "Uniform" above "60 %"."""
    return title.replace(" FLOPs", "").replace(", ", "<br>").replace("Non-", "Non-<br>")
