"""Forest plot of verdicts: shifts as factors and losses with their intervals, a row a network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.verdict import NEGLIGIBLE, Answer, VerdictGroup
from hpstudy.plots._layout import AXIS, BLANK, INK, Props, axis_suffix
from hpstudy.plots._traces import axes_of
from hpstudy.plots.labels import TOP1, Metric, axis_title, factor_text, short_title

# Pixels of a row, of the margins, and between panels that stand below each other.
PITCH, LEFT, RIGHT, TOP, BOTTOM, BELOW = 25, 138, 10, 42, 28, 86
# Share of the width between panels that stand beside each other.
GAP = 0.05
# Colours on white; the book's script has those on black.
HOLLOW = "#ffffff"
COLOURS: dict[Answer, str] = {"keep": "#0f6cb5", "retune": "#c2500a", "inconclusive": "#74777c"}
BAND: Props = {"fillcolor": "rgba(127,127,127,0.14)", "line": {"width": 0}, "layer": "below"}
LIMIT: Props = {"line": {"width": 1.2, "color": INK, "dash": "3px,3px"}, "layer": "below"}


@dataclass(frozen=True)
class ForestPanel:
    """One quantity of all networks, with an interval, a verdict and a text by row.

    A verdict is "keep" between the `limits`; the axis goes from `ends` to `ends` and has `ticks`.
    """

    title: str
    unit: str
    limits: tuple[float, ...]
    ends: tuple[float, float]
    ticks: dict[float, str]
    intervals: list[Interval]
    answers: list[Answer]
    texts: list[str]


def forest_data(groups: Sequence[VerdictGroup], metric: Metric = TOP1) -> list[ForestPanel]:
    """Panels of `plot_forest`: the shift along each axis in decades, then the loss."""
    rows = [row for group in groups for row in group.verdicts]
    panels = []
    for axis in rows[0].axes:
        shifts = [row.axes[axis].shift for row in rows]
        end = _reach(shifts, 1.5 * NEGLIGIBLE)
        # Powers of the factor that is the limit.
        step = NEGLIGIBLE * math.ceil(end / NEGLIGIBLE / 3)
        powers = {k * step: f"×{10 ** (k * step):.2g}" for k in range(-3, 4) if abs(k * step) < end}
        panels.append(
            ForestPanel(
                title=axis_title(axis),
                unit=f"shift as a factor; shaded: up to {10**NEGLIGIBLE:.0f}",
                limits=(-NEGLIGIBLE, NEGLIGIBLE),
                ends=(-end, end),
                ticks=powers | {0.0: "same"},
                intervals=shifts,
                answers=[row.axes[axis].answer for row in rows],
                texts=[factor_text(shift) for shift in shifts],
            )
        )
    losses, limit = [row.loss for row in rows], rows[0].tolerable
    end = _reach([loss.interval for loss in losses], 2 * limit)
    step = limit * math.ceil(end / limit / 4)
    unit = "points" if metric.percent else metric.name
    loss_panel = ForestPanel(
        title="loss of keeping both",
        unit=f"{unit}; shaded: up to {limit:g}",
        limits=(limit,),
        ends=(-0.05 * end, end),
        ticks={k * step: f"{k * step:g}" for k in range(5) if k * step < end},
        intervals=[loss.interval for loss in losses],
        answers=[row.both for row in rows],
        texts=[metric.loss(loss) for loss in losses],
    )
    return [*panels, loss_panel]


def plot_forest(groups: Sequence[VerdictGroup], metric: Metric = TOP1) -> go.Figure:
    """Shift of each hyperparameter and loss of keeping both, one row a pruned network.

    A filled dot is "keep", a square "retune" and a hollow dot "inconclusive". Shaded is the range
    for which settings are kept. The book's script takes one of the layouts in `layout.meta`, by the
    width of the page.
    """
    panels = forest_data(groups, metric)
    headed = len(groups) > 1
    names: dict[int, str] = {}
    heads: dict[int, str] = {}
    for group in groups:
        if headed:
            heads[len(names) + len(heads)] = group.title
        for row in group.verdicts:
            names[len(names) + len(heads)] = short_title(row.variant)
    number = len(names) + len(heads)
    figure = go.Figure(
        layout={
            **BLANK,
            "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
            "showlegend": False,
            "hovermode": "closest",
            "dragmode": False,
        }
    )
    frame = AXIS | {"showline": False, "ticks": "", "fixedrange": True}
    up = {"range": [number - 0.5, -0.5], "tickvals": list(names), "ticktext": list(names.values())}
    for k, panel in enumerate(panels, start=1):
        suffix = axis_suffix(k)
        figure.add_traces(list(_traces(panel, list(names), suffix)))
        ticks = {"tickvals": list(panel.ticks), "ticktext": list(panel.ticks.values())}
        figure.layout[f"xaxis{suffix}"] = frame | ticks | {"range": panel.ends}
        figure.layout[f"yaxis{suffix}"] = frame | up
        low, high = (panel.ends[0], *panel.limits)[-2:]
        for first, last in _blocks(list(names)):
            place = {
                "xref": f"x{suffix}",
                "yref": f"y{suffix}",
                "y0": first - 0.5,
                "y1": last + 0.5,
            }
            figure.add_shape(type="rect", x0=low, x1=high, **place, **BAND)
            for limit in panel.limits:
                figure.add_shape(type="line", x0=limit, x1=limit, **place, **LIMIT)
    forms = {
        "wide": _form(panels, number, heads, beside=True),
        "narrow": _form(panels, number, heads, beside=False),
    }
    figure.update_layout(forms["wide"], meta=forms)
    return figure


def _form(panels: Sequence[ForestPanel], number: int, heads: dict[int, str], beside: bool) -> Props:
    """Layout with the panels beside or below each other, in the paths of Plotly's relayout."""
    each, many = number * PITCH, len(panels)
    whole = each if beside else many * each + (many - 1) * BELOW
    form: Props = {"height": whole + TOP + BOTTOM}
    titles: list[Props] = []
    headings: list[Props] = []
    for k, panel in enumerate(panels):
        suffix = axis_suffix(k + 1)
        width = (1 - GAP * (many - 1)) / many
        left = k * (width + GAP)
        top = 1 - k * (each + BELOW) / whole
        form[f"xaxis{suffix}.domain"] = [left, left + width] if beside else [0, 1]
        form[f"xaxis{suffix}.anchor"] = f"y{suffix}"
        form[f"yaxis{suffix}.domain"] = [0, 1] if beside else [max(top - each / whole, 0), top]
        form[f"yaxis{suffix}.anchor"] = f"x{suffix}"
        form[f"yaxis{suffix}.showticklabels"] = not beside or k == 0
        place = {"xref": f"x{suffix} domain", "x": 0, "xanchor": "left", "align": "left"}
        place |= {"showarrow": False}
        text = f"<b>{panel.title}</b><br><span style='font-size:11px'>{panel.unit}</span>"
        over = {"yref": f"y{suffix} domain", "y": 1, "yanchor": "bottom", "yshift": 2}
        titles.append(place | over | {"text": text})
        for row, head in heads.items() if not beside or k == 0 else ():
            title = {"text": f"<b>{head}</b>", "y": row, "yref": f"y{suffix}", "xshift": 4 - LEFT}
            headings.append(place | title)
    return form | {"annotations": titles + headings}


