"""Risk of keeping the dense network's settings (Figure 4.5 of the thesis), and regret curves."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hpstudy.analysis.risk import Curve, smallest_k
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError, count
from hpstudy.plots._layout import INK, Props, panel_figure, set_axes
from hpstudy.plots._traces import axes_of, legend_entry, rounded
from hpstudy.plots.labels import roi_title, short_title, variant_colours, variant_title

POINT = {"size": 4, "color": "white", "line": {"width": 1, "color": "black"}}
# Pixels of a row of boxes; empty rows hold headings.
ROW = 26
TARGETS = (0.1, 0.25, 0.5)
"""Regrets that are small enough, in percentage points."""
FLAT = 0.05
"""Regret from which nothing is left to see."""
# Title, line, fill, dash and symbol: distinct without colour, and in no network's colour.
SEARCHES = {
    "random": ("random choice", "#b8860b", "rgba(184,134,11,0.20)", "dash", "square"),
    "local": ("local search", "#8e5fc4", "rgba(142,95,196,0.20)", "solid", "circle"),
}
TARGET: Props = {"mode": "lines", "line": {"width": 1.3, "color": INK, "dash": "dot"}}


def plot_risk(studies: Iterable[StudyResults]) -> go.Figure:
    """Boxes of the risk of every network of some studies, absolute and relative.

    The risk is that of the dense network's settings, over the region that a study names. A box
    spans the quartiles around the median, its whiskers reach the last point within 1.5 times that
    range, and every point is drawn.

    Raises
    ------
    HpstudyError
        Without any study.

    References
    ----------
    Thesis, section 3.3.2 and Figure 4.5.
    """
    labels: list[str] = []
    headings, boxes = {}, []
    for study in studies:
        risks = study.risks()
        headings[len(labels)] = f"<b>{study.heading}</b>, {roi_title(study.risk_threshold)}"
        labels.append("")
        colours = variant_colours(risks)
        for name, risk in risks.items():
            boxes.append((len(labels), name, risk, colours[name]))
            labels.append(short_title(name).replace(", ", "<br>"))
    if not boxes:
        raise HpstudyError("there is no risk to draw.")
    titles = ["<b>Risk</b>, percentage points", "<b>Relative risk</b>, % of the own best"]
    figure = panel_figure(titles, ROW * len(labels), 34, 40, columns=2, width=250)
    rows = [row for row, *_ in boxes]
    ticks = {"tickvals": rows, "ticktext": [labels[row] for row in rows], "tickfont": {"size": 10}}
    up = {"range": [len(labels) - 0.4, -0.6], **ticks}
    # "Non-uniform" is wider than a number.
    margin = {**figure.layout.meta["margin"], "l": 76}
    figure.update_layout(margin=margin, meta={**figure.layout.meta, "margin": margin})
    for number, (column, scale) in enumerate((("risk", 1), ("relative", 100)), start=1):
        most = scale * max(risk.points[column].max() for _, _, risk, _ in boxes)
        across = {"range": [-0.02 * most, 1.05 * most + 1e-9], "showgrid": True, "nticks": 6}
        suffix = set_axes(figure, number, across, up, linked="")
        for row, text in headings.items():
            place = {"xref": f"x{suffix} domain", "yref": f"y{suffix}", "x": 0, "y": row}
            # Its row has no label, so that it may begin there.
            look = {"showarrow": False, "xanchor": "left", "xshift": -72, "font": {"size": 11}}
            figure.add_annotation(text=text, **place, **look)
        for row, name, risk, colour in boxes:
            values = rounded(scale * risk.points[column], 4)
            figure.add_box(
                x=values,
                y=[row] * len(values),
                orientation="h",
                width=0.8,
                name=variant_title(name),
                boxpoints="all",
                jitter=0.5,
                pointpos=0,
                marker=POINT,
                line={"width": 1.5, "color": colour},
                hovertemplate=f"%{{x}}<extra>{variant_title(name)}</extra>",
                **axes_of(suffix),
            )
    return figure


def regret_data(analysis: StudyAnalysis) -> dict[str, dict[str, Curve]]:
    """Curves "random" and "local" of all pruned networks that have a regret, by variant."""
    regrets = {name: analysis.regret(name) for name in analysis.pruned}
    curves = {
        name: {"random": regret.random, "local": regret.local}
        for name, regret in regrets.items()
        if regret
    }
    if not curves:
        names = ", ".join(analysis.pruned) or "there is no pruned one"
        raise HpstudyError(f"no network has a regret to draw: {names}.")
    return curves


def plot_regret(analysis: StudyAnalysis) -> go.Figure:
    """Expected regret after k further trainings, one panel a pruned network.

    Means over the draws with bands of 95 % of them, in percentage points; marks at the smallest k
    that reaches a target.

    Raises
    ------
    HpstudyError
        If no network has a regret.
    """
    panels = regret_data(analysis)
    curves = [curve for panel in panels.values() for curve in panel.values()]
    # One step where all curves begin flat.
    last = max(1, *(_first(curve, FLAT) for curve in curves))
    highest = max(float(curve.high.max()) for curve in curves)
    titles = [f"<b>{variant_title(name)}</b>" for name in panels]
    figure = panel_figure(titles, 220, 58, 48, columns=2, width=240)
    margin, top = 0.02 * last, 1.04 * max(highest, 1.2 * max(TARGETS))
    ends = [-margin, last + margin]
    across = {"range": ends, "tickformat": "d", "nticks": min(8, last + 2)}
    up = {"range": [0, top], "nticks": 7, "showgrid": True}
    axes = "further trainings k", "expected regret, points"
    for number, panel in enumerate(panels.values(), start=1):
        suffix = set_axes(figure, number, across, up, axes)
        figure.add_traces(_regret_traces(panel, last, suffix))
    figure.add_traces([legend_entry(SEARCHES[name][0], name, **_line(name)) for name in SEARCHES])
    targets = ", ".join(f"{target:g}" for target in TARGETS)
    figure.add_trace(legend_entry(f"{targets} points", "targets", **TARGET))
    return figure


def plot_pooled_regret(studies: Iterable[StudyResults]) -> go.Figure:
    """Expected regret after k further trainings: one thin line a network, thick ones the means.

    Raises
    ------
    HpstudyError
        If no network has a regret.
    """
    panels = [
        (f"{study.heading}<br>{short_title(name)}", panel)
        for study in studies
        for name, panel in regret_data(study.analysis()).items()
    ]
    longest = max(len(panel["local"].estimate) for _, panel in panels)
    figure = panel_figure([""], 280, 34, 48, columns=1, width=240)
    lines: dict[str, list[Any]] = {search: [] for search in SEARCHES}
    for title, panel in panels:
        for search, curve in panel.items():
            # A network with fewer settings has all of them trained: nothing is left to lose.
            lines[search].append(np.pad(curve.estimate, (0, longest - len(curve.estimate))))
            figure.add_trace(_pooled_line(search, curve.estimate, title, width=1, opacity=0.55))
    means = {search: np.mean(curves, axis=0) for search, curves in lines.items()}
    for search, mean in means.items():
        title = f"mean of {count(len(panels), 'network')}"
        figure.add_trace(_pooled_line(search, mean, title, width=3.5, opacity=1.0))
    last = max(1, *(int(np.argmax(mean <= FLAT)) for mean in means.values()))
    highest = max(float(curve[0]) for curves in lines.values() for curve in curves)
    across = {"range": [-0.02 * last, 1.02 * last], "tickformat": "d", "nticks": min(8, last + 2)}
    up = {"range": [0, 1.04 * highest], "nticks": 7, "showgrid": True}
    set_axes(figure, 1, across, up, ("further trainings k", "expected regret, points"))
    figure.add_traces([legend_entry(SEARCHES[name][0], name, **_line(name)) for name in SEARCHES])
    return figure


def _pooled_line(search: str, curve: Any, title: str, width: float, opacity: float) -> Props:
    line = _line(search)
    line["line"] = {**line["line"], "width": width}
    texts = [f"{title}<br>{SEARCHES[search][0]}, k = {k}: {y:.2f}" for k, y in enumerate(curve)]
    place = {"x": list(range(len(curve))), "y": rounded(curve, 4), "text": texts}
    look = {"type": "scatter", "hoverinfo": "text", "opacity": opacity, "legendgroup": search}
    return {**look, **place, **line, **axes_of("")}


def _first(curve: Curve, target: float) -> int:
    """Smallest k whose regret is at most a target."""
    # Each curve ends at 0, so that it gets there.
    return smallest_k(curve.estimate, target) or 0


def _regret_traces(curves: dict[str, Curve], last: int, suffix: str) -> list[Props]:
    """Traces of one panel: three targets, two bands, two curves, two rows of marks."""

    def trace(group: str, x: list[int], y: Any, **look: Any) -> Props:
        place = {"x": x, "y": rounded(y, 4), "hoverinfo": "text" if "text" in look else "skip"}
        return {"type": "scatter", "legendgroup": group, **place, **look, **axes_of(suffix)}

    targets = [trace("targets", [0, last], [target] * 2, **TARGET) for target in TARGETS]
    bands, lines, marks = [], [], []
    for search, curve in curves.items():
        _, colour, fill, _, symbol = SEARCHES[search]
        ks = list(range(min(last + 1, len(curve.estimate))))
        look = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": fill}
        ends = [*curve.high[ks], *curve.low[ks][::-1]]
        bands.append(trace(search, ks + ks[::-1], ends, **look))
        texts = [_hover(search, k, curve) for k in ks]
        lines.append(trace(search, ks, curve.estimate[ks], text=texts, **_line(search)))
        # Of targets reached at one k the smallest lies on top, and is the one that is read.
        reached = {target: _first(curve, target) for target in sorted(TARGETS, reverse=True)}
        at = list(reached.values())
        edge = {"width": 1, "color": "white"}
        look = {"mode": "markers"}
        look["marker"] = {"symbol": symbol, "size": 8, "color": colour, "line": edge}
        look["text"] = [
            f"{_hover(search, k, curve)}<br>first at most {target:g}"
            for target, k in reached.items()
        ]
        marks.append(trace(search, at, curve.estimate[at], **look))
    return [*targets, *bands, *lines, *marks]


def _line(search: str) -> Props:
    _, colour, _, dash, _ = SEARCHES[search]
    return {"mode": "lines", "line": {"width": 2, "color": colour, "dash": dash}}


def _hover(search: str, k: int, curve: Curve) -> str:
    regret = f"{curve.estimate[k]:.2f} points ({curve.low[k]:.2f} to {curve.high[k]:.2f})"
    return f"{SEARCHES[search][0]}, k = {k}<br>regret {regret}"
