"""Cells of a table of runs, from a text file in any common dialect."""

import csv
import io
import re
from pathlib import Path

import pandas as pd

from hpstudy.config.validation import read_bytes
from hpstudy.errors import HpstudyError

MOST_COLUMNS = 10_000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# What the csv module says -> what is meant.
_REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than field limit (131072)": "a cell has more than 131,072 characters, as where "
    "a quote is never closed",
}
_NUMBER = re.compile(r"[+-]?\d+(e[+-]?\d+)?", re.IGNORECASE)


def read_cells(path: Path) -> tuple[pd.DataFrame, str, dict[str, int]]:
    """Cells of a file with a header, separated by commas, semicolons or tabs.

    Parameters
    ----------
    path : Path
        Of a file in UTF-8 or UTF-16, with or without a byte order mark.

    Returns
    -------
    cells : DataFrame of str
        One row per line that is not empty, labelled "line 2 of runs.csv"; cells without
        surrounding blanks. Of columns with one name the first is kept.
    separator : str
    repeated : dict of str to int
        Number of columns by name where there are several.

    Raises
    ------
    HpstudyError
        If the file is missing, unreadable, empty, or not such a file.
    """
    text = _text(path)
    separator, rows, lines = _split(path, text)
    header = rows[0]
    if len(rows) < 2:
        raise HpstudyError(f"{path} is empty: it has a header only.")
    index = pd.Index([f"line {line} of {path}" for line in lines[1:]], dtype=object)
    cells = pd.DataFrame(
        rows[1:], index=index, columns=pd.Index(header, dtype=object), dtype=object
    )
    repeated = {name: header.count(name) for name in header if header.count(name) > 1}
    if repeated:
        cells = cells.loc[:, ~cells.columns.duplicated()]
    return cells, separator, repeated


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


def _split(path: Path, text: str) -> tuple[str, list[list[str]], list[int]]:
    """Separator, cells and line numbers by the separator for which all lines are equally long."""
    found, faults = {}, {}
    for separator in SEPARATORS:
        try:
            rows, lines = _rows(path, text, separator)
        except HpstudyError as error:
            faults[separator] = error
            continue
        if not rows:
            raise HpstudyError(f"{path} is empty: it has no text.")
        found[separator] = rows, lines
        if len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows):
            break
    if not found:
        raise faults[","]
    even = {
        separator: len(rows[0])
        for separator, (rows, _) in found.items()
        if all(len(row) == len(rows[0]) for row in rows)
    }
    wide = {separator: len(rows[0]) for separator, (rows, _) in found.items()}
    separator = max(even or wide, key=lambda one: (even or wide)[one])
    # A single column is one for every separator: then the header's own separator has the word.
    if max(wide.values()) > wide[separator] == 1:
        separator = max(wide, key=lambda one: wide[one])
    rows, lines = found[separator]
    if len(rows[0]) > MOST_COLUMNS:
        raise HpstudyError(
            f"{path} has {len(rows[0]):,} columns; a table of runs has at most {MOST_COLUMNS:,}."
        )
    _check_lengths(path, separator, rows, lines)
    return separator, rows, lines


def _rows(path: Path, text: str, separator: str) -> tuple[list[list[str]], list[int]]:
    """Cells of the lines that are not empty, and the line on which each row ends."""
    rows, lines = [], []
    # The lines of a file alone: splitlines() would also split at what csv takes for text.
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        reason = _REASONS.get(str(error), str(error))
        raise HpstudyError(
            f"{path} is not a CSV file: {reason} (line {max(reader.line_num, 1):,})."
        ) from None
    return rows, lines


def _check_lengths(path: Path, separator: str, rows: list[list[str]], lines: list[int]) -> None:
    """Refuse lines with more or fewer cells than the header."""
    width = len(rows[0])
    odd = [n for n, row in enumerate(rows) if len(row) != width]
    if not odd:
        return
    first = odd[0]
    longer = [row for row in rows[1:] if len(row) > width]
    whole = all(_NUMBER.fullmatch(cell) for row in longer for cell in row if cell)
    if separator == "," and longer and whole:
        raise HpstudyError(
            f"{path} is not a CSV file: the header has {width} cells, line {lines[first]} has "
            f"{len(rows[first])} ({len(odd)} such lines), and no number has a point. Decimal "
            "points seem to have become commas: export the table again, with points in the "
            "numbers or with semicolons between the cells."
        )
    raise HpstudyError(
        f"{path} is not a CSV file: the header has {width} cells, line {lines[first]} has "
        f"{len(rows[first])} (lines of another length than the header: {len(odd)}); put a cell "
        f"that holds {SEPARATORS[separator]} in double quotes, and complete what was cut short."
    )
