"""The explorer: widgets around two landscapes, their difference and numbers, for a live kernel."""

from collections.abc import Callable, Iterable
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import traitlets

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.plots._layout import Props
from hpstudy.plots.labels import axis_title, metric_of, roi_title, setting_text, variant_title
from hpstudy.plots.learning_curves import learning_curves_data, plot_learning_curves
from hpstudy.plots.pair import PANELS, move, pair_data, plot_pair
from hpstudy.report.explorer_tables import (
    Source,
    file_name,
    network_table,
    pair_table,
    read_sources,
    read_upload,
    view_table,
)
from hpstudy.report.notebook import html_table
from hpstudy.storage.tables import METRIC_TITLES

# Pixels from which three panels, and two, stand side by side.
WIDE, MIDDLE = 760, 520
NONE: tuple[float, ...] = ()  # No point is chosen.
WRAPPING = widgets.Layout(flex_flow="row wrap", width="100%")
WHOLE = widgets.Layout(width="100%", overflow="hidden")
CONFIG = {"displaylogo": False, "toImageButtonOptions": {"filename": "landscapes", "scale": 2}}
CAPTION = (
    "Mean over the runs at each point. Third panel: distance of the right network from its own "
    "best minus that of the left one; purple where the right one is closer. Circles are measured."
)


