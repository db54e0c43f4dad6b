"""The command line; each command refuses bad input before it works."""

import logging
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import hpstudy
from hpstudy import workspace
from hpstudy.config.study import RAY, Study
from hpstudy.errors import HpstudyError, count
from hpstudy.report.init_command import init
from hpstudy.report.network_commands import groups, prune
from hpstudy.report.retune_command import as_values, retune_command, retuned, verdict_commands
from hpstudy.report.terminal import Json, columns, compare, price_tables, print_report
from hpstudy.report.timescale_tables import transfer

logger = logging.getLogger(__name__)

app = typer.Typer(
    name="hpstudy",
    help="After structured pruning, can I keep my learning rate and weight decay?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the data sets; by default HPSTUDY_DATA, or ./data."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs trained at once; by default one per core or GPU.")
]
Executor = Annotated[
    str | None, typer.Option(help="local or ray; by default that of the params file.")
]
Address = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster; by default RAY_ADDRESS, or a new cluster."),
]
Pruning = Annotated[
    str, typer.Option(help="One pruned variant, such as uniform-0.6, with the dense network.")
]


def _version(asked: bool) -> None:
    if asked:
        print(hpstudy.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(init)


@app.command()
def run(
    context: typer.Context,
    params: Annotated[list[Path], typer.Argument(help="Params files, as params/quick/*.yaml.")],
    pruning: Pruning = "all",
    data_root: DataRoot = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    mps: Annotated[
        bool,
        typer.Option(
            "--mps", help="Run NVIDIA's MPS daemon; without --workers, a trial takes 1 or 8 a GPU."
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train failed runs again.")
    ] = False,
    book: Annotated[bool, typer.Option(help="Build the book afterwards.")] = True,
    as_json: Json = False,
) -> None:
    """Train the missing runs of studies; publish tables and book."""
    from hpstudy.report.html_report import write_study_report
    from hpstudy.report.screen import draw_landscapes
    from hpstudy.sweep.executors.mps import mps_daemon
    from hpstudy.sweep.run import sweep

    if mps:
        # First, because the processes that begin after it use it; it ends with the command.
        context.with_resource(mps_daemon())
    plans = [workspace.open_plan(path, pruning, data_root, executor) for path in params]
    if mps and any(plan.study.executor == RAY for plan in plans):
        raise HpstudyError("--mps is for the workers of this machine, and the executor is ray")
    command = shlex.join(["hpstudy", *sys.argv[1:]])
    studies = []
    for plan in plans:
        if retry_failed:
            plan.retry_failed()
        publish = partial(workspace.publish_results, plan, command, workers)
        trained = sweep(plan, workers, publish, address, partial(draw_landscapes, plan))
        if trained and len(plan.study.variants) > 1:
            draw_landscapes(plan)
        table = publish()
        counts = plan.counts().sum()
        study = {"study": plan.study.name, "trained": trained, "runs": int(counts["total"])}
        study |= {name: int(counts[name]) for name in ("missing", "failed")}
        studies.append(study | {"table": str(table)})
        if counts["failed"] and not counts["done"]:
            reason = list(plan.failures().values())[-1]
            raise HpstudyError(
                f"{plan.study.name}: every run that was tried has failed ({reason}); mend the "
                "cause, and add --retry-failed."
            )
        logger.info(f"{plan.study.name}: {study['missing']} missing, table {table}")
        verdicts = retuned(plan)
        if skipped := sum(plan.skipped().values()):
            logger.info(f"{plan.study.name}: {count(skipped, 'setting')} skipped by the level set")
        if verdicts:
            studies[-1]["retuned"] = {name: as_values(of) for name, (of, _) in verdicts.items()}
            logger.info("\n" + "\n\n".join(text for _, text in verdicts.values()) + "\n")
        if not (workspace.in_clone() and isinstance(plan.study, Study)):
            report = write_study_report(plan, table)
            studies[-1]["report"] = report and str(report)
            logger.info(f"{plan.study.name}: report {report}")
            for text in verdict_commands(plan, table):
                logger.info(f"verdict: `{text}`")
    index = None
    names = [plan.study.name for plan in plans if isinstance(plan.study, Study)]
    if book and names and workspace.in_clone():
        pages = hpstudy.build_book(studies=names).parent
        index = str(pages / "index.html")
        for name in names:
            logger.info(f"{name}: page {pages / 'studies' / name}.html")
        logger.info(
            f"book: {index}\n"
            "next: open the pages in a browser; `hpstudy book` counts these runs on all other "
            "pages too; `hpstudy cost params/small/resnet20.yaml` prices a larger study"
        )
    if as_json:
        print_report({"studies": studies, "book": index}, as_json)


@app.command()
def cost(
    params: Annotated[Path, typer.Argument(help="Params file of the study.")],
    pruning: Pruning = "all",
    data_root: DataRoot = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Price the missing runs on this device; train nothing."""
    from hpstudy.sweep.pricing import price

    priced = price(workspace.open_plan(params, pruning, data_root, executor), workers, address)
    print_report(priced, as_json, *price_tables(priced))


app.command()(prune)
app.command()(groups)
app.command()(compare)
app.command("retune")(retune_command)
app.command()(transfer)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]",
            help="Stores (.sqlite) and published tables (.csv); by default the user's own.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check whether stores and tables are whole; change nothing."""
    from hpstudy.storage import integrity

    files = integrity.check_files(paths or integrity.own_files(workspace.runs_folder()))
    whole = [("whole", file.numbers(), str(file.path)) for file in files if not file.faults]
    tables = [columns(whole)] if whole else []
    faulty = [line for file in files if file.faults for line in file.lines()]
    print_report([file.as_json() for file in files], as_json, *tables, *faulty)
    if any(findings.faults for findings in files):
        raise typer.Exit(1)


@app.command()
def restore(
    tables: Annotated[list[Path], typer.Argument(help="Published tables (.csv).")],
    as_json: Json = False,
) -> None:
    """Put the runs of published tables into the user's store."""
    from hpstudy.storage import store

    own = store.Store.open(workspace.runs_folder() / "store.sqlite")
    restored = [store.restore(path, own) for path in tables]
    rows = [
        (
            str(table["table"]),
            f"{count(table['runs'], 'run')} restored",
            f"{table['known']} known",
            f"{table['left_out']} stopped early left out" if table["left_out"] else "",
        )
        for table in restored
    ]
    print_report(restored, as_json, columns(rows))


@app.command()
def book(
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Change the published book itself (for maintainers).")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print it as one file too; needs Chromium or Chrome.")
    ] = False,
) -> None:
    """Execute the report notebooks on all tables; build the book."""
    from hpstudy.report.build import print_book
    from hpstudy.report.pdf import find_chromium

    if pdf:
        find_chromium()
    print(hpstudy.build_book(publish=publish, strict=strict))
    if pdf:
        print(print_book(publish=publish))


def main() -> None:
    """Run the command line; a refusal is one line on standard error and exit status 2."""
    workspace.show_messages()
    # The signal by which batch systems end a job ends a command as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except HpstudyError as error:
        print(f"hpstudy: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            words = "stopped; finished runs are recorded, run it again to go on"
            print(f"\nhpstudy: {words}", file=sys.stderr)
        raise
