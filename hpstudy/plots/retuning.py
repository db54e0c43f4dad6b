"""A retuning step by step: probabilities of its verdicts, and of each setting to be good."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.retune import Retuning
from hpstudy.plots._layout import INK, Props, colour_axis, panel_figure, panel_title, set_axes
from hpstudy.plots._traces import axes_of, legend_entry, rounded
from hpstudy.plots.cells import CLASSES, Cells, heat, set_cells
from hpstudy.plots.labels import axis_title, setting_text

COLOURS = ("#222832", "#0f6cb5", "#c8500c")
# Marks in the cells: a run, the setting to train next, and the dense network's.
RUN = {"symbol": "circle", "size": 6, "color": "#222832", "line": {"width": 1, "color": "#ffffff"}}
NEXT = {"symbol": "star", "size": 12, "color": "#ffce3a", "line": {"width": 1, "color": "#222832"}}
KEPT = {"symbol": "square-open", "size": 15, "color": "#222832", "line": {"width": 2}}


def answers_data(steps: Sequence[Retuning]) -> pd.DataFrame:
    """Probability of each verdict to be "keep", a row a look: trainings, question, probability."""
    rows = [
        (step.runs, question, belief.probability, belief.answer)
        for step in steps
        for question, belief in {"both": step.both, **step.axes}.items()
    ]
    return pd.DataFrame(rows, columns=["trainings", "question", "probability", "answer"])


def plot_answers(frame: pd.DataFrame) -> go.Figure:
    """Probability to be kept over the trainings so far; a dot where an answer is given.

    `frame` is what `answers_data` returns.
    """
    figure = panel_figure([""], 220, 40, 46, columns=1, width=320)
    across = {"range": [-0.3, max(frame["trainings"].max(), 1) + 0.3], "nticks": 8}
    up = {"range": [-0.03, 1.03], "tickvals": [0, 0.25, 0.5, 0.75, 1], "showgrid": True}
    suffix = set_axes(figure, 1, across, up, ("trainings", "probability to be kept"))
    for (question, of), colour in zip(frame.groupby("question", sort=False), COLOURS, strict=False):
        name = "both" if question == "both" else axis_title(str(question))
        given = [9 if answer != "inconclusive" else 4 for answer in of["answer"]]
        figure.add_scatter(
            x=of["trainings"].tolist(),
            y=rounded(of["probability"], 3),
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2},
            marker={"size": given, "color": colour},
            text=of["answer"].tolist(),
            hovertemplate=f"{name}, %{{x}} trainings: %{{y:.2f}}, %{{text}}<extra></extra>",
            **axes_of(suffix),
        )
        figure.add_trace(_entry(name, colour))
    return figure


def plot_guesses(steps: Sequence[Retuning]) -> go.Figure:
    """Probability of every setting to be good, after some of the trainings of a retuning.

    A dot marks a run, a star the setting to train next, a square the dense network's.
    """
    axes = tuple(steps[0].axes)
    points = steps[0].settings
    *up, across = (np.unique(points[axis]) for axis in axes)
    cells = Cells(up[0] if up else np.zeros(1), across, axes)
    titles = [panel_title(_trainings(step.runs), f"both: {step.both.answer}") for step in steps]
    figure = panel_figure(titles, max(22 * len(cells.up), 88), 78, 110, width=110)
    for number, step in enumerate(steps, start=1):
        suffix, of = set_cells(figure, number, cells), step.settings
        texts = [
            "<br>".join(
                [*(f"{axis_title(axis)} {setting_text(row[axis])}" for axis in axes)]
                + [f"probability to be good {row['good']:.2f}", _trainings(row["runs"])]
            )
            for row in of.to_dict("records")
        ]
        figure.add_trace(heat(cells, of, of["good"], texts, suffix, coloraxis="coloraxis"))
        for mark, at in (
            (KEPT, pd.DataFrame([step.kept])),
            (RUN, of[of["runs"] > 0]),
            (NEXT, pd.DataFrame(step.next)),
        ):
            if len(at):
                row, column = cells.place(at)
                place = {"x": column.tolist(), "y": row.tolist(), "hoverinfo": "skip"}
                look = {"mode": "markers", "marker": mark}
                figure.add_scatter(**place, **look, **axes_of(suffix))
    entries = {"run": RUN, "to train next": NEXT, "dense network's": KEPT}
    figure.add_traces([legend_entry(name, name, marker=of) for name, of in entries.items()])
    bar = colour_axis("", 0, 1, "probability to be good", shown=True)
    scale = [[k / (len(CLASSES) - 1), colour] for k, colour in enumerate(CLASSES[::-1])]
    legend = {"itemclick": False, "itemdoubleclick": False}
    figure.update_layout(coloraxis={**bar, "colorscale": scale}, legend=legend)
    return figure


def plot_calibration(frame: pd.DataFrame) -> go.Figure:
    """How often the truth is "keep", against the probability that was said.

    `frame` has question, said, keep and looks, as in `retune.json`.
    """
    figure = panel_figure([""], 260, 40, 46, columns=1, width=300)
    across, up = ({"range": [-0.02, 1.02], "showgrid": True, "nticks": 6} for _ in range(2))
    suffix = set_axes(figure, 1, across, up, ("probability said", "share that is truly kept"))
    line = {"color": INK, "width": 1}
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False
    )
    for (question, of), colour in zip(frame.groupby("question", sort=False), COLOURS, strict=False):
        figure.add_scatter(
            x=rounded(of["said"], 3),
            y=rounded(of["keep"], 3),
            mode="lines+markers",
            name=str(question),
            line={"color": colour, "width": 1.5},
            marker={"size": 7, "color": colour},
            text=of["looks"].tolist(),
            hovertemplate="said %{x:.2f}, true %{y:.2f}, %{text} looks<extra></extra>",
            **axes_of(suffix),
        )
        figure.add_trace(_entry(str(question), colour))
    return figure


def _entry(name: str, colour: str) -> Props:
    return legend_entry(name, name, marker={"symbol": "circle", "size": 9, "color": colour})


def _trainings(number: int) -> str:
    return f"{number} training{'s' * (number != 1)}"