class Page(anywidget.AnyWidget):
    """Browser side of an explorer: reports its width in pixels (0 until shown), saves files."""

    _esm = Path(__file__).with_name("explorer.js")
    width = traitlets.Int(0, min=0, max=100_000).tag(sync=True)

    def save(self, name: str, kind: str, text: str) -> None:
        """Have the browser save a text as a file of a MIME type."""
        self.send({"name": file_name(name), "type": kind, "text": text})


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Two networks side by side, and their difference, under sliders.

    The widgets are attributes: choices (`axes` are one or two hyperparameters, the first of two up;
    `point` is the setting whose learning curves are shown, as values of the axes, and is chosen by
    a click too), sliders (`threshold` in the metric's unit, `multiple` in standard deviations), and
    figures (`curves` is None until a point is chosen).

    Parameters
    ----------
    sources : iterable of str, Path or RunTable
        Folders of published tables, of which the last one's study is taken where two have one
        name; and tables of the user, as `hpstudy.read_runs` returns them.
    study : str, default ""
        Study to begin with; blank for the first.

    Raises
    ------
    HpstudyError
        If there is no study, or not the one asked for.
    """

    def __init__(self, sources: Iterable[str | Path | RunTable], study: str = ""):
        self.sources, messages = read_sources(sources)
        if study and study not in self.sources:
            raise unknown("study", study, self.sources)
        names = list(self.sources)
        self.study = widgets.Dropdown(options=names, value=study or names[0], description="study")
        self.left, self.right, self.metric, self.axes, self.point = (
            widgets.Dropdown(description=name)
            for name in ("left", "right", "metric", "axes", "curves at")
        )
        self.threshold = widgets.FloatSlider(description="ROI")
        self.multiple = widgets.FloatSlider(
            2.0, min=0.5, max=3.0, step=0.05, description="ellipse (SD)"
        )
        self.relative = widgets.Checkbox(True, description="distance from own best", indent=False)
        self.upload = widgets.FileUpload(accept=".csv", multiple=True, description="own table")
        self.messages = widgets.HTML()
        self._say(messages)
        self.caption, self.numbers = widgets.HTML(), widgets.HTML()
        self.csv = widgets.Button(description="CSV", tooltip="save the data of this view")
        self.page = Page()
        self.figure: Any = None
        self.curves: Any = None
        self._frame: tuple[Any, ...] = ()
        self._traces: list[Props] = []
        self._curves_box = widgets.Box(layout=WHOLE)
        self._filling = False
        self._change_study()
        self._watch()
        figure = widgets.Box([self.figure], layout=WHOLE)
        figure.add_class("hpstudy-pair")
        rows = (
            (self.study, self.left, self.right, self.upload),
            (self.messages,),
            (self.metric, self.axes),
            (self.threshold, self.multiple, self.relative),
            (self.caption, self.csv),
        )
        *choices, caption = (widgets.HBox(row, layout=WRAPPING) for row in rows)
        below = caption, self.numbers, self.point, self._curves_box, self.page
        super().__init__([*choices, figure, *below])

    @property
    def source(self) -> Source:
        """Runs that are shown."""
        return self.sources[self.study.value]

    def shown(self) -> dict[str, Landscape]:
        """Landscapes of the left and the right network."""
        landscapes = self.source.landscapes(self.metric.value, self.axes.value)
        return {"left": landscapes[self.left.value], "right": landscapes[self.right.value]}

    def _watch(self) -> None:
        def follow(choice: widgets.Widget, *acts: Callable[[], None], name: str = "value") -> None:
            def change(_: object) -> None:
                # New options set several values; one drawing at the end is enough.
                for act in () if self._filling else acts:
                    act()

            choice.observe(change, names=name)

        follow(self.study, self._change_study)
        for choice in (self.left, self.right, self.metric, self.axes):
            follow(choice, self._change_networks)
        follow(self.relative, self._draw)
        for slider in (self.threshold, self.multiple):
            follow(slider, self._move, self._describe)
        follow(self.point, self._move, self._draw_curves)
        follow(self.page, self._draw, name="width")
        self.upload.observe(lambda change: self._open(change["new"]), names="value")
        self.csv.on_click(lambda _: self._save())

    def _open(self, files: Iterable[dict[str, Any]]) -> None:
        """Add uploaded tables to the studies, and show the last; a message for a refused one."""
        messages, names = [], []
        for file in files:
            try:
                name, source = read_upload(file["name"], file["content"])
            except HpstudyError as error:
                messages.append(str(error))
                continue
            self.sources[name] = source
            names.append(name)
        self._say(messages)
        if names:
            self._filling = True
            self._fill(self.study, [(name, name) for name in self.sources], names[-1])
            self.study.value = names[-1]
            self._change_study()

    def _say(self, messages: Iterable[str]) -> None:
        self.messages.value = "".join(f"<p role='alert'>{escape(one)}</p>" for one in messages)

    def _change_study(self) -> None:
        """Fill the choices with what the study has; keep a choice that it has too."""
        source = self.source
        names = list(dict.fromkeys(source.table["variant"].astype(str)))
        names.sort(key=lambda name: name != source.dense)
        networks = [(variant_title(name), name) for name in names]
        pairs: list[tuple[str, ...]] = [*combinations(source.axes, 2)] or [source.axes]
        axes = [(" × ".join(map(axis_title, pair)), pair) for pair in pairs]
        metrics = [(METRIC_TITLES.get(name, name), name) for name in source.metrics]
        self._filling = True
        self._fill(self.left, networks, names[0])
        self._fill(self.right, networks, names[-1])
        self._fill(self.axes, axes, pairs[0])
        self._fill(self.metric, metrics, metrics[0][1])
        first, largest = source.threshold_range()
        if self.threshold.max != largest:
            # A slider takes no end beyond its other one.
            self.threshold.min, self.threshold.max = 0.0, largest
            self.threshold.step = self.threshold.min = largest / 50
            self.threshold.readout_format = ".1f" if largest >= 1 else ".3g"
            self.threshold.value = first
        self._change_networks()

    def _fill(self, choice: widgets.Dropdown, options: list[tuple[str, Any]], first: Any) -> None:
        value = choice.value if choice.value in [value for _, value in options] else first
        choice.options = options
        choice.value = value

    def _change_networks(self) -> None:
        landscapes = self.shown()
        axes = list(self.axes.value)
        settings = pd.concat([landscape.points[axes] for landscape in landscapes.values()])
        options = [
            (", ".join(f"{axis_title(axis)} {setting_text(x)}" for axis, x in row.items()), (*row,))
            for _, row in settings.drop_duplicates().sort_values(axes).iterrows()
        ]
        self._filling = True
        self._fill(self.point, [("none: click a point", NONE), *options], NONE)
        self._filling = False
        self._analysis = StudyAnalysis(landscapes)
        percent = metric_of(landscapes["left"]).percent
        self.threshold.description = "ROI (points)" if percent else "ROI"
        self._draw()
        self._describe()

    def _draw(self) -> None:
        """Draw both figures: what changes on the same axes, or all anew."""
        left, right = self.shown().values()
        look = self.threshold.value, self.multiple.value, self.relative.value
        self._pair = pair_data(left, right, *look, self._chosen)
        frame = *self._pair.planes, self._columns, self.page.width
        if frame == self._frame:
            with self.figure.batch_update():
                self._traces = move(self.figure, self._pair, self._traces, every=True)
        else:
            self._frame, self._traces = frame, self._pair.traces()
            self.figure = self._shown(self.figure, plot_pair(self._pair, self._columns))
            for trace in self.figure.data:
                if trace.hoverinfo == "text":
                    trace.on_click(self._click)
        self._draw_curves()

    def _shown(self, widget: go.FigureWidget | None, figure: go.Figure) -> go.FigureWidget:
        """Widget that shows a figure: the same one as before, as a new one loads Plotly anew."""
        figure.layout.width = self.page.width or None
        if widget is None:
            widget = go.FigureWidget(figure)
            widget._config = CONFIG
            return widget
        widget.data = ()
        widget.add_traces(figure.data)
        with widget.batch_update():
            widget.layout.update(figure.layout.to_plotly_json(), overwrite=True)
        return widget

    @property
    def _columns(self) -> int:
        width = self.page.width or WIDE
        return PANELS if width >= WIDE else 2 if width >= MIDDLE else 1

    @property
    def _chosen(self) -> dict[str, float]:
        return dict(zip(self.axes.value, self.point.value, strict=False))

    def _move(self) -> None:
        pair = self._pair.at(self.threshold.value, self.multiple.value, self._chosen)
        with self.figure.batch_update():
            self._traces = move(self.figure, pair, self._traces)

    def _describe(self) -> None:
        view = self._analysis, self.threshold.value, self.multiple.value
        boxes = html_table(network_table(*view)) + html_table(pair_table(*view))
        self.numbers.value = f'<div style="display: flex; flex-wrap: wrap; gap: 3em">{boxes}</div>'
        self.caption.value = f"<p>{escape(self.source.label)}. {CAPTION}</p>"

    def _click(self, trace: go.Scatter, points: Any, state: object) -> None:
        settings = pd.DataFrame([at for _, at in self.point.options if at], columns=self.axes.value)
        plane = self._pair.data.plane
        for x, y in zip(points.xs, points.ys, strict=True):
            at = np.isclose(plane.x(settings), x, rtol=1e-8, atol=0.0)
            if plane.up is not None:
                at &= np.isclose(plane.y(settings), y, rtol=1e-8, atol=0.0)
            if at.any():
                self.point.value = tuple(settings[at].iloc[0])

    def _draw_curves(self) -> None:
        self._curves_box.children = ()
        if not self.point.value:
            return
        networks = self.left.value, self.right.value
        at = dict(zip(self.axes.value, self.point.value, strict=True))
        curves = learning_curves_data(self.source.table, networks, at)
        runs = count(len(curves.groupby(["variant", "seed"])), "run")
        heading = widgets.HTML(f"<p>Learning curves of {runs} at this point, one line each.</p>")
        shown = []
        if not curves.empty:
            figure = plot_learning_curves(curves, min(self._columns, 2))
            self.curves = self._shown(self.curves, figure)
            shown = [self.curves]
        self._curves_box.children = [widgets.VBox([heading, *shown])]

    def _save(self) -> None:
        left, right = self.shown().values()
        region = roi_title(self.threshold.value)
        name = f"{self.study.value} {left.variant} {right.variant} {left.metric} {region}.csv"
        table = view_table(left, right, self.threshold.value)
        self.page.save(name, "text/csv", table.to_csv(index=False))
