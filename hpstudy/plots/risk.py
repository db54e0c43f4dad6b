"""Figure 4.5 of the thesis: the risk of keeping the dense network's settings."""

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.risk import Risk
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import panel_figure, set_axes
from hpstudy.plots._traces import axes_of, rounded
from hpstudy.plots.labels import short_title, variant_colours, variant_title

POINT = {"size": 5, "color": "white", "line": {"width": 1, "color": "black"}}


def risk_data(risks: dict[str, Risk]) -> pd.DataFrame:
    """Risks at all settings of the dense network's region of interest, the dense network's first.

    Returns
    -------
    DataFrame
        variant; risk in percentage points; relative, the same as a fraction of the network's best.
    """
    if not risks:
        raise HpstudyError("there is no risk to draw.")
    frames = [
        risk.points[["risk", "relative"]].assign(variant=name) for name, risk in risks.items()
    ]
    return pd.concat(frames, ignore_index=True)


def plot_risk(risks: dict[str, Risk]) -> go.Figure:
    """Box plots of the risk of keeping the dense network's settings, absolute and relative.

    A box spans the quartiles around the median, its whiskers reach the last point within 1.5 times
    that range, and every point is drawn.

    Parameters
    ----------
    risks : dict of str to Risk
        The dense network first (`hpstudy.analysis.risk.risks`).

    References
    ----------
    Thesis, section 3.3.2 and Figure 4.5.
    """
    points, colours = risk_data(risks), variant_colours(risks)
    titles = ["<b>Risk</b>, percentage points", "<b>Relative risk</b>, share of the own best"]
    figure = panel_figure(titles, 260, 34, 56, columns=2, width=280)
    across = {
        "tickvals": list(range(len(risks))),
        # "Uniform" above "60 %".
        "ticktext": [
            short_title(name).replace(", ", "<br>").replace("Non-", "Non-<br>") for name in risks
        ],
        "range": [-0.6, len(risks) - 0.4],
        "tickangle": 0,
    }
    up = {"rangemode": "tozero", "showgrid": True}
    for number, column, digits in ((1, "risk", ".2f"), (2, "relative", ".4f")):
        suffix = set_axes(figure, number, across, up, linked="")
        for place, name in enumerate(risks):
            values, title = points.loc[points["variant"] == name, column], variant_title(name)
            figure.add_trace(
                go.Box(
                    y=rounded(values, 6),
                    x=[place] * len(values),
                    name=title,
                    boxpoints="all",
                    jitter=0.5,
                    pointpos=0,
                    marker=POINT,
                    line={"width": 1.5, "color": colours[name]},
                    hovertemplate=f"%{{y:{digits}}}<extra>{title}</extra>",
                    **axes_of(suffix),
                )
            )
    return figure
