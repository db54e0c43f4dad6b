"""Figure of the regret: what is still lost after k trainings beside that at the kept setting."""

from dataclasses import dataclass

import plotly.graph_objects as go

from hpstudy.analysis.outcomes import Curve
from hpstudy.analysis.regret import smallest_k
from hpstudy.analysis.study_analysis import SEARCHED, StudyAnalysis, best_row
from hpstudy.analysis.study_results import METRIC_TITLES
from hpstudy.analysis.surrogate import FEWEST
from hpstudy.config.words import list_text
from hpstudy.errors import HpstudyError
from hpstudy.plots._layout import INK, axis_style, panel_figure, title_axes
from hpstudy.plots.labels import axis_title, real, variant_title
from hpstudy.plots.marks import plain
from hpstudy.plots.panelparts import LEGEND, entry

TARGETS = (0.1, 0.25, 0.5)
"""Regrets that are small enough, in percentage points."""
# From here on there is nothing left to see.
FLAT = 0.05
# Line, fill and dash: told apart by hue, by dash and by mark; legible on white and on black.
LOOKS = {
    "random": ("#d55e00", "rgba(213,94,0,0.20)", "dash", "square"),
    "local": ("#3a86c8", "rgba(58,134,200,0.20)", "solid", "circle"),
}
SEARCHES = {"random": "random choice", "local": "local search"}


@dataclass(frozen=True, eq=False)
class RegretPanel:
    """Regret curves of one network, ready to draw.

    Attributes
    ----------
    variant, title : str
        Name of the network, and what is written above its panel.
    n : int
        Its grid points.
    curves : dict of str to Curve
        "random" and "local", each for k = 0 to n - 1, in percentage points.
    reached : dict of str to dict
        Of each curve: target -> smallest k at which its estimate is that low.
    """

    variant: str
    title: str
    n: int
    curves: dict[str, Curve]
    reached: dict[str, dict[float, int]]


@dataclass(frozen=True, eq=False)
class RegretPanels:
    """Regret curves of all pruned networks of one table.

    Attributes
    ----------
    panels : tuple of RegretPanel
        In the order of the landscapes.
    without : tuple of str
        Pruned networks without a regret, which have no panel.
    last : int
        Greatest k that is drawn: from there on every estimate is at most 0.05.
    highest : float
        Highest upper end of a band, in percentage points.
    """

    panels: tuple[RegretPanel, ...]
    without: tuple[str, ...]
    last: int
    highest: float


def regret_data(analysis: StudyAnalysis) -> RegretPanels:
    """Regret curves of all pruned networks, for `plot_regret`.

    Parameters
    ----------
    analysis : StudyAnalysis
        Of a table with a dense and pruned networks.

    Returns
    -------
    RegretPanels
        One panel a network of which `StudyAnalysis.regret` is known.

    Raises
    ------
    HpstudyError
        If it is known of none.
    """
    found = {name: analysis.regret(name) for name in analysis.pruned}
    panels = tuple(
        _panel(name, len(analysis.landscapes[name].points), regret._asdict())
        for name, regret in found.items()
        if regret is not None
    )
    if not panels:
        names = ", ".join(analysis.pruned) or "there is no pruned one"
        raise HpstudyError(f"no network has a regret to draw: {names}.")
    curves = [curve for panel in panels for curve in panel.curves.values()]
    return RegretPanels(
        panels=panels,
        without=tuple(name for name, regret in found.items() if regret is None),
        # A curve ends at 0, so that each gets there; a step more where all begin there.
        last=max(1, *(smallest_k(curve.estimate, FLAT) for curve in curves)),
        highest=max(float(curve.high.max()) for curve in curves),
    )


def _panel(variant: str, n: int, curves: dict[str, Curve]) -> RegretPanel:
    reached = {
        search: {target: smallest_k(curve.estimate, target) for target in TARGETS}
        for search, curve in curves.items()
    }
    return RegretPanel(variant, variant_title(variant), n, curves, reached)


def plot_regret(analysis: StudyAnalysis) -> go.Figure:
    """Expected regret after k trainings beside that at the kept setting, one panel a network.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `regret_data`.

    Returns
    -------
    plotly.graph_objects.Figure
        k across, percentage points up, the same ends in all panels. Each panel has the same traces
        in the same order: three targets, two bands, two curves, two rows of marks.

    Raises
    ------
    HpstudyError
        As `regret_data`.
    """
    data = regret_data(analysis)
    titles = [f"<b>{panel.title}</b>" for panel in data.panels]
    figure = panel_figure(titles, 2, 220, {"t": 58, "b": 48, "l": 58, "r": 8}, panel_width=240)
    top = 1.04 * max(data.highest, 1.2 * max(TARGETS))
    for number, panel in enumerate(data.panels, start=1):
        suffix = "" if number == 1 else str(number)
        figure.add_traces(_traces(panel, data.last, suffix))
        title_axes(figure, suffix, "further trainings k", "expected regret, points")
        # `matches` makes a zoom in one panel a zoom in all.
        across, up = ({} if number == 1 else {"matches": letter} for letter in "xy")
        margin = 0.02 * data.last
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    **axis_style(),
                    "range": [-margin, data.last + margin],
                    "tickformat": "d",
                    "nticks": min(8, data.last + 2),
                    **across,
                },
                f"yaxis{suffix}": {
                    **axis_style(),
                    "range": [0, top],
                    "nticks": 7,
                    "showgrid": True,
                    **up,
                },
            }
        )
    figure.add_traces(_legend())
    figure.update_layout(legend=LEGEND)
    return figure


