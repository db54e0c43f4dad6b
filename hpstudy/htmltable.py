"""A frame as an HTML table of the book: readable headings, rounded numbers, room to scroll."""

import math
from collections.abc import Callable
from html import escape

import pandas as pd

from hpstudy.drawing import real
from hpstudy.results import MODEL_TITLES, roi_title, variant_title

PUBLISHED = "published_"
# Columns that say which row it is; the others belong to this book or to the thesis.
KEYS = ("study", "at", "machine", "model", "variant", "roi", "layer", "fact", "warning")

# Columns of sentences, whose lines may break.
WORDY = ("warning",)

HEADINGS = {
    "at": "images of",
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
    "best": "best (%)",
    "mean": "mean risk",
    "std": "SD",
    "relative_mean": "relative mean",
    "relative_std": "relative SD",
    "log10_weight_decay": "log₁₀ λ",
    "log10_lr": "log₁₀ γ",
    "on_edge": "best on edge",
    "achieved_torch_pruning": "by torch-pruning",
    "smallest_layer": "narrowest layer",
    "smallest_width": "its channels",
    "images_per_second": "images/s",
    "floor_hours": "H100, arithmetic alone (hours)",
    "days_on_1": "days on one",
    "days_on_8": "on eight",
    "days_on_64": "on 64",
}


def _decimals(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}".replace("-", "−")


FORMATS: dict[str, Callable] = {
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
    "best": _decimals(2),
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


def html_table(frame: pd.DataFrame) -> str:
    """HTML table in a box that scrolls sideways where the page is too narrow.

    Parameters
    ----------
    frame : DataFrame
        Columns named as in `booktables`; those of the thesis (`published_...`) get a heading of
        their own.

    Returns
    -------
    str
        One `div`; missing values are drawn as a dash.
    """
    columns = [str(name) for name in frame.columns]
    lines = ['<div class="hpstudy-table" tabindex="0"><table>', "<thead>"]
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
    display({"text/html": html_table(frame), "text/plain": text}, raw=True)


def _groups(columns: list[str]) -> str:
    """Cells of the upper heading: whose numbers stand below."""
    owners = [
        "Thesis" if name.startswith(PUBLISHED) else "" if name in KEYS else "This book"
        for name in columns
    ]
    cells, start = [], 0
    for end in range(1, len(owners) + 1):
        if end == len(owners) or owners[end] != owners[start]:
            cells.append(f'<th colspan="{end - start}" scope="colgroup">{owners[start]}</th>')
            start = end
    return "".join(cells)


def _heading(name: str) -> str:
    plain = name.removeprefix(PUBLISHED)
    return HEADINGS.get(plain, plain.replace("_", " "))


def _cell(name: str, value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    plain = name.removeprefix(PUBLISHED)
    formats = FORMATS if plain == name else {**FORMATS, **PUBLISHED_FORMATS}
    if value is None or (isinstance(value, float) and math.isnan(value)):
        text = "–"
    elif plain in formats:
        text = formats[plain](value)
    else:
        text = f"{value:,}" if isinstance(value, int) and number else str(value)
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
