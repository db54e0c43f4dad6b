"""Learning curves of the runs at one point of a landscape."""

import json

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import nine_digits
from hpstudy.plots._layout import axis_style, panel_figure, title_axes
from hpstudy.plots.labels import short_title
from hpstudy.plots.marks import plain

# Hues that the colour-blind tell apart, on white and on black; the loss on test images is dashed.
HUES = ("#3a86c8", "#d55e00")
SERIES = (("top1", "", "solid"), ("train_loss", "2", "solid"), ("loss", "2", "dash"))


def learning_curves_data(table: pd.DataFrame, variants: tuple[str, ...], at: dict[str, float]) -> pd.DataFrame:
    """Learning curves of some networks at one setting.

    Parameters
    ----------
    table : DataFrame
        A published table of runs, with the column `curve`: JSON with a list for each of
        train_loss, loss and top1.
    variants : tuple of str
        Networks, in the order in which they come back; one named twice comes once.
    at : dict of str to float
        Column of a hyperparameter -> its value; nine significant digits decide.

    Returns
    -------
    DataFrame of shape (n_epochs, 6)
        variant, seed, epoch (from 1), top1 (percent), loss (on test images), train_loss; NaN where
        a run has no number. Empty where no run has a curve.
    """
    here = table[table["curve"].notna()]
    for axis, value in at.items():
        here = here[nine_digits(here[axis]) == f"{value:.9g}"]
    frames = []
    for variant in dict.fromkeys(variants):
        for row in here[here["variant"] == variant].sort_values("seed").itertuples():
            curve = {key: pd.Series(values, dtype=float) for key, values in _read(row.curve)}
            frame = pd.DataFrame(curve, columns=["top1", "loss", "train_loss"])
            frame.insert(0, "epoch", range(1, len(frame) + 1))
            frame.insert(0, "seed", int(row.seed))
            frame.insert(0, "variant", variant)
            frames.append(frame)
    columns = ["variant", "seed", "epoch", "top1", "loss", "train_loss"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _read(text: str):
    return [(key, values) for key, values in json.loads(text).items() if isinstance(values, list)]


def plot_learning_curves(curves: pd.DataFrame, columns: int = 2) -> go.Figure:
    """Accuracy and losses over the epochs, one line a run.

    Parameters
    ----------
    curves : DataFrame
        As `learning_curves_data` returns them.
    columns : int, default 2
        Panels beside each other.

    Returns
    -------
    plotly.graph_objects.Figure
        One panel of accuracy and one of losses, with a logarithmic axis; a hue for each network.
    """
    titles = ["<b>top-1 accuracy</b>, %", "<b>loss</b>: training solid, test dashed"]
    figure = panel_figure(titles, columns, 190, {"t": 62, "b": 46, "l": 58, "r": 10}, 280)
    variants = list(dict.fromkeys(curves["variant"]))
    named: set[str] = set()
    for (variant, seed), run in curves.groupby(["variant", "seed"], sort=False):
        title = short_title(variant)
        for column, suffix, dash in SERIES:
            figure.add_trace(
                go.Scatter(
                    x=list(run["epoch"]),
                    y=plain(run[column], 6),
                    mode="lines+markers" if len(run) < 3 else "lines",
                    name=title,
                    legendgroup=variant,
                    showlegend=variant not in named,
                    line={"width": 2, "color": HUES[variants.index(variant)], "dash": dash},
                    hovertemplate=f"epoch %{{x}}: %{{y:.4g}}<extra>{title}, seed {seed}</extra>",
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
            named.add(variant)
    for suffix in ("", "2"):
        title_axes(figure, suffix, "epoch", "")
    figure.update_layout(
        xaxis=axis_style(),
        xaxis2=axis_style(),
        yaxis={**axis_style(), "showgrid": True},
        yaxis2={**axis_style(), "type": "log", "showgrid": True},
        legend={
            "orientation": "h",
            "yref": "container",
            "y": 1.0,
            "yanchor": "top",
            "x": 0.0,
            "xanchor": "left",
        },
    )
    return figure
