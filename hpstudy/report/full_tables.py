"""All numbers of `hpstudy compare --full` as tables of a terminal."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hpstudy.analysis.intervals import Loss
from hpstudy.analysis.verdict import NEGLIGIBLE
from hpstudy.errors import count
from hpstudy.plots.labels import Metric, axis_title
from hpstudy.report.terminal import MARKS, WIDTH

Text = Callable[[float], str]

TIES = {"=": "number of further settings that are exactly as good as the best."}


def format_text(result: dict[str, Any]) -> str:
    """Tables of a `compare` result, the verdicts first, in lines of at most 100 characters."""
    metric = Metric(result["metric"], -1 if result["goal"] == "minimize" else 1, result["percent"])
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, markup=False, highlight=False, emoji=False)
    if result["reading"]:
        console.print(*result["reading"], "", sep="\n")
    verdicts = _verdicts(result, metric)
    if verdicts:
        threshold = next(iter(result["advice"].values()))["threshold"]
        console.print(
            "May the dense network's settings be kept? A hyperparameter is kept where the centre "
            f"of the good settings (within {threshold:g} of a network's own best) moves by at most "
            f"a factor of {10**NEGLIGIBLE:.0f}; both are kept where that loses at most "
            f"{result['tolerable']:g}. Second lines: factors with 95 % intervals, and losses with "
            "one-sided bounds.",
        )
        console.print(_table(verdicts))
    else:
        console.print("There is one network only, and no verdict: add the table of a pruned one.")
    landscapes = _landscapes(result["landscapes"], metric)
    # Names of networks may hold any character.
    marked = [cell for row in verdicts for cell in list(row.values())[1:]]
    marked += [row["best"] for row in landscapes]
    for mark, note in (MARKS | TIES).items():
        if any(mark in cell for cell in marked):
            console.print(f"{mark} {note}")
    for name, landscape in result["landscapes"].items():
        for warning in landscape["warnings"]:
            cells = f" ({count(len(warning['cells']), 'cell')} to add)" if warning["cells"] else ""
            console.print(f"{name}: {warning['sentence']}{cells}")
    unit = "percentage points" if metric.percent else metric.name
    dense_roi = f"Risk of keeping the dense network's {result['tolerable']:g}-ROI ({unit})"
    for title, rows in (
        (f"Landscapes ({metric.headed}, mean over seeds)", landscapes),
        ("Regions of interest (ellipses in decades)", _regions(result["landscapes"])),
        (f"{dense_roi}; bounds are one-sided", _risks(result["risk"])),
        ("Shift from the dense network", _shifts(result["movement"])),
    ):
        if rows:
            console.print(f"\n{title}")
            console.print(_table(rows))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _table(rows: Sequence[dict[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name != "network")
    for row in rows:
        table.add_row(*(row.get(name, "") for name in names))
    return table


def _verdicts(result: dict[str, Any], metric: Metric) -> list[dict[str, str]]:
    """Verdicts, shifts as factors, and losses: of each pruned network, and of all together."""
    rows = []
    for name, advice in result["advice"].items():
        verdict, second = advice["verdict"], advice["second_best_loss"]
        kept, good = advice["good_settings_kept"]
        row = {"network": name}
        for axis, shift in advice["shift"].items():
            between = shift and advice["shift_interpolated"]
            marks = _marks({"*": advice["at_grid_end"][axis], "~": between})
            row[axis_title(axis)] = f"{verdict[axis].upper()}{marks}\n{_factor(shift)}"
        marks = _marks({"^": advice["best_at_grid_end"], "~": advice["interpolated"]})
        row |= {
            "both kept": f"{verdict['both'].upper()}{marks}\n{_loss(advice['loss'], metric)}",
            "measured\nloss": _or_blank(advice["measured"], metric.text),
            "2nd best\nloses": f"≤ {metric.text(second[2])}" if second else "",
            "settings\nstill good": f"{kept} of {good}" if good else "",
        }
        rows.append(row)
    if pooled := result["pooled"]:
        row = {"network": f"all {pooled['networks']} pruned"}
        for axis, shift in pooled["shift"].items():
            row[axis_title(axis)] = f"{pooled['verdict'][axis].upper()}\n{_factor(shift)}"
        rows.append(row)
    return rows


def _landscapes(landscapes: dict[str, Any], metric: Metric) -> list[dict[str, str]]:
    rows = []
    for name, landscape in landscapes.items():
        noise, replicates = landscape["noise"], "no replicates"
        if noise["replicates_degrees"]:
            replicates = f"{metric.text(noise['replicates_std'])}, {noise['replicates_degrees']} df"
        marks = _marks({"^": landscape["on_edge"], f" ={landscape['ties']}": landscape["ties"]})
        row = {"network": name, "best": _or_blank(landscape["best"], metric.text) + marks}
        for axis, value in landscape["best_at"].items():
            row[axis] = _or_blank(value, "{:.3g}".format)
        row |= {
            "without noise": _lines(landscape["best_corrected"], metric.text),
            "runs": f"{landscape['runs']:,}\nat {count(landscape['points'], 'setting')}",
            "noise of a run": f"{_or_blank(noise['std'], metric.text)}\n{replicates}",
        }
        rows.append(row)
    return rows


def _regions(landscapes: dict[str, Any]) -> list[dict[str, str]]:
    """Size and ellipse of each region as measured; below, the intervals without noise."""
    rows = []
    for name, landscape in landscapes.items():
        for threshold, region in landscape["roi"].items():
            intervals, ellipse = region["intervals"], region["ellipse"]
            number = _lines(intervals["count"], "{:.0f}".format, region["count"])
            row = {"network": name, "ROI": threshold, "settings": number}
            if ellipse:
                between = intervals["centre"] or {}
                row |= {
                    size: _lines(intervals[size], value=ellipse[size])
                    for size in ("length", "width")
                }
                for axis, place in ellipse["centre"].items():
                    row[f"centre\nlog10 {axis}"] = _lines(between.get(axis), value=place)
            rows.append(row)
    return rows


def _risks(risks: dict[str, Any]) -> list[dict[str, str]]:
    whole = next(iter(risks.values()))["n"]
    rows = []
    for name, risk in risks.items():
        mean, relative = risk["mean"], risk["relative_mean"]
        without = _lines(risk["intervals"]["mean"]).replace("\n", " (")
        row = {"network": name, "settings": f"{risk['n']} of {whole}"}
        row["mean"] = "" if mean is None else f"{mean:.3f} ± {risk['std']:.3f}"
        row["relative"] = "" if relative is None else f"{relative:.4f} ± {risk['relative_std']:.4f}"
        rows.append(row | {"mean without noise": f"{without})" if without else ""})
    return rows


def _shifts(movement: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "network": name,
            "ROI": threshold,
            "overlap": _or_blank(shift["jaccard"]),
            "by noise": _lines(None if shift["jaccard"] is None else shift["jaccard_by_noise"]),
            "p of\noverlap": _or_blank(shift["jaccard_p"], _p),
            "centre moved,\ndecades": _lines(shift["shift_interval"]),
            "p of\nmove": _or_blank(shift["shift_p"], _p),
            "Spearman": _or_blank(shift["spearman"]),
            "Kendall": _or_blank(shift["kendall"]),
            "settings": str(shift["n"]),
        }
        for name, thresholds in movement.items()
        for threshold, shift in thresholds.items()
        if shift
    ]


def _marks(marks: dict[str, Any]) -> str:
    """Marks that apply."""
    return "".join(mark for mark, applies in marks.items() if applies)


def _factor(shift: Sequence[float] | None) -> str:
    if shift is None:
        return "no interval"
    estimate, low, high = (f"{10**value:.2g}" for value in shift)
    return f"{estimate} ({low} to {high})"


def _loss(loss: Sequence[float] | None, metric: Metric) -> str:
    return metric.loss(Loss(*loss)) if loss else "train it there"


def _two_digits(value: float) -> str:
    # Never a negative zero.
    return f"{round(value, 2) + 0.0:.2f}"


def _lines(
    interval: Sequence[float] | None, text: Text = _two_digits, value: float | None = None
) -> str:
    """A value, or else the estimate of its interval; on a second line the ends of the interval."""
    if interval is None:
        return _or_blank(value, text)
    first, low, high = map(text, interval)
    return f"{first if value is None else text(value)}\n{low} to {high}"


def _or_blank(value: float | None, text: Text = _two_digits) -> str:
    return "" if value is None else text(value)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
