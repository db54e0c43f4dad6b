"""Published tables and the records beside them: written whole, and checked when they are read."""

import io
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.config.grid import AXES
from hpstudy.config.study import STUDY_NAME, is_source
from hpstudy.config.validation import read_text
from hpstudy.errors import HpstudyError, shown
from hpstudy.storage.database import RESULT_COLUMNS

# Hyperparameters and seed of a run.
SETTING = (*AXES, "seed")
TABLE_COLUMNS = (
    *("run_id", "study", "variant", "model", "dataset", "method", "flops_ratio", *SETTING),
    *(*RESULT_COLUMNS[:7], "stopped", *RESULT_COLUMNS[7:]),
)

METRIC_TITLES = {
    "top1": "top-1 accuracy",
    "best_top1": "top-1 accuracy of the best epoch",
    "top5": "top-5 accuracy",
}

_TEXT = ("run_id", "study", "variant", "model", "dataset", "method", "device", "torch", "curve")
_RANGES = {**dict.fromkeys(AXES, (1e-30, 1e30)), **dict.fromkeys(METRIC_TITLES, (0.0, 100.0))}
# Keys of a record that the pages read.
_RECORD_KEYS = (
    *("study.model", "study.roi", "study.prior", "study.data.name", "study.data.image_size"),
    *("study.data.train", "study.data.test", "study.recipe.epochs", "certificates", "record"),
)


def write_table(table: pd.DataFrame, record: Mapping[str, Any], folder: str | Path) -> Path:
    """Write a study's table and record to `folder`, each whole or not at all.

    Returns the CSV file, `<study>.csv`, with `<study>.json` beside it. Raises HpstudyError if they
    cannot be written; older files stay.
    """
    path = Path(folder) / f"{record['study']['name']}.csv"
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


def read_published(path: Path) -> pd.DataFrame:
    """Table of a study, `<study>.csv`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    HpstudyError
        If it is no whole table; if a name would be markup on a page, a formula in a spreadsheet or
        a path elsewhere; or if a cell holds no number, or one out of range.
    """
    table = read_csv(path)
    for name in ("variant", *SETTING, "top1"):
        if name not in table:
            raise HpstudyError(f"{path} lacks the column {name!r}.")
    names = [("column", name) for name in table]
    for what, name in [*names, *(("variant", name) for name in table["variant"].unique())]:
        if not is_plain(str(name)):
            raise HpstudyError(
                f"{path} has the {what} {shown(name)}, but a name on a page begins with a letter "
                "or digit, and holds only such, blanks and ._-+/%()."
            )
    for name in ("run_id", "curve"):
        # Every run has both, and the curve is the last cell of a line.
        if name in table and table[name].isna().any():
            line = int(table[name].isna().argmax()) + 2
            raise HpstudyError(f"line {line} of {path} is cut short: it has no {name}.")
    for name in table.columns.intersection(TABLE_COLUMNS).difference(_TEXT, sort=False):
        fits, what = _fitting(table[name])
        if not fits.all():
            row = int(fits.argmin())
            raise HpstudyError(
                f"line {row + 2} of {path}: {name} is {shown(str(table[name][row]))}, but must be "
                f"{what}."
            )
    return table


def read_csv(path: Path) -> pd.DataFrame:
    """Cells of a published table; raises HpstudyError if it is cut short or no table at all."""
    # The page of a study bears the name of its table.
    if not re.fullmatch(STUDY_NAME, path.stem):
        raise HpstudyError(f"{shown(path.name)} in {path.parent} cannot be the table of a study.")
    text = read_text(path)
    if not text.endswith("\n"):
        # pandas would read the missing cells of the last run as a run without values.
        raise HpstudyError(f"{path} is cut short: its last line has no end.")
    try:
        table = pd.read_csv(io.StringIO(text))
    except ValueError as error:
        reason = str(error).rpartition("error: ")[2].strip()
        raise HpstudyError(f"{path} is not a CSV file: {reason}.") from None
    if not isinstance(table.index, pd.RangeIndex):
        # pandas takes the first cells of such lines for names of the rows.
        raise HpstudyError(f"{path} is not a CSV file: a line has more cells than the header.")
    return table


def is_plain(name: str) -> bool:
    """Whether a name is no markup on a page, and no formula in a spreadsheet."""
    return bool(re.fullmatch(r"[^\W_][\w .+/%()-]{0,99}", name))


def _fitting(column: pd.Series) -> tuple[pd.Series, str]:
    """Which cells of a column are right, and what a cell must be."""
    name = column.name
    if name in ("diverged", "stopped"):
        return column.isin([True, False]), "True or False"
    least, most = _RANGES.get(name, (-math.inf, math.inf))
    fits = pd.to_numeric(column, errors="coerce").between(least, most)
    what = f"a number from {least:g} to {most:g}" if name in _RANGES else "a number"
    if name == "weight_decay":
        return fits | (column == 0), f"{what}, or 0"
    return (fits if name in SETTING else fits | column.isna()), what


def read_record(path: Path, table: Path) -> dict[str, Any]:
    """Record of a study, which lies beside its table.

    Raises HpstudyError if it is not there, or lacks a key that the pages need.
    """
    if not path.is_file():
        raise HpstudyError(f"the table {table} lacks its record {path.name} beside it.")
    record: dict[str, Any] = read_json(path)
    for place in _RECORD_KEYS:
        part, keys = record, place.split(".")
        for depth, key in enumerate(keys, start=1):
            if not isinstance(part, dict) or key not in part:
                raise HpstudyError(f"{path} lacks the key {'.'.join(keys[:depth])!r}.")
            part = part[key]
    model = str(record["study"]["model"])
    if not is_plain(model) and not is_source(model):
        raise HpstudyError(f"{path} has the invalid model {shown(record['study']['model'])}.")
    return record


def read_json(path: Path) -> Any:
    """Content of a JSON file that this package wrote."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise HpstudyError(f"{path} is no JSON, or is cut short.") from None
