"""Cells of a table of runs: from a text file in any common dialect, or where a tool keeps them."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hpstudy.analysis.run_tables.trackers import read_mlflow, read_optuna, read_ray
from hpstudy.analysis.run_tables.wandb import read_wandb
from hpstudy.config.validation import read_bytes
from hpstudy.errors import HpstudyError, one_line

MOST_COLUMNS = 10_000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_INTEGER = re.compile(r"[+-]?\d+(e[+-]?\d+)?", re.IGNORECASE)


def read_cells(path: Path) -> tuple[pd.DataFrame, str, dict[str, int]]:
    """Cells of a file with a header, separated by commas, semicolons or tabs.

    A row is a line that is not empty, labelled "line 2 of runs.csv". Also the separator, and the
    number of columns by name where there are several, of which the first is kept.
    """
    text = _text(path)
    tables: dict[str, dict[int, list[str]]] = {}
    faults = []
    for separator in SEPARATORS:
        try:
            if rows := _rows(path, text, separator):
                tables[separator] = rows
        except HpstudyError as error:
            faults.append(error)
    if not tables:
        raise faults[0] if faults else HpstudyError(f"{path} is empty: it has no text.")
    widths = {separator: [*map(len, rows.values())] for separator, rows in tables.items()}
    even = [separator for separator, n in widths.items() if n[0] > 1 and min(n) == max(n)]
    separator = even[0] if even else max(widths, key=lambda separator: widths[separator][0])
    rows = tables[separator]
    _check_widths(path, separator, rows)
    header, *values = rows.values()
    lines = [f"line {line} of {path}" for line in rows]
    cells = pd.DataFrame(
        values, index=lines[1:], columns=pd.Index(header, dtype=object), dtype=object
    )
    repeated = {name: header.count(name) for name in set(header) if header.count(name) > 1}
    return cells.loc[:, ~cells.columns.duplicated()] if repeated else cells, separator, repeated


def _text(path: Path) -> str:
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise HpstudyError(f"there is no file {str(path)!r}.") from None
    if content.startswith(b"SQLite format 3"):
        raise HpstudyError(
            f"{path} is a database of SQLite; type optuna:sqlite:///{path} if it is Optuna's, or "
            f"mlflow:sqlite:///{path} if it is MLflow's."
        )
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise HpstudyError(
            f"{path} is not text in UTF-8 or UTF-16; save it as CSV in UTF-8 (in Excel: "
            "'CSV UTF-8')."
        ) from None


def _rows(path: Path, text: str, separator: str) -> dict[int, list[str]]:
    """Cells of the lines that are not empty, by the line on which each row ends."""
    # Lines end as in a file: splitlines() would also split at what csv takes for text.
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True)
    rows: dict[int, list[str]] = {}
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows[reader.line_num] = [cell.strip() for cell in row]
    except csv.Error as error:
        reason = str(error)
        if "unexpected end" in reason:
            reason = "a quote is opened and never closed"
        elif "field larger" in reason:
            reason = "a cell has more than 131,072 characters, as where a quote is never closed"
        raise HpstudyError(
            f"{path} is not a CSV file: {reason} (line {max(reader.line_num, 1):,})."
        ) from None
    return rows


def _check_widths(path: Path, separator: str, rows: dict[int, list[str]]) -> None:
    """Refuse tables of too many columns or no lines, and lines of another length."""
    header, *others = rows.values()
    width = len(header)
    if width > MOST_COLUMNS:
        raise HpstudyError(
            f"{path} has {width:,} columns; a table of runs has at most {MOST_COLUMNS:,}."
        )
    if not others:
        raise HpstudyError(f"{path} is empty: it has a header only.")
    odd = {line: row for line, row in rows.items() if len(row) != width}
    if not odd:
        return
    line, row = next(iter(odd.items()))
    problem = f"{path} is not a CSV file: the header has {width} cells, line {line} has {len(row)}"
    longer = [row for row in odd.values() if len(row) > width]
    whole = all(_INTEGER.fullmatch(cell) for row in longer for cell in row if cell)
    if separator == "," and longer and whole:
        raise HpstudyError(
            f"{problem} ({len(odd)} such lines), and no number has a point. Decimal points seem to "
            "have become commas: export the table again, with points in the numbers or with "
            "semicolons between the cells."
        )
    raise HpstudyError(
        f"{problem} (lines of another length than the header: {len(odd)}); put a cell that holds "
        f"{SEPARATORS[separator]} in double quotes, and complete what was cut short."
    )


# --- where tracking tools keep sweeps -------------------------------------------------------------

_READERS: dict[str, tuple[Callable[[str, str], pd.DataFrame], str]] = {
    "optuna": (read_optuna, "sqlite:///study.db#study"),
    "ray": (read_ray, "~/ray_results/experiment"),
    "mlflow": (read_mlflow, "mlruns#experiment"),
    "wandb": (read_wandb, "wandb"),
}
"""Tool -> its reader, and an example of where it keeps a sweep."""


def is_source(text: str) -> bool:
    """Whether `text` names a sweep where its tool keeps it, such as "ray:RESULTS_FOLDER"."""
    tool, colon, _ = text.partition(":")
    return bool(colon) and tool in _READERS


def read_source(text: str) -> pd.DataFrame:
    """Table of text, named and written as the tool's own CSV export.

    `text` is "optuna:STORAGE#study" (URL of a storage, or path of an SQLite or journal file),
    "ray:FOLDER" (an experiment's results), "mlflow:PATH#experiment" (`mlruns` folder or SQLite
    file) or "wandb:FOLDER" (the `wandb` folder). The part behind # may be left out where there is
    one study, or one experiment with runs.

    Blank cells are "", and "nan" and "inf" what was logged so. A row is a run; of Ray an iteration
    of a trial. The index names it, as in "trial 3 of study 'dense'".

    Raises
    ------
    HpstudyError
        If there is no such place, study or experiment, it has no runs, or a file is damaged.
    """
    tool, _, place = text.partition(":")
    read, example = _READERS[tool]
    if not place:
        raise HpstudyError(f"{text} names no place; type for example '{text}{example}'.")
    try:
        return read(text, place)
    except (OSError, UnicodeError) as error:
        raise HpstudyError(f"{text} cannot be read ({one_line(error)}).") from None
