"""The explorer: widgets around the figures and tables of published studies, for a live kernel."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import plotly.graph_objects as go

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_results import METRIC_TITLES, StudyResults
from hpstudy.errors import count, unknown
from hpstudy.plots.labels import axis_title, metric_of, roi_title, variant_title
from hpstudy.plots.learning_curves import learning_curves_data, plot_learning_curves
from hpstudy.plots.pair import PANELS, Pair, move, pair_data, plot_pair
from hpstudy.report.controls import (
    WHOLE,
    WRAPPING,
    dropdown,
    fill,
    live,
    redraw,
    renew,
    save_button,
    slider,
    stretch,
)
from hpstudy.report.explorer_data import (
    OwnRuns,
    axes_of,
    dense_of,
    landscapes_of,
    point_options,
    setting_at,
    studies_of,
    threshold_of,
)
from hpstudy.report.explorerpage import ExplorerPage
from hpstudy.report.view import numbers_html, view_caption, view_page, view_table

# Pixels from which three panels, and two, stand beside each other.
WIDE, MIDDLE = 760, 520
NONE = ()
"""Value of the choice of a point while none is chosen."""
NO_CURVE = "No run of the two networks has a learning curve there."


class Explorer(widgets.VBox):
    """Two networks of a study beside each other, and their difference, under sliders.

    Parameters
    ----------
    sources : iterable of str, Path or RunTable
        Folders of published tables, of which the last one's study is taken where two have one
        name; and tables of one's own, as `hpstudy.analysis.run_tables.read_runs` returns them.
    study : str, default ""
        Study to begin with; blank for the first.

    Attributes
    ----------
    study, left, right, metric : ipywidgets.Dropdown
        What is shown.
    up, across : ipywidgets.Dropdown
        Hyperparameters of the axes, never the same; blank across where there is only one.
    threshold : ipywidgets.FloatSlider
        Of the region of interest, in the metric's unit.
    multiple : ipywidgets.FloatSlider
        Standard deviations from an ellipse's centre to its outline.
    relative : ipywidgets.Checkbox
        Whether each network is coloured by the distance from its own best.
    point : ipywidgets.Dropdown
        Point whose learning curves are shown, as values of `up` and `across`; a click chooses it
        too. The empty tuple for none.
    figure, curves : plotly.graph_objects.FigureWidget
        Follow them; curves is None until a point has been chosen.
    caption, numbers, said : ipywidgets.HTML
        Follow too: under the figure, and above the curves.
    exports : dict of str to ipywidgets.Button
        "HTML", "PNG", "SVG" and "CSV": the browser saves the view.

    Raises
    ------
    HpstudyError
        If there is no study, or not the one asked for.
    """

    def __init__(self, sources: Iterable[str | Path | RunTable], study: str = ""):
        self.studies = studies_of(sources)
        if study and study not in self.studies:
            raise unknown("study", study, self.studies)
        self.study = dropdown("study", list(self.studies), study or next(iter(self.studies)))
        self.left, self.right, self.metric = map(dropdown, ("left", "right", "metric"))
        self.up, self.across = map(dropdown, ("up", "across"))
        self.threshold = slider("ROI", 0.5, 0.0, 1.0, 0.1, 1)
        self.multiple = slider("ellipse (SD)", 2.0, 0.5, 3.0, 0.05, 2)
        self.relative = widgets.Checkbox(True, description="distance from own best", indent=False)
        self.point = dropdown("curves at")
        self.caption, self.numbers, self.said = (widgets.HTML() for _ in range(3))
        self.exports = {kind: save_button(kind) for kind in ("HTML", "PNG", "SVG", "CSV")}
        self.page = ExplorerPage()
        self._offer()
        self.figure = live(plot_pair(self._pair()))
        self.curves = None
        self._lower = widgets.Box(layout=WHOLE)
        self._say()
        self._show_curves()
        self._watch()
        figure = widgets.Box([self.figure], layout=WHOLE)
        figure.add_class("hpstudy-pair")
        super().__init__([*self._controls(), figure, *self._below()])
        self.add_class("hpstudy-explorer")

    @property
    def results(self) -> StudyResults | OwnRuns:
        """Study that is shown."""
        return self.studies[self.study.value]

    @property
    def axes(self) -> tuple[str, ...]:
        """Hyperparameters drawn up and across, or the only one."""
        return (self.up.value, self.across.value) if self.across.value else (self.up.value,)

    def shown(self) -> dict[str, Landscape]:
        """Landscapes of the left and the right network."""
        every = landscapes_of(self.results, self.metric.value, self.axes)
        return {"left": every[self.left.value], "right": every[self.right.value]}

    def _controls(self) -> list[widgets.HBox]:
        rows = (
            (self.study, self.left, self.right),
            (self.metric, self.up, self.across),
            (self.threshold, self.multiple, self.relative),
        )
        return [widgets.HBox(row, layout=WRAPPING) for row in rows]

    def _below(self) -> list[widgets.Widget]:
        save = widgets.HBox([widgets.Label("save as"), *self.exports.values()], layout=WRAPPING)
        return [self.caption, save, self.numbers, self.point, self.said, self._lower, self.page]

    def _watch(self) -> None:
        self._busy = False
        self.study.observe(self._change_study, names="value")
        for axis, other in ((self.up, self.across), (self.across, self.up)):
            axis.observe(lambda change, other=other: self._change_axis(change, other), "value")
        for choice in (self.left, self.right, self.metric, self.relative):
            choice.observe(self._redraw, names="value")
        for choice in (self.threshold, self.multiple):
            choice.observe(self._move, names="value")
        self.point.observe(self._choose, names="value")
        self.page.observe(self._fit, names="width")
        for kind, button in self.exports.items():
            button.on_click(lambda _, kind=kind: self._export(kind))
        self._watch_points()

    def _watch_points(self) -> None:
        for trace in self.figure.data:
            if trace.hoverinfo == "text":
                trace.on_click(self._click)

    def _offer(self) -> None:
        """Fill the choices with what the study has; keep a choice that it has too."""
        axes = [(axis_title(name), name) for name in axes_of(self.results)]
        names = list(dict.fromkeys(self.results.table["variant"].astype(str)))
        names.sort(key=lambda name: name != dense_of(self.results))
        metrics = [(METRIC_TITLES.get(name, name), name) for name in self.results.metrics]
        metric = next((name for _, name in metrics if name == "top1"), metrics[0][1])
        for choice, options, first in (
            (self.left, [(variant_title(name), name) for name in names], names[0]),
            (self.right, [(variant_title(name), name) for name in names], names[-1]),
            (self.metric, metrics, metric),
            (self.up, axes, axes[0][1]),
        ):
            fill(choice, options, first)
        if len(axes) == 1:
            fill(self.across, [("none", "")], "")
        else:
            fill(self.across, axes, next(name for _, name in axes if name != self.up.value))
        if self.across.value == self.up.value:
            self.up.value = next(name for _, name in axes if name != self.across.value)
        self._offer_thresholds()
        self._offer_points()

    def _offer_thresholds(self) -> None:
        percent = metric_of(self.shown()["left"]).percent
        self.threshold.description = "ROI (points)" if percent else "ROI"
        stretch(self.threshold, *threshold_of(self.results))

    def _offer_points(self) -> None:
        options = point_options(self.shown().values(), self.axes)
        fill(self.point, [("none: click a point", NONE), *options], NONE)

    def _pair(self) -> Pair:
        chosen = dict(zip(self.axes, self.point.value, strict=False))
        return pair_data(
            *self.shown().values(),
            self.threshold.value,
            self.multiple.value,
            self.relative.value,
            chosen,
        )

    def _say(self) -> None:
        view = (*self.shown().values(), self.threshold.value, self.multiple.value)
        self.numbers.value = numbers_html(*view)
        self.caption.value = f"<p>{escape(self._caption())}</p>"

    def _caption(self) -> str:
        others = [axis_title(name) for _, name in self.up.options if name not in self.axes]
        return view_caption(
            *self.shown().values(),
            self.results.label,
            self.threshold.value,
            self.multiple.value,
            others,
        )

    def _move(self, change: object) -> None:
        if self._busy:
            return
        with self.figure.batch_update():
            move(self.figure, self._pair())
        self._say()

    def _redraw(self, change: object) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            self._offer_points()
        finally:
            self._busy = False
        self._draw()
        self._say()
        self._show_curves()

    def _draw(self) -> None:
        figure = plot_pair(self._pair(), self._columns)
        figure.layout.width = self.page.width or None
        if [trace.type for trace in figure.data] == [trace.type for trace in self.figure.data]:
            redraw(self.figure, figure)
        else:
            # Over one axis other traces are drawn than over two.
            renew(self.figure, figure)
            self._watch_points()

    @property
    def _columns(self) -> int:
        width = self.page.width or WIDE
        return PANELS if width >= WIDE else 2 if width >= MIDDLE else 1

    def _fit(self, change: object) -> None:
        self._draw()
        self._show_curves()

    def _change_study(self, change: object) -> None:
        # New options set several values; one drawing at the end is enough.
        self._busy = True
        try:
            self._offer()
        finally:
            self._busy = False
        self._redraw(change)

    def _change_axis(self, change: dict, other: widgets.Dropdown) -> None:
        if self._busy:
            return
        if change["new"] == other.value:
            # One hyperparameter cannot be both axes, so they change places.
            self._busy = True
            try:
                other.value = change["old"]
            finally:
                self._busy = False
        self._redraw(change)

    def _click(self, trace: go.Scatter, points: object, state: object) -> None:
        settings = [at for _, at in self.point.options if at]
        for place in zip(points.xs, points.ys, strict=True):
            at = setting_at(self._pair().data.plane, settings, place)
            if at is not None:
                self.point.value = at

    def _choose(self, change: object) -> None:
        if self._busy:
            return
        with self.figure.batch_update():
            move(self.figure, self._pair())
        self._show_curves()

    def _runs(self):
        at = dict(zip(self.axes, self.point.value, strict=True))
        return learning_curves_data(self.results.table, (self.left.value, self.right.value), at)

    def _show_curves(self) -> None:
        if not self.point.value:
            self.said.value, self._lower.children = "", ()
            return
        runs = self._runs()
        n = len(runs.groupby(["variant", "seed"]))
        figure = plot_learning_curves(runs, 1 if self._columns == 1 else 2)
        figure.layout.width = self.page.width or None
        if self.curves is None:
            # Not before: a browser reads Plotly anew for every figure.
            self.curves = live(figure)
        else:
            renew(self.curves, figure)
        self._lower.children = (self.curves,) if n else ()
        where = f"Learning curves of {count(n, 'run')}, one line each." if n else NO_CURVE
        self.said.value = f"<p>{where}</p>"

    def _export(self, kind: str) -> None:
        left, right = self.shown().values()
        region = roi_title(self.threshold.value)
        name = f"{self.results.name} {left.variant} {right.variant} {left.metric} {region}"
        if kind == "CSV":
            table = view_table(left, right, self.threshold.value)
            self.page.save_text(f"{name}.csv", "text/csv", table.to_csv(index=False))
        elif kind == "HTML":
            text = view_page(go.Figure(self.figure), name, self._caption(), self.numbers.value)
            self.page.save_text(f"{name}.html", "text/html", text)
        else:
            self.page.save_picture(name, kind.lower())
