"""Figures 2.9 and 4.1 to 4.3 of the thesis, laid out as there, of this book's studies."""

from collections.abc import Iterable

import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_results import StudyResults
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import INK, Props
from hpstudy.plots.labels import (
    metric_of,
    roi_title,
    short_title,
    variant_colours,
    variant_title,
)
from hpstudy.plots.landscape import TOP, LandscapePanel, LandscapesData, landscapes_data

CONTOUR = {"width": 0.7, "color": "rgba(255,255,255,0.55)", "smoothing": 1.3}


def plot_contours(
    groups: Iterable[dict[str, Landscape]],
    roi: tuple[float, ...] = (0.5, 1.0),
    top: float = TOP,
) -> go.Figure:
    """Contours of landscapes above their settings, a column a network.

    Settings below the colour scale are taken out of the contours, and inter- and extrapolated; the
    lower row has all of them, with the ellipses of the regions of interest.

    Parameters
    ----------
    groups : iterable of dict of str to Landscape
        Landscapes that share a colour scale, such as those of one metric; one group or two.
    roi : tuple of float, default (0.5, 1.0)
        Thresholds of the regions of interest, in percentage points.
    top : float, default 0.15
        Share of the settings of a group that its colour scale spans.

    References
    ----------
    Thesis, Figures 4.1 and 4.2 (one group) and 4.3 (top-1 left, top-5 right).
    """
    data = [landscapes_data(group, roi, top) for group in groups]
    columns = [(part, panel) for part in data for panel in part.panels]
    titles = [_title(panel, len(data) > 1) for _, panel in columns] + [""] * len(columns)
    figure = _layout.panel_figure(titles, 160, 82, 104, columns=len(columns), width=90)
    # The book's script keeps the two panels of a network together.
    figure.update_layout(meta={**figure.layout.meta, "pairs": True}, grid={"xgap": 0.36})
    for number, (part, panel) in enumerate(columns, start=1):
        scale = f"coloraxis{data.index(part) + 1 if part is not data[0] else ''}"
        upper = _layout.set_plane(figure, number, part.plane)
        lower = _layout.set_plane(figure, number + len(columns), part.plane)
        figure.add_trace(_contour(panel, part, upper, scale))
        figure.add_traces(_settings(panel, part, lower, scale))
        if panel.landscape.best < part.low:
            place = {"xref": f"x{upper} domain", "yref": f"y{upper} domain", "x": 0.5, "y": 0.5}
            figure.add_annotation(text="below the<br>scale", showarrow=False, **place)
    figure.add_traces(_legend(columns, roi))
    length = 0.7 if len(data) == 1 else 0.42
    for number, part in enumerate(data):
        bar = {"x": (number + 0.5) / len(data), "len": length, "nticks": 4}
        axis = part.colour_axis(part.title, **bar)
        figure.update_layout({f"coloraxis{number + 1 if number else ''}": axis})
    return figure


def _title(panel: LandscapePanel, several: bool) -> str:
    metric = metric_of(panel.landscape)
    best = f"best {metric.level(panel.landscape.best)}"
    small = f"{metric.title}, {best}" if several else best
    return _layout.panel_title(variant_title(panel.landscape.variant).replace(", ", "<br>"), small)


def _contour(panel: LandscapePanel, data: LandscapesData, suffix: str, scale: str) -> Props:
    """Contours of what lies on the colour scale."""
    up, across = panel.landscape.axes
    shown = panel.points.assign(colour=panel.points["colour"].where(lambda own: own >= data.low))
    square = shown.pivot(index=up, columns=across, values="colour")
    values = square.to_numpy(float)
    surface = _traces.Surface(square.index.to_numpy(), square.columns.to_numpy(), values)
    steps = {"start": data.low, "end": data.high, "size": (data.high - data.low) / 7}
    return _traces.ground_trace(surface, suffix, scale, steps, CONTOUR) | {"connectgaps": True}