def _reach(intervals: Sequence[Interval], least: float) -> float:
    """End of an axis that holds all intervals."""
    return 1.05 * max([least, *(abs(end) for span in intervals for end in span if end == end)])


def _blocks(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last place of the networks between two headings."""
    first = places[0]
    for place, after in zip(places, [*places[1:], places[-1] + 2], strict=True):
        if after > place + 1:
            yield first, place
            first = after


def _traces(panel: ForestPanel, places: Sequence[int], suffix: str) -> Iterator[Props]:
    """Intervals and dots of each verdict; those of no network keep an empty panel drawn."""
    for answer, colour in COLOURS.items():
        rows = [row for row, of in enumerate(panel.answers) if of == answer]
        spans, at = [panel.intervals[row] for row in rows], [places[row] for row in rows]
        # NaN ends a line.
        ends = [end for span in spans for end in (span.low, span.high, math.nan)]
        look: Props = {"type": "scatter", **axes_of(suffix)}
        yield look | {
            "x": ends,
            "y": [row for place in at for row in (place, place, place)],
            "mode": "lines+markers",
            "line": {"color": colour, "width": 3},
            # A loss has no bound at zero.
            "marker": {
                "symbol": "line-ns-open",
                "size": [0 if end == 0 else 8 for end in ends],
                "line": {"width": 2, "color": colour},
            },
            "hoverinfo": "skip",
        }
        yield look | {
            "x": [span.estimate for span in spans] or [math.nan],
            "y": at or [0],
            "mode": "markers",
            "marker": {
                "size": 9,
                "symbol": "square" if answer == "retune" else "circle",
                "color": HOLLOW if answer == "inconclusive" else colour,
                "line": {"width": 2, "color": colour},
            },
            "text": [f"{panel.texts[row]}<br>{answer}" for row in rows],
            "hovertemplate": "%{text}<extra></extra>",
        }
