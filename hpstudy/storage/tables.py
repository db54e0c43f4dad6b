"""Published tables and records as they lie in their folder, checked before a page shows them."""

import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.grid import AXES
from hpstudy.config.reading import read_text
from hpstudy.config.study import is_study_name
from hpstudy.errors import HpstudyError, shown
from hpstudy.storage.database import RESULT_COLUMNS

TABLE_COLUMNS = (
    "run_id",
    "study",
    "variant",
    "model",
    "dataset",
    "method",
    "flops_ratio",
    "lr",
    "weight_decay",
    "seed",
    *RESULT_COLUMNS[:7],
    "stopped",
    *RESULT_COLUMNS[7:],
)

METRIC_TITLES = {
    "top1": "top-1 accuracy",
    "best_top1": "top-1 accuracy of the best epoch",
    "top5": "top-5 accuracy",
}
# What every page reads of a record.
_SAID = (
    "study.model",
    "study.roi",
    "study.prior",
    "study.data.name",
    "study.data.image_size",
    "study.data.train",
    "study.data.test",
    "study.recipe.epochs",
    "certificates",
    "record",
)
_RANGES = {**dict.fromkeys(AXES, (1e-30, 1e30)), **dict.fromkeys(METRIC_TITLES, (0.0, 100.0))}


def read_published(path: Path) -> pd.DataFrame:
    """Table of a study, `<study>.csv`.

    Raises
    ------
    HpstudyError
        If it is no such table, or has a name that would be markup on a page, a formula in another
        program or a path elsewhere; or a number that is none.
    """
    # The page of a study bears the name of its table.
    if not is_study_name(path.stem):
        raise HpstudyError(f"{shown(path.name)} in {path.parent} cannot be the table of a study.")
    text = read_text(path)
    if not text.endswith("\n"):
        # pandas would take what is missing of the last run for a run without values.
        raise HpstudyError(f"{path} is cut short: its last line has no end.")
    try:
        table = pd.read_csv(io.StringIO(text))
    except ValueError as error:
        reason = str(error).rpartition("error: ")[2].strip()
        raise HpstudyError(f"{path} is not a CSV file: {reason}.") from None
    if not isinstance(table.index, pd.RangeIndex):
        # pandas takes the first cells of such lines for names of the rows.
        raise HpstudyError(f"{path} is not a CSV file: a line has more cells than the header.")
    for name in ("variant", *AXES, "seed", "top1"):
        if name not in table:
            raise HpstudyError(f"{path} lacks the column {name!r}.")
    for what, names in (("column", table.columns), ("variant", table["variant"].unique())):
        for name in names:
            if not is_plain(str(name)):
                raise HpstudyError(
                    f"{path} has the {what} {shown(name)}, but a name on a page begins with a "
                    "letter or digit, and holds only such, blanks and ._-+/%()."
                )
    for name in _RANGES.keys() & set(table):
        _check_numbers(path, table[name], *_RANGES[name])
    return table


def is_plain(name: str) -> bool:
    """Whether a name is no markup on a page, and no formula in a program that reads tables."""
    return bool(re.fullmatch(r"[^\W_][\w .+/%()-]{0,99}", name))


def _check_numbers(path: Path, column: pd.Series, least: float, most: float) -> None:
    values = pd.to_numeric(column, errors="coerce")
    fits = values.between(least, most)
    zero = column.name == "weight_decay"
    if zero:
        fits |= values == 0
    if column.name in METRIC_TITLES:
        fits |= column.isna()
    if not fits.all():
        row = fits.idxmin()
        raise HpstudyError(
            f"line {row + 2} of {path}: {column.name} is {shown(str(column[row]))}, but must be a "
            f"number from {least:g} to {most:g}{', or 0' * zero}."
        )


def read_record(path: Path, table: Path) -> dict[str, Any]:
    """Record of a study.

    Parameters
    ----------
    path : Path
    table : Path
        Of its table, beside which it lies.

    Raises
    ------
    HpstudyError
        If it is not there, or lacks what the pages need.
    """
    if not path.is_file():
        raise HpstudyError(f"the table {table} lacks its record {path.name} beside it.")
    said = read_json(path)
    for place in _SAID:
        part, keys = said, place.split(".")
        for depth, key in enumerate(keys, start=1):
            if not isinstance(part, dict) or key not in part:
                raise HpstudyError(f"{path} lacks the key {'.'.join(keys[:depth])!r}.")
            part = part[key]
    if not is_plain(str(said["study"]["model"])):
        raise HpstudyError(f"{path} has the model {shown(said['study']['model'])}, which is none.")
    return said


def read_json(path: Path) -> Any:
    """Content of a JSON file that this package wrote."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise HpstudyError(f"{path} is no JSON, or is cut short.") from None


def publish(table: pd.DataFrame, record: Mapping[str, Any], folder: str | Path) -> Path:
    """Write a study's table and record to `folder`, each whole or not at all.

    Returns
    -------
    Path
        Of the CSV file, `<study>.csv`; `<study>.json` lies beside it.

    Raises
    ------
    HpstudyError
        If they cannot be written; what lay there stays.
    """
    folder = Path(folder)
    path = folder / f"{record['study']['name']}.csv"
    _write(path.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    _write(path, table.to_csv(index=False, lineterminator="\n"))
    return path


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(f"{path.suffix}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise HpstudyError(
            f"{path} cannot be written ({error.strerror}); all runs are in the store, and the same "
            "command writes it from there"
        ) from None
