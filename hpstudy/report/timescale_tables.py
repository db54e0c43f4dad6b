"""Good regions under other schedules: tables of the book, and the command `hpstudy transfer`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from hpstudy.analysis.study_results import StudyResults, read_result, read_results
from hpstudy.analysis.timescale import RULES, Schedule, spreads, timescales, transferred
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import short_title
from hpstudy.report.tables import decisive
from hpstudy.report.terminal import Json, columns, print_report
from hpstudy.workspace import find_root, in_clone

TITLES = {
    "timescale": "same averaging time, in epochs",
    "share": "same averaging time, as a share of the schedule",
    "product": "same product per image of a batch",
}


def timescale_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Schedule, product at the region's centre and timescale, a row a network of `timescales`.

    The last column is the left-hand side of equation 2.2, whose right-hand side is 1e-6.
    """
    table = {
        (row.study, short_title(row.variant)): {
            "epochs": row.schedule.epochs,
            "batch size": row.schedule.batch_size,
            "steps an epoch": row.schedule.steps,
            "log₁₀ lr × weight decay": f"{row.product:.2f}"
            + ("" if pd.isna(row.low) else f" ({row.low:.2f} to {row.high:.2f})"),
            "averaging time, epochs": f"{row.timescale:.1f}",
            "equation 2.2": f"{10**row.constant_product:.1e}",
        }
        for row in frame.itertuples()
    }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis(["study", "network"])


def spread_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation of what each rule keeps, over the dense networks, in decades."""
    number = int((frame["variant"] == DENSE).sum())
    rows = {TITLES[rule]: {"decades": spread} for rule, spread in spreads(frame).items()}
    table = pd.DataFrame.from_dict(rows, orient="index").assign(networks=number)
    return table.rename_axis("what stays the same")


def transfer(
    table: Annotated[Path, typer.Argument(help="Published table; its record lies beside it.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the new schedule.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Its images in a batch.")],
    images: Annotated[
        int | None, typer.Option(min=1, help="Its training images; by default those of TABLE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where learning rate x weight decay is expected to be good under another schedule."""
    study = read_schedule(table)
    old = Schedule.of(study)
    new = Schedule(images or old.images, batch_size, epochs, old.momentum)
    known = timescales([study, *_others(study)])
    spread = spreads(known)
    own = known.iloc[: len(study.landscapes())]
    values: dict[str, Any] = {
        row.variant: {
            "now": 10**row.product,
            **{rule: transferred(rule, 10**row.product, old, new) for rule in RULES},
        }
        for row in own.itertuples()
    }
    rows = [
        (short_title(name), f"{of['now']:.2g}", *(f"{of[rule]:.2g}" for rule in RULES))
        for name, of in values.items()
    ]
    networks = int((known["variant"] == DENSE).sum())
    print_report(
        {"networks": values, "spread": spread, "dense_networks": networks},
        as_json,
        "Learning rate × weight decay at the centre of the good region, from "
        f"{old.epochs} epochs in batches of {old.batch_size} to {new.epochs} in batches of "
        f"{new.batch_size}:",
        columns(rows, "", "now", *RULES, right=range(1, 5)),
        "",
        *(f"{rule}: {title}. Off by a factor of {10 ** spread[rule]:.1f} (one standard deviation "
          f"over {networks} dense networks)." for rule, title in TITLES.items()),
    )  # fmt: skip


def read_schedule(table: Path) -> StudyResults:
    """Published study whose schedule is recorded; refuses others."""
    if not table.is_file():
        raise HpstudyError(f"no table at {table}.")
    study = read_result(table)
    if "recipe" not in study.record["study"]:
        raise HpstudyError(f"{table} was trained by a command, whose schedule is not recorded.")
    return study


def _others(study: StudyResults) -> Iterable[StudyResults]:
    """Published studies of the clone, if this is one, without this very one."""
    folder = find_root() / "book" / "results" if in_clone() else None
    all_ = decisive(read_results([folder]).values()) if folder else []
    return [other for other in all_ if other.name != study.name]
