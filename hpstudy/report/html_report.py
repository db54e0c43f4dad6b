"""A report of one's own table of runs: one HTML file that opens without a network."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from hpstudy import plots
from hpstudy.analysis.comparison import Comparison
from hpstudy.analysis.run_tables import RunTable, read_runs
from hpstudy.analysis.verdict import VerdictGroup
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.plots.forest import plot_forest
from hpstudy.plots.interactive import Sliders, interactive_html
from hpstudy.plots.labels import metric_of
from hpstudy.report.notebook import figure_bundle
from hpstudy.report.retune_command import design_notes
from hpstudy.report.sphinx_offline import INTERACTIVE_SCRIPTS
from hpstudy.report.verdicts import TEMPLATES, verdict_html

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan

logger = logging.getLogger(__name__)


def check_path(path: str | Path) -> Path:
    """Path of a report to be written; refuses a folder, and one in a folder that is not there."""
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise HpstudyError(f"--html must name a file in a folder that exists, not {path}")
    return path


def write_report(
    runs: RunTable | Comparison | str | Path | Iterable[str | Path],
    path: str | Path,
    roi: float | tuple[float, ...] | None = None,
) -> Path:
    """Write verdicts, landscapes, shifts and losses of a table as one HTML file.

    Parameters
    ----------
    runs : RunTable, Comparison, str, Path or iterable of them
        Runs as `hpstudy.read_runs` returns them, or tables for it to read.
    path : path
        File to write.
    roi : float or tuple of float, optional
        Thresholds as of `hpstudy.compare`.

    Raises
    ------
    HpstudyError
        If the file cannot be written, or the tables cannot be read or compared.
    """
    path = check_path(path)
    if not isinstance(runs, Comparison):
        runs = Comparison.of(runs if isinstance(runs, RunTable) else read_runs(runs), roi)
    text = report_html(runs)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HpstudyError(f"{path} cannot be written ({error.strerror})") from None
    return path


def write_study_report(plan: "AnyPlan", table: Path) -> Path | None:
    """Write the report of a study's table beside it; None while there is nothing to report."""
    path = table.with_suffix(".html")
    try:
        runs = read_runs(table, dense=DENSE, axes=plan.axes, metric=plan.metric, goal=plan.goal)
        runs = replace(runs, notes=[*runs.notes, *design_notes(plan)])
        return write_report(runs, path, plan.study.roi)
    except HpstudyError as error:
        logger.warning("%s: no report: %s", plan.study.name, error)
        return None


def report_html(comparison: Comparison) -> str:
    """The report as text; its scripts and styles are in it."""
    analysis, rows = comparison.analysis, comparison.verdicts
    metric, networks = metric_of(analysis.landscapes[analysis.dense]), len(analysis.landscapes)
    static = resources.files("hpstudy.report") / "static"
    names = ("hpstudy.js", *INTERACTIVE_SCRIPTS)
    scripts = [(static / name).read_text(encoding="utf-8") for name in names]
    return TEMPLATES.get_template("report.html").render(
        title=f"{count(len(comparison.runs.table), 'run')} of {count(networks, 'network')}",
        notes=comparison.runs.notes,
        table=verdict_html([VerdictGroup("", rows)], metric, True) if rows else "",
        figures=dict(_figures(comparison)),
        style=(static / "hpstudy.css").read_text(encoding="utf-8"),
        scripts=[get_plotlyjs(), *scripts],
    )


def _figures(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """HTML of every figure by its name in the template; a reason where there is nothing to draw."""
    analysis, rows = comparison.analysis, comparison.verdicts
    networks, roi, runs = analysis.landscapes, comparison.roi, comparison.runs
    metric = metric_of(networks[analysis.dense])
    sliders = Sliders("these runs", runs.table, {runs.metric: networks}, max(roi))
    drawn: dict[str, Callable[[], go.Figure | str]] = {
        "landscapes": partial(plots.plot_cells, networks, max(roi)),
        "sliders": partial(interactive_html, sliders),
    }
    if rows:
        drawn |= {
            "forest": partial(plot_forest, [VerdictGroup("", rows)], metric),
            "differences": partial(plots.plot_differences, networks, max(roi)),
            "regret": partial(plots.plot_regret, analysis),
        }
    for name, draw in drawn.items():
        try:
            figure = draw()
        except HpstudyError as error:
            yield name, f"<p>No figure: {escape(str(error))}</p>"
            continue
        yield name, figure if isinstance(figure, str) else figure_bundle(figure, name)["text/html"]
