"""The explorer: the book's interactive landscapes of any table, with numbers from a live kernel."""

import json
from collections.abc import Callable, Iterable
from html import escape
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets
from plotly.offline import get_plotlyjs

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.run_tables import RunTable
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError, unknown
from hpstudy.plots.interactive import Sliders, interactive_data
from hpstudy.plots.labels import axis_title, roi_title
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
from hpstudy.report.sphinx_offline import INTERACTIVE_SCRIPTS

WRAPPING = widgets.Layout(flex_flow="row wrap", width="100%")
STATIC = resources.files("hpstudy.report") / "static"


class Panels(anywidget.AnyWidget):
    """Landscapes of `runs` (`interactive_data`) in the browser, and what of them is shown.

    `left` and `right` are places of networks, `step` is one of the thresholds, and `multiple` are
    the standard deviations that an ellipse reaches.
    """

    _esm = "\n".join(
        [
            # As text, which is run when it is needed: a module that runs it may start too late.
            f"const PLOTLY = {json.dumps(get_plotlyjs())};",
            *((STATIC / name).read_text(encoding="utf-8") for name in INTERACTIVE_SCRIPTS),
            Path(__file__).with_name("explorer.js").read_text(encoding="utf-8"),
        ]
    )
    _css = (STATIC / "hpstudy.css").read_text(encoding="utf-8")
    runs = traitlets.Dict().tag(sync=True)
    left = traitlets.Int(0, min=0).tag(sync=True)
    right = traitlets.Int(0, min=0).tag(sync=True)
    metric = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)
    multiple = traitlets.Float(2.0, min=0.5, max=3.0).tag(sync=True)

    def save(self, name: str, kind: str, text: str) -> None:
        """Have the browser save a text as a file of a MIME type."""
        self.send({"name": file_name(name), "type": kind, "text": text})


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Two networks side by side, and their difference, under sliders.

    The widgets are attributes: choices (`axes` are one or two hyperparameters, the first of two
    up), `panels` with what a reader moves in the browser, and `numbers` of the view.

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
        self.axes = widgets.Dropdown(description="axes")
        self.upload = widgets.FileUpload(accept=".csv", multiple=True, description="own table")
        self.csv = widgets.Button(description="CSV", tooltip="save the data of this view")
        self.messages, self.caption, self.numbers = (widgets.HTML() for _ in range(3))
        self.panels = Panels()
        self._filling = False
        self._say(messages)
        self._change_study()
        self._follow(self.study, self._change_study)
        self._follow(self.axes, self._draw)
        self._follow(self.panels, self._describe, "left", "right", "metric", "step", "multiple")
        self.upload.observe(lambda change: self._open(change["new"]), names="value")
        self.csv.on_click(lambda _: self._save())
        choices = widgets.HBox((self.study, self.axes, self.upload, self.csv), layout=WRAPPING)
        super().__init__([choices, self.messages, self.caption, self.panels, self.numbers])

    @property
    def source(self) -> Source:
        """Runs that are shown."""
        return self.sources[self.study.value]

    def shown(self) -> dict[str, Landscape]:
        """Landscapes of the left and the right network."""
        landscapes = list(self._sliders.landscapes[self.panels.metric].values())
        return {"left": landscapes[self.panels.left], "right": landscapes[self.panels.right]}

    @property
    def threshold(self) -> float:
        """Threshold of the regions of interest, in the metric's unit."""
        return float(self._sliders.thresholds[self.panels.step])

    def _follow(self, widget: widgets.Widget, act: Callable[[], None], *names: str) -> None:
        def change(_: object) -> None:
            # A new study sets several values; one drawing at the end is enough.
            if not self._filling:
                act()

        widget.observe(change, names=names or "value")

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
            self.study.options = list(self.sources)
            self.study.value = names[-1]
            self._change_study()

    def _say(self, messages: Iterable[str]) -> None:
        self.messages.value = "".join(f"<p role='alert'>{escape(one)}</p>" for one in messages)

    def _change_study(self) -> None:
        axes = self.source.axes
        pairs: list[tuple[str, ...]] = [*combinations(axes, 2)] or [axes]
        chosen = self.axes.value if self.axes.value in pairs else pairs[0]
        self._filling = True
        self.axes.options = [(" × ".join(map(axis_title, pair)), pair) for pair in pairs]
        self.axes.value = chosen
        self._draw()

    def _draw(self) -> None:
        """Send the landscapes; networks and a metric that were shown before stay."""
        self._sliders: Sliders = self.source.sliders(self.axes.value)
        data, panels = interactive_data(self._sliders), self.panels
        before = [network["name"] for network in panels.runs.get("networks", ())]
        names = [network["name"] for network in data["networks"]]

        def place(last: int, otherwise: int) -> int:
            kept = before[last] if before else None
            return names.index(kept) if kept in names else otherwise

        self._filling = True
        with panels.hold_sync():
            panels.left, panels.right = place(panels.left, 0), place(panels.right, len(names) - 1)
            if panels.metric not in data["metrics"]:
                panels.metric = next(iter(data["metrics"]))
            panels.step, panels.runs = data["start"], data
        self._filling = False
        self.caption.value = f"<p>{escape(self.source.label)}</p>"
        self._describe()

    def _describe(self) -> None:
        view = StudyAnalysis(self.shown()), self.threshold, self.panels.multiple
        boxes = html_table(network_table(*view)) + html_table(pair_table(*view))
        look = "display: flex; flex-wrap: wrap; gap: 0 3em; line-height: normal"
        self.numbers.value = f'<div style="{look}">{boxes}</div>'

    def _save(self) -> None:
        left, right = self.shown().values()
        region = roi_title(self.threshold)
        name = f"{self.study.value} {left.variant} {right.variant} {left.metric} {region}.csv"
        table = view_table(left, right, self.threshold)
        self.panels.save(name, "text/csv", table.to_csv(index=False))