def _settings(panel: LandscapePanel, data: LandscapesData, suffix: str, scale: str) -> list[Props]:
    """Settings of one network in colours, failures, ellipses and the best."""
    landscape, measured = panel.landscape, panel.measured
    colour = {"color": _traces.rounded(measured["colour"], 4), "coloraxis": scale}
    look = {"marker": {**_traces.POINT, **colour}, "legendgroup": "points"}
    texts = _traces.point_texts(measured, landscape)
    traces = [_traces.scatter(data.plane, suffix, measured, "colour", text=texts, **look)]
    traces += _traces.failure_traces(data.plane, suffix, panel, "colour")
    for number, (threshold, dash) in enumerate(zip(data.roi, _traces.DASHES, strict=False)):
        line, inner = _traces.outline(landscape, threshold), "white" if number else "black"
        traces += _traces.outline_traces(suffix, line, f"roi-{number}", dash, inner)
    look = {"marker": _traces.best_marker(size=11), "legendgroup": "best"}
    return [*traces, _traces.scatter(data.plane, suffix, panel.best_at, "colour", **look)]


def _legend(
    columns: list[tuple[LandscapesData, LandscapePanel]], roi: tuple[float, ...]
) -> list[Props]:
    marker = {**_traces.POINT, "color": INK}
    entries = [_traces.legend_entry("measured", "points", marker=marker)]
    for number, (threshold, dash) in enumerate(zip(sorted(roi), _traces.DASHES, strict=False)):
        line = {"width": 2.2, "color": INK, "dash": dash}
        title = f"{roi_title(threshold)} ellipse"
        entries.append(_traces.legend_entry(title, f"roi-{number}", mode="lines", line=line))
    entries.append(_traces.legend_entry("best", "best", marker=_traces.best_marker()))
    return entries + _traces.failure_entries([panel for _, panel in columns])


def plot_kept_shares(studies: Iterable[StudyResults]) -> go.Figure:
    """Share of its channels that each pruned layer keeps, a panel a study.

    Studies without both methods, or without a recorded ranking, are left out.

    Raises
    ------
    HpstudyError
        Without any study to draw.

    References
    ----------
    Thesis, Figure 2.9.
    """
    shown = [
        study
        for study in studies
        if study.record.get("ranking")
        and len({made["method"] for made in study.record["certificates"].values()}) > 1
    ]
    if not shown:
        raise HpstudyError("no study has both methods and a recorded ranking.")
    titles = [f"<b>{study.title}</b>" for study in shown]
    figure = _layout.panel_figure(titles, 220, 58, 50, columns=2, width=240)
    up = {"range": [0, 104], "showgrid": True, "nticks": 6}
    entries: dict[str, Props] = {}
    for number, study in enumerate(shown, start=1):
        made = study.record["certificates"]
        colours, dense = variant_colours([DENSE, *made]), study.record["ranking"]["scores"]
        axes = ("pruned layer, from the input on", "channels kept (%)")
        across = {"range": [0.5, len(dense) + 0.5], "tickformat": "d", "nticks": 9}
        suffix = _layout.set_axes(figure, number, across, up, axes, linked="")
        for place, (name, report) in enumerate(made.items()):
            look: Props = {"marker": {"size": 6, "symbol": place, "color": colours[name]}}
            look |= {"mode": "lines+markers", "line": {"width": 1.8, "color": colours[name]}}
            shares = [100 * width / len(dense[layer]) for layer, width in report["widths"].items()]
            texts = [f"{layer}: {width}" for layer, width in report["widths"].items()]
            place_of = {"x": list(range(1, len(shares) + 1)), "y": _traces.rounded(shares, 4)}
            trace = {"type": "scatter", **place_of, "hovertext": texts, "legendgroup": name}
            figure.add_trace({**trace, **look, **_traces.axes_of(suffix)})
            entries.setdefault(name, _traces.legend_entry(short_title(name), name, **look))
    figure.add_traces(list(entries.values()))
    return figure
