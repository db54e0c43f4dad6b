"""Channels that pruned networks keep in each layer."""

import re
from collections.abc import Iterable, Mapping

import plotly.graph_objects as go

from hpstudy.config.study import DENSE
from hpstudy.plots._layout import Props, panel_figure, set_axes
from hpstudy.plots.labels import short_title, variant_colours

# Pixels of one bar, and between layers.
BAR, GAP = 12, 5
TEXT = {"textposition": "outside", "constraintext": "none", "textfont": {"size": 11}}
DENSE_BAR = "rgba(127,127,127,0.28)"


def plot_channels(
    widths: Mapping[str, Mapping[str, int]], variants: Iterable[str] | None = None
) -> go.Figure:
    """Channels kept in each layer, one row a layer and one bar a pruned network.

    Parameters
    ----------
    widths : mapping of str to mapping of str to int
        Number of channels by network and layer (`StudyResults.widths`). The dense network's, if
        given, are drawn behind the others.
    variants : iterable of str, optional
        Pruned networks to draw, by default all.
    """
    dense = widths.get(DENSE, {})
    names = [name for name in (widths if variants is None else variants) if name != DENSE]
    pruned = {name: widths[name] for name in names}
    layers = list(next(iter(pruned.values())))
    step = len(pruned) * BAR + GAP
    labels = [layer_title(layer) for layer in layers]
    most = max(max(kept.values()) for kept in [*pruned.values(), dense or {"": 0}])
    bar: Props = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(layers))),
        "hoverinfo": "text",
    }
    traces: list[Props] = []
    if dense:
        counts = [[kept[layer] for kept in pruned.values()] for layer in layers]
        look: Props = {"marker": {"color": DENSE_BAR}, **TEXT}
        look["text"] = [
            f"{', '.join(map(str, count))} of {dense[layer]}"
            for count, layer in zip(counts, layers, strict=True)
        ]
        x = [dense[layer] for layer in layers]
        traces.append({**bar, **look, "x": x, "width": 1 - GAP / step, "name": short_title(DENSE)})
    colours = variant_colours(widths)
    for place, (name, kept) in enumerate(pruned.items()):
        offset = (place - len(pruned) / 2) * BAR / step
        x, title = [kept[layer] for layer in layers], short_title(name)
        texts = [f"{layer}: {kept[layer]} channels" for layer in layers]
        look = {"width": BAR / step, "offset": offset, "marker": {"color": colours[name]}}
        look |= {"hovertext": texts, "name": title}
        if not dense and len(pruned) == 1:
            look |= {"text": x, **TEXT}
        traces.append({**bar, **look, "x": x})
    top, left = (34 if len(traces) > 1 else 8), 16 + 6 * max(map(len, labels))
    figure = panel_figure([""], step * len(layers), top, 44, columns=1, width=220)
    margin = {**figure.layout.meta["margin"], "l": left, "r": 12}
    figure.update_layout(
        margin=margin,
        meta={**figure.layout.meta, "margin": margin},
        barmode="overlay",
        legend={"traceorder": "normal"},
    )
    # The text beside the longest bar needs room.
    across = {
        "range": [0, (1.2 + 0.1 * len(pruned)) * most],
        "showline": False,
        "mirror": False,
        "nticks": 6,
    }
    ticks = {"tickvals": list(range(len(layers))), "ticktext": labels}
    ticks |= {"ticks": "", "ticklabelstandoff": 4}
    up = {"range": [len(layers) - 0.5, -0.5], "showline": False, "mirror": False, **ticks}
    set_axes(figure, 1, across, up, ("channels kept", ""))
    figure.add_traces(traces)
    return figure


def layer_title(layer: str) -> str:
    """Title of a prunable layer: "block 3" for blocks.2.conv1; other names stay."""
    match = re.fullmatch(r"blocks\.(\d+)\.(?:conv1|expand)", layer)
    return f"block {int(match[1]) + 1}" if match else layer
