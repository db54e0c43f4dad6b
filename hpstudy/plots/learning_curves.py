"""Learning curves of the runs at one setting."""

import json
from collections.abc import Iterable

import pandas as pd
import plotly.graph_objects as go

from hpstudy.analysis.landscape import setting_keys
from hpstudy.config.grid import setting_key
from hpstudy.plots._layout import panel_figure, set_axes
from hpstudy.plots._traces import axes_of, rounded
from hpstudy.plots.labels import short_title, variant_colours

SERIES = ["top1", "loss", "train_loss"]
# Column, suffix of the panel, and dash: the loss on test images is dashed.
LINES = (("top1", "", "solid"), ("train_loss", "2", "solid"), ("loss", "2", "dash"))


def learning_curves_data(
    table: pd.DataFrame, variants: Iterable[str], at: dict[str, float]
) -> pd.DataFrame:
    """Learning curves of some networks, in their order, at one setting (axis -> value).

    The table of runs has the column `curve`: JSON with a list for each of train_loss, loss, top1.

    Returns
    -------
    DataFrame of shape (n_epochs, 7)
        variant, colour (of the network), seed, epoch (from 1), top1 (percent), loss (on test
        images), train_loss; NaN where a run has no number. Empty where no run has a curve.
    """
    runs = table[table["curve"].notna()]
    for axis, value in at.items():
        runs = runs[setting_keys(runs[axis]) == setting_key(value)]
    colours = variant_colours(table["variant"])
    curves = pd.DataFrame(columns=["variant", "colour", "seed", "epoch", *SERIES])
    frames = []
    for variant in dict.fromkeys(variants):
        for run in runs[runs["variant"] == variant].sort_values("seed").to_dict("records"):
            curve = json.loads(run["curve"])
            frame = pd.DataFrame({name: pd.Series(curve.get(name), dtype=float) for name in SERIES})
            frame = frame.assign(variant=variant, colour=colours[variant], seed=run["seed"])
            frames.append(frame.assign(epoch=range(1, len(frame) + 1)))
    return pd.concat(frames, ignore_index=True)[list(curves)] if frames else curves


def plot_learning_curves(curves: pd.DataFrame, columns: int = 2) -> go.Figure:
    """Accuracy and losses over the epochs, one line a run, in 1 or 2 columns of panels.

    `curves` is what `learning_curves_data` returns.
    """
    titles = ["<b>top-1 accuracy</b>, %", "<b>loss</b>: training solid, test dashed"]
    figure = panel_figure(titles, 190, 62, 46, columns, width=280)
    set_axes(figure, 1, {}, {"showgrid": True}, ("epoch", ""), linked="")
    set_axes(figure, 2, {}, {"showgrid": True, "type": "log"}, ("epoch", ""), linked="")
    named: set[str] = set()
    for (variant, colour, seed), run in curves.groupby(["variant", "colour", "seed"], sort=False):
        title = short_title(variant)
        for column, suffix, dash in LINES:
            look = axes_of(suffix) | {"showlegend": variant not in named}
            named.add(variant)
            figure.add_scatter(
                x=list(run["epoch"]),
                y=rounded(run[column], 6),
                mode="lines+markers" if len(run) < 3 else "lines",
                name=title,
                legendgroup=variant,
                line={"width": 2, "color": colour, "dash": dash},
                hovertemplate=f"epoch %{{x}}: %{{y:.4g}}<extra>{title}, seed {seed}</extra>",
                **look,
            )
    return figure
