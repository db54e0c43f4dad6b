"""A frame as an HTML table of the book: readable headings, rounded numbers, room to scroll."""

import math
import re
from collections.abc import Callable
from html import escape

import pandas as pd

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.analysis.study_results import MODEL_TITLES
from hpstudy.config.words import interval_text, loss_text, number_text
from hpstudy.plots.labels import real, roi_title, variant_title

PUBLISHED = "published_"
# Columns that say which row it is; the others belong to this book or to the thesis.
KEYS = ("study", "metric", "at", "machine", "model", "variant", "roi", "layer", "fact", "warning")

# Columns of sentences, whose lines may break.
WORDY = (
    "warning",
    "sentence",
    "claim",
    "of",
    "because",
    "input",
    "refused_with",
    "event",
    "sha256",
)

HEADINGS = {
    "at": "images of",
    "of": "made of",
    "model": "network",
    "roi": "region",
    "input_shape": "input",
    "params": "parameters",
    "params_millions": "parameters (M)",
    "flops": "FLOPs",
    "flops_torch_pruning": "FLOPs by torch-pruning",
    "macs": "MACs",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "top1": "top‑1 (%)",
    "best_top1": "best epoch's (%)",
    "best": "best (%)",
    "mean": "mean risk",
    "std": "SD",
    "relative_mean": "relative mean",
    "relative_std": "relative SD",
    "log10_weight_decay": "log₁₀ λ",
    "log10_lr": "log₁₀ γ",
    "on_edge": "best on edge",
    "replicates": "SD of replicates",
    "degrees": "degrees of freedom",
    "noise": "SD of a run",
    "bias": "luck in it",
    "corrected": "without luck",
    "length_interval": "length",
    "width_interval": "width",
    "log10_weight_decay_interval": "log₁₀ λ",
    "log10_lr_interval": "log₁₀ γ",
    "slope": "slope b of the band",
    "level": "its level a",
    "common": "points in common",
    "spearman": "Spearman",
    "spearman_interval": "Spearman without noise",
    "kendall": "Kendall",
    "jaccard": "overlap",
    "jaccard_by_noise": "overlap by noise alone",
    "jaccard_p": "its p",
    "shift": "shift of the centre",
    "shift_p": "its p",
    "ellipse_overlap": "overlap of ellipses",
    "mean_interval": "mean risk",
    "std_interval": "SD",
    "relative_mean_interval": "relative mean",
    "relative_std_interval": "relative SD",
    "kept": "loss measured",
    "loss": "loss without noise",
    "lr_verdict": "learning rate",
    "lr_shift": "shift of learning rate",
    "weight_decay_verdict": "weight decay",
    "weight_decay_shift": "shift of weight decay",
    "loss_kept": "loss if kept",
    "loss_second": "of second best",
    "good_kept": "stay good",
    "local_0.5": "climbing to 0.5",
    "local_0.25": "to 0.25",
    "local_0.1": "to 0.1",
    "random_0.5": "at random to 0.5",
    "random_0.25": "to 0.25",
    "random_0.1": "to 0.1",
    "flops_ratio": "share of FLOPs",
    "dense_top1": "unpruned (%)",
    "given_up": "points given up",
    "against": "compared with",
    "value": "number",
    "lone": "lone settings",
    "sentence": "warning",
    "cells": "cells to add",
    "channels": "channels kept",
    "single": "layers with one",
    "achieved_torch_pruning": "by torch-pruning",
    "smallest_layer": "narrowest layer",
    "smallest_width": "its channels",
    "images_per_second": "images/s",
    "floor_hours": "H100, arithmetic alone (hours)",
    "days_on_1": "days on one",
    "days_on_8": "on eight",
    "days_on_64": "on 64",
    "run_id": "run",
    "equal": "all results equal",
    "sha256": "SHA-256",
    "run_seconds": "seconds of a run",
    "gpus": "GPUs",
    "makespan_hours": "makespan (hours)",
    "driver_busy": "driver at work",
    "rows_per_second": "rows/s",
    "lost": "attempts lost",
    "batch": "rows at once",
    "slowest_rate": "slowest",
    "fastest_rate": "fastest",
}


def _decimals(digits: int) -> Callable[[float], str]:
    return lambda value: number_text(value, digits)


