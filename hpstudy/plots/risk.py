"""Figure 4.5 of the thesis: the risk of keeping the dense network's settings."""

from dataclasses import dataclass

import plotly.graph_objects as go

from hpstudy.analysis.risk import Risk
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import axis_style, panel_figure
from hpstudy.plots.labels import variant_title
from hpstudy.plots.marks import plain

# Fill and line; the lines stand out from the fills and from white and black pages.
DENSE_BOX, PRUNED_BOX = ("#1f4e79", "#6f9fd0"), ("#9cc2e5", "#6b7a89")


@dataclass(frozen=True)
class RiskBox:
    """Distribution of one network's risk, ready to draw.

    Attributes
    ----------
    title : str
        Of the network.
    dense : bool
        Whether it is the unpruned network, measured against its own best.
    absolute : tuple of float
        Risks in percentage points, one a point of the dense network's region of interest.
    relative : tuple of float
        The same as fractions of the network's best value.
    """

    title: str
    dense: bool
    absolute: tuple[float, ...]
    relative: tuple[float, ...]


def risk_data(risks: dict[str, Risk]) -> tuple[RiskBox, ...]:
    """One box a network, the dense one first, for `plot_risk`."""
    if not risks:
        raise HpstudyError("there is no risk to draw.")
    return tuple(
        RiskBox(
            title=variant_title(name),
            dense=number == 0,
            absolute=tuple(one.points["risk"]),
            relative=tuple(one.points["relative"]),
        )
        for number, (name, one) in enumerate(risks.items())
    )


def plot_risk(risks: dict[str, Risk]) -> go.Figure:
    """Box plots of the risk of keeping the dense network's settings, absolute and relative.

    Parameters
    ----------
    risks : dict of str to Risk
        The dense network first, as `hpstudy.analysis.risk.risks` returns them.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels with one box a network and every point beside it; the dense network darker.

    References
    ----------
    Thesis, section 3.3.2 and Figure 4.5.
    """
    boxes = risk_data(risks)
    titles = ["<b>Risk</b>, percentage points", "<b>Relative risk</b>, share of the own best"]
    figure = panel_figure(titles, 2, 260, {"t": 34, "b": 56, "l": 52, "r": 8}, panel_width=280)
    for suffix, column, digits in (("", "absolute", ".2f"), ("2", "relative", ".4f")):
        for place, box in enumerate(boxes):
            fill, line = DENSE_BOX if box.dense else PRUNED_BOX
            figure.add_trace(
                go.Box(
                    y=plain(getattr(box, column), 6),
                    x=[place] * len(box.absolute),
                    name=box.title,
                    boxpoints="all",
                    jitter=0.5,
                    pointpos=0,
                    marker={"size": 5, "color": "white", "line": {"width": 1, "color": "black"}},
                    line={"width": 1.5, "color": line},
                    fillcolor=fill,
                    hovertemplate=f"%{{y:{digits}}}<extra>{box.title}</extra>",
                    showlegend=False,
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    **axis_style(),
                    "tickvals": list(range(len(boxes))),
                    "ticktext": [_tick(box.title) for box in boxes],
                    "range": [-0.6, len(boxes) - 0.4],
                    "tickangle": 0,
                },
                f"yaxis{suffix}": {**axis_style(), "rangemode": "tozero", "showgrid": True},
            }
        )
    return figure


def _tick(title: str) -> str:
    """Title of a variant in short lines: "Uniform" above "60 %"."""
    return title.replace(" FLOPs", "").replace(", ", "<br>").replace("Non-", "Non-<br>")
