"""The terminal: the command `hpstudy compare`, and texts and tables of all commands."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from hpstudy.analysis.comparison import Comparison, as_dict, parse_roi, plain
from hpstudy.analysis.run_tables import read_runs
from hpstudy.errors import count, printed

WIDTH = 100
"""Characters of a line."""
MARKS = {
    "*": "good settings reach the end of the grid on this axis: the shift may be larger.",
    "^": "the best lies on the edge of the grid: a better one may lie beyond.",
    "~": "read off surfaces between the settings, which are too few or not the same.",
}
"""Marks of verdicts, as `hpstudy.report.verdicts.marks` gives them."""
# For terminals and files that are not in UTF-8.
ASCII = str.maketrans(dict(zip("✓↻●■○━┊─×≤≥−–…†", "+!*#o-:-x<>--.^", strict=True)))


# Options of the commands that read anyone's tables.
Dense = Annotated[
    str | None,
    typer.Option(help="Dense network; by default unpruned, or that of the first table."),
]
Percent = Annotated[bool, typer.Option("--percent", help="Convert a metric in [0, 1] to percent.")]
ColumnNames = Annotated[
    str, typer.Option("--columns", help="Names of columns: lr=params_lr,pruned.csv:top1=acc,...")
]
Axes = Annotated[
    str | None, typer.Option(help="One or two hyperparameters; by default lr,weight_decay.")
]
MetricColumn = Annotated[str | None, typer.Option(help="Column of the metric.")]
Goal = Annotated[
    str | None, typer.Option(help="maximize or minimize; needed unless it is an accuracy.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def compare(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="Tables of runs with their settings and a metric: one, or one per network; or "
            "sources: optuna:STORAGE#STUDY, ray:FOLDER, mlflow:PATH#EXPERIMENT, wandb:FOLDER.",
        ),
    ],
    dense: Dense = None,
    roi: Annotated[
        str | None, typer.Option(help="Thresholds; by default 0.5,1.0 for a metric in percent.")
    ] = None,
    percent: Percent = False,
    columns: ColumnNames = "",
    axes: Axes = None,
    metric: MetricColumn = None,
    goal: Goal = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Rows to take: optimizer=sgd; repeatable."),
    ] = None,
    variant_by: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Columns that distinguish variants.")
    ] = "",
    average_over: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Columns to average over, like seeds.")
    ] = "",
    epoch: Annotated[
        str, typer.Option(help="Row to take where there is one per epoch: last or best.")
    ] = "last",
    any_length: Annotated[
        bool, typer.Option("--any-length", help="Take runs shorter than the longest too.")
    ] = False,
    std: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Deviations, where rows are means.")
    ] = None,
    runs: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|COLUMN", help="Number of runs of each mean, with --std."),
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Print what published rules of thumb lose.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print all numbers as tables.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report that opens offline.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the landscapes of the networks of any table of runs."""
    from hpstudy.analysis.rules import rule_losses
    from hpstudy.report.full_tables import show_full
    from hpstudy.report.html_report import check_path, write_report
    from hpstudy.report.rule_tables import show_rules
    from hpstudy.report.screen import show_screen

    if html is not None:
        check_path(html)
    thresholds = parse_roi(roi) if roi is not None else None
    table = read_runs(
        tables,
        dense=dense,
        columns=columns or None,
        axes=axes,
        metric=metric,
        goal=goal,
        percent=percent,
        where=where or (),
        variant_by=variant_by,
        average_over=average_over,
        epoch=epoch,
        any_length=any_length,
        std=std,
        runs=runs,
    )
    comparison = Comparison.of(table, thresholds)
    if html is not None:
        write_report(comparison, html)
    losses = rule_losses(comparison.analysis) if rules else {}
    if as_json:
        values = as_dict(comparison) | ({"rules": plain(losses)} if rules else {})
        print(json.dumps(values, indent=1, allow_nan=False))
    elif rules:
        show_rules(comparison, losses)
    elif full:
        show_full(comparison)
    else:
        show_screen(comparison, html)


def console() -> Console:
    """Console of standard output: colours on a terminal only, and not where NO_COLOR is set."""
    return Console(width=WIDTH, markup=False, highlight=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print texts as they are, and tables in lines of at most `WIDTH` characters."""
    for part in parts:
        # Sentences are not broken, so that they can be searched for.
        print(*([part] if isinstance(part, str) else lines_of(part)), sep="\n")


def print_report(value: Any, as_json: bool, *parts: RenderableType) -> None:
    """Print the values of a command as JSON, or the parts of its text."""
    if as_json:
        print(json.dumps(value, indent=1, allow_nan=False))
    else:
        show(*parts)


def columns(rows: Iterable[Sequence[str]], *headings: str, right: Sequence[int] = ()) -> Table:
    """Table of texts under headings, or without any; columns of the numbers `right` end aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(headings))
    rows = list(rows)
    for number in range(max(map(len, [headings, *rows]), default=0)):
        title = headings[number] if headings else ""
        table.add_column(title, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(printed, row))
    return table


def price_tables(price: dict[str, Any]) -> tuple[Table, str, Table]:
    """Price of a study (`hpstudy.sweep.pricing.price`): a row a network, and totals."""
    from hpstudy.sweep.pricing import format_hours

    networks = price["variants"].values()
    fewest, most = price["replicates_to_come"]
    rows = [
        (
            name,
            *(f"{of[key]:,}" for key in ("total", "done", "failed", "missing")),
            "" if of["params"] is None else f"{of['params']:,}",
            "" if of["macs"] is None else f"{of['macs'] / 1e6:,.1f}",
            "" if of["seconds_per_run"] is None else f"{of['seconds_per_run']:,.1f}",
            of["source"],
        )
        for name, of in price["variants"].items()
    ]
    headings = "network", "runs", "done", "failed", "missing", "parameters", "M MACs", "s a run", ""
    totals = [
        ("study", price["study"]),
        ("missing", f"{sum(of['missing'] for of in networks):,} runs"),
        ("time", f"{format_hours(price['hours'])} with {count(price['workers'], 'worker')}"),
        ("device", f"{price['device']}, {price['arithmetic']}"),
    ]
    if price["grid_to_come"]:
        totals.append(("if grids grow", f"up to {price['grid_to_come']:,} more runs"))
    if most:
        totals.append(("replicates", f"{fewest:,} to {most:,} more runs"))
    if more := price["trainings_to_come"]:
        seconds = [of["seconds_per_run"] for of in networks if of["seconds_per_run"]]
        longest = (
            f", {format_hours(more * max(seconds) / price['workers'] / 3600)}" if seconds else ""
        )
        totals.append(("as they are asked for", f"up to {more:,} more runs{longest}"))
    return columns(rows, *headings, right=range(1, 8)), "", columns(totals)


def lines_of(part: RenderableType) -> list[str]:
    """Lines of a text or table as this terminal shows them."""
    screen = console()
    with screen.capture() as captured:
        screen.print(part)
    text = captured.get()
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        text = text.translate(ASCII)
    return [line.rstrip() for line in text.removesuffix("\n").split("\n")]