FORMATS: dict[str, Callable] = {
    "replicates": _decimals(2),
    "noise": _decimals(2),
    "bias": _decimals(2),
    "kept": _decimals(2),
    "spearman": _decimals(2),
    "kendall": _decimals(2),
    "jaccard": _decimals(2),
    "jaccard_p": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "shift_p": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "points": lambda value: interval_text(value, 0) if isinstance(value, Interval) else f"{value}",
    "relative_mean_interval": lambda value: interval_text(value, 4),
    "relative_std_interval": lambda value: interval_text(value, 4),
    "model": lambda value: MODEL_TITLES.get(value, value),
    "variant": lambda value: variant_title(value).removesuffix(" FLOPs"),
    "roi": roi_title,
    "input_shape": lambda value: str(value).replace("x", "×"),
    "params": lambda value: f"{value:,.0f}",
    "params_millions": lambda value: f"{value:g}",
    "flops": lambda value: _power(value),
    "flops_torch_pruning": lambda value: _power(value),
    "macs": lambda value: f"{value:,.0f}",
    "lr": real,
    "weight_decay": real,
    "top1": _decimals(2),
    "again": _decimals(2),
    "best": _decimals(2),
    "best_top1": _decimals(2),
    "mean": _decimals(3),
    "std": _decimals(3),
    "relative_mean": _decimals(4),
    "relative_std": _decimals(4),
    "length": _decimals(2),
    "width": _decimals(2),
    "log10_weight_decay": _decimals(2),
    "log10_lr": _decimals(2),
    "on_edge": lambda value: "yes" if value else "no",
    "diverged": lambda value: f"{value:.1%}",
    "seconds": _decimals(1),
    "fastest": _decimals(1),
    "slowest": _decimals(1),
    "images_per_second": lambda value: f"{value:,.0f}",
    "hours": lambda value: _digits(value),
    "floor_hours": lambda value: _digits(value),
    "days_on_1": lambda value: _digits(value),
    "days_on_8": lambda value: _digits(value),
    "days_on_64": lambda value: _digits(value),
    "days": lambda value: _digits(value),
    "run_seconds": lambda value: f"{value:g}",
    "makespan_hours": lambda value: _digits(value),
    "efficiency": lambda value: f"{value:.1%}",
    "driver_busy": lambda value: f"{value:.1%}",
    "rows_per_second": lambda value: _digits(value),
    "slowest_rate": lambda value: _digits(value),
    "fastest_rate": lambda value: _digits(value),
    "flops_ratio": lambda value: f"{value:.0%}",
    "dense_top1": _decimals(2),
    "given_up": lambda value: (
        interval_text(value) if isinstance(value, Interval) else number_text(value, 2)
    ),
    "target": lambda value: f"{value:g}",
    "achieved": _decimals(5),
    "achieved_torch_pruning": _decimals(5),
}

# The thesis's numbers carry the digits that it printed.
PUBLISHED_FORMATS = {
    "relative_mean": _decimals(3),
    "relative_std": _decimals(3),
    "log10_weight_decay": _decimals(1),
    "log10_lr": _decimals(1),
}


def html_table(frame: pd.DataFrame, name: str = "Table") -> str:
    """HTML table in a box that scrolls sideways where the page is too narrow.

    Parameters
    ----------
    frame : DataFrame
        Columns named as in `booktables`; those of the thesis (`published_...`) get a heading of
        their own.
    name : str, default "Table"
        What a screen reader calls it; the keyboard reaches it to scroll.

    Returns
    -------
    str
        One `div`; missing values are drawn as a dash.
    """
    columns = [str(name) for name in frame.columns]
    box = f'<div class="hpstudy-table" tabindex="0" role="region" aria-label="{escape(name)}">'
    lines = [f"{box}<table>", "<thead>"]
    if any(name.startswith(PUBLISHED) for name in columns):
        lines.append(f"<tr>{_groups(columns)}</tr>")
    cells = "".join(f'<th scope="col">{escape(_heading(name))}</th>' for name in columns)
    lines += [f"<tr>{cells}</tr>", "</thead>", "<tbody>"]
    for row in frame.itertuples(index=False):
        cells = "".join(_cell(name, value) for name, value in zip(columns, row, strict=True))
        lines.append(f"<tr>{cells}</tr>")
    lines += ["</tbody>", "</table></div>"]
    return "\n".join(lines)


def show_table(frame: pd.DataFrame, caption: str = "", label: str = "") -> None:
    """Display a frame under its caption, in JupyterLab and in the book alike."""
    from IPython.display import HTML, display

    if caption:
        head = f"<strong>{escape(label)}.</strong> " if label else ""
        display(HTML(f'<p class="hpstudy-caption">{head}{escape(caption)}</p>'))
    text = frame.to_string(index=False, na_rep="–")
    name = re.split(r"(?<=[.!?])\s", f"{label}: {caption}" if label else caption)[0] or "Table"
    display({"text/html": html_table(frame, name), "text/plain": text}, raw=True)


def _groups(columns: list[str]) -> str:
    """Cells of the upper heading: whose numbers stand below."""
    owners = [
        "Thesis" if name.startswith(PUBLISHED) else "" if name in KEYS else "This book"
        for name in columns
    ]
    cells, start = [], 0
    for end in range(1, len(owners) + 1):
        if end == len(owners) or owners[end] != owners[start]:
            span = f'colspan="{end - start}"'
            named = f'<th {span} scope="colgroup">{owners[start]}</th>'
            cells.append(named if owners[start] else f"<td {span}></td>")
            start = end
    return "".join(cells)


def _heading(name: str) -> str:
    plain = name.removeprefix(PUBLISHED)
    return HEADINGS.get(plain, plain.replace("_", " "))


def _cell(name: str, value: object) -> str:
    number = isinstance(value, (int, float, Interval, Loss)) and not isinstance(value, bool)
    plain = name.removeprefix(PUBLISHED)
    formats = FORMATS if plain == name else {**FORMATS, **PUBLISHED_FORMATS}
    if value is None or (isinstance(value, float) and math.isnan(value)):
        text = "–"
    elif plain in formats:
        text = formats[plain](value)
    elif isinstance(value, Interval):
        text = interval_text(value)
    elif isinstance(value, Loss):
        text = loss_text(value)
    else:
        text = f"{value:,}" if isinstance(value, int) and number else str(value)
    if isinstance(value, Interval):
        # On paper a line may break before the bracket, but not within it.
        text = text.replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")
    if name in KEYS and name not in WORDY:
        return f'<th scope="row">{escape(text)}</th>'
    kind = "number" if number or text == "–" else "words" if name in WORDY else ""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def _digits(value: float) -> str:
    """Three significant digits, and all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _power(value: float) -> str:
    """Large number as 2.5×10⁸."""
    digits, _, exponent = f"{value:.3g}".partition("e+")
    if not exponent:
        digits, _, exponent = f"{value:.2e}".partition("e+")
    raised = str(int(exponent)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(digits):g}×10{raised}"
