"""The command `hpstudy compare`."""

import json
from typing import Annotated

import typer


def compare(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="Tables of runs with their settings and a metric, one or one a network; or "
            "sources: optuna:STORAGE#STUDY, ray:FOLDER, mlflow:PATH#EXPERIMENT, wandb:FOLDER.",
        ),
    ],
    dense: Annotated[
        str | None,
        typer.Option(help="Variant of the dense network; unpruned, or the first table's network."),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(help="Thresholds in the metric's unit; 0.5,1.0 for what is in percent."),
    ] = None,
    percent: Annotated[
        bool, typer.Option("--percent", help="The metric is in [0, 1]; make it percent.")
    ] = False,
    columns: Annotated[
        str,
        typer.Option(help="Names of the columns there: lr=params_lr,pruned.csv:top1=acc,..."),
    ] = "",
    axes: Annotated[
        str | None,
        typer.Option(help="One or two hyperparameters; lr,weight_decay if not given."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Column of the metric, if several may be it.")
    ] = None,
    goal: Annotated[
        str | None, typer.Option(help="maximize or minimize; needed unless it is an accuracy.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Rows to take, as optimizer=sgd; repeatable."),
    ] = None,
    variant_by: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Columns that make different variants.")
    ] = "",
    average_over: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Columns to average over, as over seeds.")
    ] = "",
    epoch: Annotated[
        str, typer.Option(help="Row that counts where there is one per epoch: last or best.")
    ] = "last",
    any_length: Annotated[
        bool, typer.Option("--any-length", help="Take runs that are shorter than the longest too.")
    ] = False,
    std: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Deviations, where rows are means.")
    ] = None,
    runs: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|COLUMN", help="How many runs each mean is of, with --std."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """What pruning moved and what keeping the settings costs, from any table of runs."""
    from hpstudy.analysis import comparison as analysis

    thresholds = analysis.parse_roi(roi) if roi is not None else None
    swept = analysis.parse_axes(axes) if axes is not None else None
    read = analysis.read_runs(
        tables,
        dense=dense,
        columns=analysis.parse_columns(columns, swept) if columns else None,
        axes=swept,
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
    result = analysis.compare(read, thresholds)
    if as_json:
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        from hpstudy.report.comparetext import format_text

        print(format_text(result))
