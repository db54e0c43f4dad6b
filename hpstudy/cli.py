"""The command line; each command refuses bad input before it works."""

import json
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from hpstudy import __version__
from hpstudy.errors import HpstudyError
from hpstudy.report.compare_command import compare

app = typer.Typer(
    name="hpstudy",
    help="After structured pruning, can I keep my learning rate and weight decay?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the data sets; HPSTUDY_DATA or ./data if not given."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs trained at once; one per core or GPU if not given.")
]
Executor = Annotated[
    str | None, typer.Option(help="Where runs are trained, local or ray; as the params file says.")
]
Address = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster; RAY_ADDRESS or a new one if not given."),
]
Pruning = Annotated[
    str, typer.Option(help="One pruned variant beside the dense network, as uniform-0.6.")
]


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    params: Annotated[list[Path], typer.Argument(help="Params files, as params/quick/*.yaml.")],
    pruning: Pruning = "all",
    data_root: DataRoot = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train runs again that have failed.")
    ] = False,
    book: Annotated[bool, typer.Option(help="Build the book afterwards.")] = True,
    as_json: Json = False,
) -> None:
    """Train a study's missing runs, record them, publish its table and draw its pages."""
    from hpstudy.analysis.study_results import find_root
    from hpstudy.errors import count
    from hpstudy.report.build import build_book
    from hpstudy.sweep.run import sweep
    from hpstudy.workspace import in_clone, open_plan, publish_results

    plans = [open_plan(path, pruning, data_root, executor) for path in params]
    said = []
    for plan in plans:
        if retry_failed:
            plan.retry()
        publish = partial(publish_results, plan, _command(), workers)
        trained = sweep(plan, workers, publish, address)
        table = publish()
        counts = plan.counts()
        missing, failed = (int(counts[name].sum()) for name in ("missing", "failed"))
        said.append(
            {
                "study": plan.study.name,
                "trained": trained,
                "runs": int(counts["total"].sum()),
                "missing": missing,
                "failed": failed,
                "table": str(table),
            }
        )
        lacking = f"{missing} missing" + f", {failed} failed" * bool(failed)
        _progress(f"{plan.study.name}: {count(trained, 'run')} trained, {lacking}, table {table}")
    index = None
    if book and in_clone():
        index = str(build_book(find_root(), progress=_progress))
        _progress(f"book: {index}")
    elif book:
        _progress("no book: this folder is not in a clone of hpstudy")
    if as_json:
        _print_json({"studies": said, "book": index})


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
    """Say what is missing, what it will take on this device and what is done; trains nothing."""
    from hpstudy.sweep.pricing import format_price, price
    from hpstudy.workspace import open_plan

    priced = price(open_plan(params, pruning, data_root, executor), workers, address)
    _print_json(priced) if as_json else print(format_price(priced))


@app.command()
def prune(
    model: Annotated[
        str,
        typer.Argument(help="resnet20, resnet56, mobilenetv2-shallow, mobilenetv2 or resnet50."),
    ],
    flops_ratio: Annotated[float, typer.Option(help="Share of the FLOPs that remains.")],
    method: Annotated[
        str, typer.Option(help="uniform (one keep factor), or nonuniform (one ranking).")
    ],
    criterion: Annotated[
        str, typer.Option(help="l1 (raw filter norms), or l1-normalised (over their layer's mean).")
    ] = "l1-normalised",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="State dict or checkpoint of torch.save to rank; untrained weights if not given."
        ),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="10, or 1000 for resnet50.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Pixels; the thesis's if not given.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File for the certificate.")] = None,
    as_json: Json = False,
) -> None:
    """Prune one network to a FLOPs ratio and print its certificate, enough to rebuild it."""
    from hpstudy.networks.pruning_report import prune as prune_model

    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise HpstudyError(f"--output must name a file in a folder that exists, not {output}")
    report = prune_model(model, method, flops_ratio, criterion, weights, classes, image_size)
    certificate = report.model_dump()
    if output is not None:
        try:
            output.write_text(json.dumps(certificate, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise HpstudyError(f"{output} cannot be written ({error.strerror})") from None
    _print_json(certificate) if as_json else print(report)


app.command()(compare)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]",
            help="Stores (.sqlite) and published tables (.csv); your own if none is given.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether stores and tables are whole, or every fault in them; changes nothing."""
    from hpstudy.storage.integrity import check_files, own_files

    if not paths:
        from hpstudy.workspace import runs_folder

        paths = own_files(runs_folder())
    found = check_files(paths)
    if as_json:
        _print_json([findings.as_json() for findings in found])
    else:
        print("\n".join(line for findings in found for line in findings.lines()))
    if any(findings.faults for findings in found):
        raise typer.Exit(1)


@app.command()
def restore(
    tables: Annotated[list[Path], typer.Argument(help="Published tables (.csv).")],
    as_json: Json = False,
) -> None:
    """Put the runs of published tables into your own store, so that a sweep goes on from them."""
    from hpstudy.errors import count
    from hpstudy.storage.restore import restore
    from hpstudy.storage.store import Store
    from hpstudy.workspace import runs_folder

    store = Store.open(runs_folder() / "store.sqlite")
    said = [restore(path, store) for path in tables]
    if as_json:
        return _print_json(said)
    for one in said:
        stopped = f", {one['left_out']} stopped early left out" * bool(one["left_out"])
        runs = count(one["runs"], "run")
        print(f"{one['table']}: {runs} restored, {one['known']} known{stopped}")


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
    """Execute the report notebooks on the published tables and one's own, and build the book."""
    from hpstudy.report.build import build_book, print_book
    from hpstudy.report.pdf import find_chromium

    if pdf:
        find_chromium()
    print(build_book(publish=publish, strict=strict, progress=_progress))
    if pdf:
        print(print_book(publish=publish, progress=_progress))


def _progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))


def _command() -> str:
    return shlex.join(["hpstudy", *sys.argv[1:]])


def main() -> None:
    """Run the command line; a refusal is one line on standard error and exit status 2."""
    # What batch systems send before they take a machine away ends a command as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except HpstudyError as error:
        print(f"hpstudy: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit as end:
        # What typer makes of Ctrl-C.
        if end.code == 130:
            said = "\nhpstudy: stopped; finished runs are recorded, run it again to go on"
            print(said, file=sys.stderr)
        raise
