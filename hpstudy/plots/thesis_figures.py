"""Figures 4.1 to 4.3 of the thesis, laid out as there: contours above settings."""

from collections.abc import Iterable

import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.plots import _layout, _traces
from hpstudy.plots._layout import INK, Props
from hpstudy.plots.labels import metric_of, roi_title, variant_title
from hpstudy.plots.landscape import TOP, LandscapePanel, LandscapesData, landscapes_data

HEIGHT = 160
"""Pixels of a panel."""
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
    figure = _layout.panel_figure(titles, HEIGHT, 82, 104, columns=len(columns), width=90)
    forms = {"wide": _form(len(columns), len(columns)), "narrow": _form(len(columns), 2)}
    figure.update_layout(meta={**figure.layout.meta, **forms}, grid={"xgap": 0.36})
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


def _form(networks: int, columns: int) -> Props:
    """Layout in so many columns: the two panels of a network stay above each other."""
    rows = []
    for first in range(1, networks + 1, columns):
        for below in (0, networks):
            numbers = range(first, min(first + columns, networks + 1))
            suffixes = [_layout.axis_suffix(number + below) for number in numbers]
            row = [f"x{suffix}y{suffix}" for suffix in suffixes]
            rows.append(row + [""] * (columns - len(row)))
    height = len(rows) * (HEIGHT + _layout.ROW_GAP) - _layout.ROW_GAP + 82 + 104
    grid = {"grid.subplots": rows, "grid.rows": len(rows), "grid.columns": columns}
    return {**grid, "height": height, "margin.t": 82}


def _title(panel: LandscapePanel, several: bool) -> str:
    metric = metric_of(panel.landscape)
    best = f"best {metric.level(panel.landscape.best)}"
    small = f"{metric.title.removesuffix(' accuracy')}, {best}" if several else best
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