def _traces(panel: RegretPanel, last: int, suffix: str) -> list[go.Scatter]:
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": False}
    ends = [0, last]
    traces = [
        go.Scatter(
            x=ends, y=[target] * 2, legendgroup="targets", hoverinfo="skip", **_target(), **axes
        )
        for target in TARGETS
    ]
    shown = {search: range(min(last, panel.n - 1) + 1) for search in panel.curves}
    for search, curve in panel.curves.items():
        k = list(shown[search])
        traces.append(
            go.Scatter(
                x=k + k[::-1],
                y=plain([*curve.high[k], *curve.low[k][::-1]], 4),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=LOOKS[search][1],
                hoverinfo="skip",
                legendgroup=search,
                **axes,
            )
        )
    for search, curve in panel.curves.items():
        k = list(shown[search])
        traces.append(
            go.Scatter(
                x=k,
                y=plain(curve.estimate[k], 4),
                text=[_hover(search, at, curve) for at in k],
                hoverinfo="text",
                legendgroup=search,
                **_line(search),
                **axes,
            )
        )
    for search, reached in panel.reached.items():
        curve = panel.curves[search]
        # Of targets reached at one k the smallest lies on top, and is the one that is read.
        marked = dict(sorted(reached.items(), reverse=True))
        traces.append(
            go.Scatter(
                x=list(marked.values()),
                y=plain([curve.estimate[k] for k in marked.values()], 4),
                text=[
                    f"{_hover(search, k, curve)}<br>first at most {target:g}"
                    for target, k in marked.items()
                ],
                hoverinfo="text",
                legendgroup=search,
                **_mark(search),
                **axes,
            )
        )
    return traces


def _hover(search: str, k: int, curve: Curve) -> str:
    trainings = "1 training" if k == 1 else f"{k} trainings"
    return (
        f"{SEARCHES[search]}, {trainings}<br>"
        f"regret {curve.estimate[k]:.2f} points ({curve.low[k]:.2f} to {curve.high[k]:.2f})"
    )


def _line(search: str) -> dict:
    colour, _, dash, _ = LOOKS[search]
    return {"mode": "lines", "line": {"width": 2, "color": colour, "dash": dash}}


def _mark(search: str) -> dict:
    colour, _, _, symbol = LOOKS[search]
    line = {"width": 1, "color": "white"}
    return {
        "mode": "markers",
        "marker": {"symbol": symbol, "size": 8, "color": colour, "line": line},
    }


def _target() -> dict:
    return {"mode": "lines", "line": {"width": 1.3, "color": INK, "dash": "dot"}}


def _legend() -> list[go.Scatter]:
    """Entries of the legend; a search's own switches its line, band and marks in all panels."""
    targets = list_text(f"{target:g}" for target in TARGETS)
    entries = [(SEARCHES[search], search, _line(search)) for search in LOOKS]
    entries += [(f"{targets} points", "targets", _target())]
    return [entry(name, group, look) for name, group, look in entries]


def regret_caption(analysis: StudyAnalysis, label: str) -> str:
    """Caption of `plot_regret`.

    Parameters
    ----------
    analysis : StudyAnalysis
        As for `plot_regret`.
    label : str
        Network, data and length of training, as `StudyResults.label` gives them.

    Returns
    -------
    str
        Sentences with the kept setting, the searches, the number of points and draws, the
        statistic, its spread, and the networks that are not drawn.

    Raises
    ------
    HpstudyError
        As `regret_data`.
    """
    data = regret_data(analysis)
    dense = analysis.landscapes[analysis.dense]
    at = dense.points.iloc[best_row(dense)]
    kept = list_text(f"{axis_title(axis)} {real(at[axis])}" for axis in dense.axes)
    counts = sorted({panel.n for panel in data.panels})
    n = "–".join(str(value) for value in dict.fromkeys((counts[0], counts[-1])))
    targets = list_text(f"{target:g}" for target in TARGETS)
    metric = METRIC_TITLES.get(dense.metric, dense.metric)
    sentences = [
        f"Expected regret, the distance of the {metric} from a pruned network's own best in "
        f"percentage points, when the unpruned network's optimum ({kept}) is kept, k other points "
        f"of the grid are trained beside it, and the best of all is used: {label}.",
        f"Lines: mean over noise-free landscapes drawn from a Gaussian process through the n = {n} "
        f"points a network; bands: 95 % of the draws.",
        f"{SEARCHES['random'].capitalize()} (dashed, squares) is without replacement, its "
        f"expectation exact on each of {SEARCHED:,} draws; {SEARCHES['local']} (solid, circles) "
        "tries the untried point nearest to the best so far, first around the kept setting, once "
        "on each of these draws, or on fewer where there are more than 80 points.",
        f"Dotted: {targets} points; the marks are the smallest k at which a line is that low. "
        f"From the right end on all lines are at {FLAT:g} or below.",
    ]
    if data.without:
        names = "; ".join(variant_title(name) for name in data.without)
        sentences.append(
            f"Not drawn: {names} (no value at the kept setting, "
            f"or values at fewer than {FEWEST} points)."
        )
    return " ".join(sentences)
