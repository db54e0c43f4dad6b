"""Regret curves: what is still lost after k trainings besides the one at the kept setting."""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from hpstudy.analysis.risk import Curve, smallest_k
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots._axes import Props
from hpstudy.plots._layout import INK, panel_figure, set_axes
from hpstudy.plots._traces import axes_of, legend_entry, rounded
from hpstudy.plots.labels import variant_title

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


@dataclass(frozen=True, eq=False)
class RegretPanel:
    """Regret curves of one network.

    Attributes
    ----------
    variant : str
    curves : dict of str to Curve
        "random" and "local", for k = 0 to n - 1 of n settings, in percentage points.
    reached : dict of str to dict
        For each curve: target -> smallest k at which its estimate is that low.
    """

    variant: str
    curves: dict[str, Curve]
    reached: dict[str, dict[float, int]]


def regret_data(analysis: StudyAnalysis) -> tuple[RegretPanel, ...]:
    """Regret curves of all pruned networks that have a regret."""
    panels = []
    for name in analysis.pruned:
        regret = analysis.regret(name)
        if regret is not None:
            curves = {"random": regret.random, "local": regret.local}
            reached = {
                search: {target: _first(curve, target) for target in TARGETS}
                for search, curve in curves.items()
            }
            panels.append(RegretPanel(name, curves, reached))
    if not panels:
        names = ", ".join(analysis.pruned) or "there is no pruned one"
        raise HpstudyError(f"no network has a regret to draw: {names}.")
    return tuple(panels)


def _first(curve: Curve, target: float) -> int:
    """Smallest k whose regret is at most a target."""
    # Each curve ends at 0, so that it gets there.
    return smallest_k(curve.estimate, target) or 0


def plot_regret(analysis: StudyAnalysis) -> go.Figure:
    """Expected regret after k further trainings, one panel a pruned network.

    Means over the draws with bands of 95 % of them; marks at the smallest k that reaches a target.

    Parameters
    ----------
    analysis : StudyAnalysis
        Analysis of a table with a dense and pruned networks.

    Raises
    ------
    HpstudyError
        If no network has a regret.
    """
    panels = regret_data(analysis)
    curves = [curve for panel in panels for curve in panel.curves.values()]
    # One step where all curves begin flat.
    last = max(1, *(_first(curve, FLAT) for curve in curves))
    highest = max(float(curve.high.max()) for curve in curves)
    titles = [f"<b>{variant_title(panel.variant)}</b>" for panel in panels]
    figure = panel_figure(titles, 220, 58, 48, columns=2, width=240)
    margin, top = 0.02 * last, 1.04 * max(highest, 1.2 * max(TARGETS))
    ends = [-margin, last + margin]
    across = {"range": ends, "tickformat": "d", "nticks": min(8, last + 2)}
    up = {"range": [0, top], "nticks": 7, "showgrid": True}
    axes = "further trainings k", "expected regret, points"
    for number, panel in enumerate(panels, start=1):
        suffix = set_axes(figure, number, across, up, axes)
        figure.add_traces(_traces(panel, last, suffix))
    figure.add_traces([legend_entry(SEARCHES[name][0], name, **_line(name)) for name in SEARCHES])
    targets = ", ".join(f"{target:g}" for target in TARGETS)
    figure.add_trace(legend_entry(f"{targets} points", "targets", **TARGET))
    return figure


def _traces(panel: RegretPanel, last: int, suffix: str) -> list[Props]:
    """Traces of one panel: three targets, two bands, two curves, two rows of marks."""

    def trace(group: str, x: list[int], y: Any, **look: Any) -> Props:
        place = {"x": x, "y": rounded(y, 4), "hoverinfo": "text" if "text" in look else "skip"}
        return {"type": "scatter", "legendgroup": group, **place, **look, **axes_of(suffix)}

    targets = [trace("targets", [0, last], [target] * 2, **TARGET) for target in TARGETS]
    bands, lines, marks = [], [], []
    for search, curve in panel.curves.items():
        _, colour, fill, _, symbol = SEARCHES[search]
        ks = list(range(min(last + 1, len(curve.estimate))))
        look = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": fill}
        ends = [*curve.high[ks], *curve.low[ks][::-1]]
        bands.append(trace(search, ks + ks[::-1], ends, **look))
        texts = [_hover(search, k, curve) for k in ks]
        lines.append(trace(search, ks, curve.estimate[ks], text=texts, **_line(search)))
        # Of targets reached at one k the smallest lies on top, and is the one that is read.
        reached = dict(sorted(panel.reached[search].items(), reverse=True))
        at = list(reached.values())
        edge = {"width": 1, "color": "white"}
        look = {
            "mode": "markers",
            "marker": {"symbol": symbol, "size": 8, "color": colour, "line": edge},
            "text": [
                f"{_hover(search, k, curve)}<br>first at most {target:g}"
                for target, k in reached.items()
            ],
        }
        marks.append(trace(search, at, curve.estimate[at], **look))
    return [*targets, *bands, *lines, *marks]


def _line(search: str) -> Props:
    _, colour, _, dash, _ = SEARCHES[search]
    return {"mode": "lines", "line": {"width": 2, "color": colour, "dash": dash}}


def _hover(search: str, k: int, curve: Curve) -> str:
    regret = f"{curve.estimate[k]:.2f} points ({curve.low[k]:.2f} to {curve.high[k]:.2f})"
    return f"{SEARCHES[search][0]}, k = {k}<br>regret {regret}"
