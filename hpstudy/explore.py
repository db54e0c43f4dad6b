"""The explorer: widgets around the figures and tables of published studies, for a live kernel."""

from collections.abc import Iterable
from pathlib import Path

import ipywidgets as widgets
import plotly.graph_objects as go

from hpstudy.booktables import at_threshold
from hpstudy.errors import HpstudyError, unknown
from hpstudy.figures import plot_landscapes
from hpstudy.htmltable import html_table
from hpstudy.landscape import Landscape
from hpstudy.results import METRIC_TITLES, Results, read_results, variant_title

LARGEST_THRESHOLD = 5.0


class Explorer(widgets.VBox):
    """Two networks of a study beside each other, their region of interest under a slider.

    Parameters
    ----------
    folders : iterable of str or Path
        Folders of published tables; of studies with one name the last folder's is taken.
    study : str, default ""
        Study to begin with; blank for the first.

    Attributes
    ----------
    study, left, right, metric : ipywidgets.Dropdown
        What is shown.
    threshold : ipywidgets.FloatSlider
        Of the region of interest, in percentage points.
    relative : ipywidgets.Checkbox
        Whether each network is coloured by the distance from its own best.
    figure : plotly.graph_objects.FigureWidget
        Follows them.
    numbers : ipywidgets.HTML
        The table under it, which follows too.

    Raises
    ------
    HpstudyError
        If the folders hold no study, or not the one asked for.
    """

    def __init__(self, folders: Iterable[str | Path], study: str = ""):
        folders = [str(folder) for folder in folders]
        self.studies = read_results(folders)
        if not self.studies:
            raise HpstudyError(f"no study has been published yet in {', '.join(folders)}.")
        if study and study not in self.studies:
            raise unknown("study", study, self.studies)
        self.study = _dropdown("study", list(self.studies), study or next(iter(self.studies)))
        self.left = _dropdown("left")
        self.right = _dropdown("right")
        self.metric = _dropdown("metric")
        self.threshold = widgets.FloatSlider(
            value=0.5,
            min=0.1,
            max=LARGEST_THRESHOLD,
            step=0.1,
            description="ROI (points)",
            continuous_update=False,
            readout_format=".1f",
        )
        self.relative = widgets.Checkbox(description="distance from own best", indent=False)
        self.numbers = widgets.HTML()
        self._offer()
        first = self._plot()
        self.figure, self._drawn = go.FigureWidget(first), _values(first)
        self._tabulate()
        self.study.observe(self._change_study, names="value")
        for choice in (self.left, self.right, self.metric, self.threshold, self.relative):
            choice.observe(self._draw, names="value")
        self._busy = False
        rows = [
            widgets.HBox([self.study, self.metric, self.threshold], layout=_WRAPPING),
            widgets.HBox([self.left, self.right, self.relative], layout=_WRAPPING),
        ]
        super().__init__([*rows, self.figure, self.numbers])

    @property
    def results(self) -> Results:
        """Study that is shown."""
        return self.studies[self.study.value]

    def shown(self) -> dict[str, Landscape]:
        """Landscapes of the left and the right network."""
        every = self.results.landscapes(self.metric.value)
        return {"left": every[self.left.value], "right": every[self.right.value]}

    def _offer(self) -> None:
        """Fill the choices with what the study has; keep a choice that it has too."""
        names = list(self.results.landscapes())
        variants = [(variant_title(name), name) for name in names]
        metrics = [(METRIC_TITLES[name], name) for name in self.results.metrics]
        for choice, options, first in (
            (self.left, variants, names[0]),
            (self.right, variants, names[-1]),
            (self.metric, metrics, "top1"),
        ):
            kept = choice.value if choice.value in [value for _, value in options] else first
            choice.options = options
            choice.value = kept

    def _plot(self) -> go.Figure:
        return plot_landscapes(
            self.shown(), (self.threshold.value,), relative=self.relative.value, columns=2
        )

    def _tabulate(self) -> None:
        chosen = dict.fromkeys((self.left.value, self.right.value))
        frame = at_threshold(self.results, chosen, self.metric.value, self.threshold.value)
        self.numbers.value = f"<p>{self.results.label}</p>{html_table(frame)}"

    def _change_study(self, change: object) -> None:
        # New options set several values; one drawing at the end is enough.
        self._busy = True
        try:
            self._offer()
        finally:
            self._busy = False
        self._draw(change)

    def _draw(self, change: object) -> None:
        if self._busy:
            return
        new = _values(self._plot())
        with self.figure.batch_update():
            # The traces are the same in number and kind whatever is chosen (`plot_landscapes`);
            # touching only those that change halves the time that a moved slider takes.
            parts = zip((*self.figure.data, self.figure.layout), self._drawn, new, strict=True)
            for part, before, after in parts:
                if after != before:
                    part.update(after, overwrite=True)
        self._drawn = new
        self._tabulate()


_WRAPPING = widgets.Layout(flex_flow="row wrap")


def _dropdown(name: str, options: Iterable = (), value: str | None = None) -> widgets.Dropdown:
    return widgets.Dropdown(options=list(options), value=value, description=name)


def _values(figure: go.Figure) -> list[dict]:
    """Values of every trace of a figure, and of its layout last."""
    parts = [part.to_plotly_json() for part in (*figure.data, figure.layout)]
    return [{key: value for key, value in part.items() if key != "type"} for part in parts]
