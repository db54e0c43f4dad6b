"""Regret curves: what is still lost after k trainings besides the one at the kept setting."""

from dataclasses import dataclass

import plotly.graph_objects as go

from hpstudy.analysis.regret import smallest_k
from hpstudy.analysis.study_analysis import Curve, StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import INK, panel_figure, set_axes
from hpstudy.plots._traces import axes_of, entry, plain
from hpstudy.plots.labels import variant_title

TARGETS = (0.1, 0.25, 0.5)
"""Regrets that are small enough, in percentage points."""
FLAT = 0.05
"""Regret from which nothing is left to see."""
# Title, line, fill, dash and symbol: distinct without colour, legible on white and on black.
SEARCHES = {
    "random": ("random choice", "#d55e00", "rgba(213,94,0,0.20)", "dash", "square"),
    "local": ("local search", "#3a86c8", "rgba(58,134,200,0.20)", "solid", "circle"),
}
TARGET = {"mode": "lines", "line": {"width": 1.3, "color": INK, "dash": "dot"}}


@dataclass(frozen=True, eq=False)
class RegretPanel:
    """Regret curves of one network.

    Attributes
    ----------
    variant : str
    n : int
        Settings of its grid.
    curves : dict of str to Curve
        "random" and "local", for k = 0 to n - 1, in percentage points.
    reached : dict of str to dict
        For each curve: target -> smallest k at which its estimate is that low.
    """

    variant: str
    n: int
    curves: dict[str, Curve]
    reached: dict[str, dict[float, int]]


@dataclass(frozen=True, eq=False)
class RegretData:
    """Regret curves of all pruned networks of one table.

    Attributes
    ----------
    panels : tuple of RegretPanel
    without : tuple of str
        Pruned networks without a regret, which have no panel.
    last : int
        Greatest k that is drawn: from there on every estimate is at most `FLAT`.
    highest : float
        Highest upper end of a band, in percentage points.
    """

    panels: tuple[RegretPanel, ...]
    without: tuple[str, ...]
    last: int
    highest: float


def regret_data(analysis: StudyAnalysis) -> RegretData:
    """Regret curves of all pruned networks.

    Raises
    ------
    HpstudyError
        If no network has a regret.
    """
    regrets = {name: analysis.regret(name) for name in analysis.pruned}
    panels = []
    for name, regret in regrets.items():
        if regret is None:
            continue
        curves: dict[str, Curve] = {"random": regret.random, "local": regret.local}
        reached = {
            search: {target: smallest_k(curve.estimate, target) for target in TARGETS}
            for search, curve in curves.items()
        }
        panels.append(RegretPanel(name, len(analysis.landscapes[name].points), curves, reached))
    if not panels:
        names = ", ".join(analysis.pruned) or "there is no pruned one"
        raise HpstudyError(f"no network has a regret to draw: {names}.")
    drawn = [curve for panel in panels for curve in panel.curves.values()]
    return RegretData(
        panels=tuple(panels),
        without=tuple(name for name, regret in regrets.items() if regret is None),
        # A curve ends at 0, so that each gets there; one step more where all begin there.
        last=max(1, *(smallest_k(curve.estimate, FLAT) for curve in drawn)),
        highest=max(float(curve.high.max()) for curve in drawn),
    )


def plot_regret(analysis: StudyAnalysis) -> go.Figure:
    """Expected regret after k further trainings, one panel a pruned network.

    Parameters
    ----------
    analysis : StudyAnalysis
        Analysis of a table with a dense and pruned networks.

    Returns
    -------
    plotly.graph_objects.Figure
        Means over the draws with bands of 95 % of them; marks at the smallest k that reaches a
        target.

    Raises
    ------
    HpstudyError
        If no network has a regret.
    """
    data = regret_data(analysis)
    titles = [f"<b>{variant_title(panel.variant)}</b>" for panel in data.panels]
    figure = panel_figure(titles, 220, top=58, bottom=48, columns=2, panel_width=240)
    margin = 0.02 * data.last
    across = {
        "range": [-margin, data.last + margin],
        "tickformat": "d",
        "nticks": min(8, data.last + 2),
    }
    top = 1.04 * max(data.highest, 1.2 * max(TARGETS))
    up = {"range": [0, top], "nticks": 7, "showgrid": True}
    axes = "further trainings k", "expected regret, points"
    for number, panel in enumerate(data.panels, start=1):
        suffix = set_axes(figure, number, across, up, axes)
        figure.add_traces(_traces(panel, data.last, suffix))
    figure.add_traces([entry(SEARCHES[name][0], name, **_line(name)) for name in SEARCHES])
    targets = ", ".join(f"{target:g}" for target in TARGETS)
    figure.add_trace(entry(f"{targets} points", "targets", **TARGET))
    return figure


def _traces(panel: RegretPanel, last: int, suffix: str) -> list[dict]:
    """Traces of one panel: three targets, two bands, two curves, two rows of marks."""

    def trace(group: str, x: list, y: list, **look: object) -> dict:
        place = {"x": x, "y": plain(y, 4), "hoverinfo": "text" if "text" in look else "skip"}
        return {"type": "scatter", "legendgroup": group, **place, **look, **axes_of(suffix)}

    ks = list(range(min(last, panel.n - 1) + 1))
    targets = [trace("targets", [0, last], [target] * 2, **TARGET) for target in TARGETS]
    bands, lines, marks = [], [], []
    for search, curve in panel.curves.items():
        _, colour, fill, _, symbol = SEARCHES[search]
        ends = [*curve.high[ks], *curve.low[ks][::-1]]
        look = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": fill}
        bands.append(trace(search, ks + ks[::-1], ends, **look))
        texts = [_hover(search, k, curve) for k in ks]
        lines.append(trace(search, ks, curve.estimate[ks], text=texts, **_line(search)))
        # Of targets reached at one k the smallest lies on top, and is the one that is read.
        reached = dict(sorted(panel.reached[search].items(), reverse=True))
        at = list(reached.values())
        texts = [
            f"{_hover(search, k, curve)}<br>first at most {target:g}"
            for target, k in reached.items()
        ]
        edge = {"width": 1, "color": "white"}
        marker = {"symbol": symbol, "size": 8, "color": colour, "line": edge}
        look = {"mode": "markers", "marker": marker, "text": texts}
        marks.append(trace(search, at, curve.estimate[at], **look))
    return [*targets, *bands, *lines, *marks]


def _line(search: str) -> dict:
    _, colour, _, dash, _ = SEARCHES[search]
    return {"mode": "lines", "line": {"width": 2, "color": colour, "dash": dash}}


def _hover(search: str, k: int, curve: Curve) -> str:
    regret = f"{curve.estimate[k]:.2f} points ({curve.low[k]:.2f} to {curve.high[k]:.2f})"
    return f"{SEARCHES[search][0]}, k = {k}<br>regret {regret}"
