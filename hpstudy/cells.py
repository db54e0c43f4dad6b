"""A CSV file as cells of text, and what a cell must say to be a value.

The `to_` functions raise ValueError with the second half of a sentence that begins with the cell.
"""

import csv
import io
import math
from pathlib import Path

from hpstudy.errors import MOST_LETTERS, HpstudyError
from hpstudy.reading import read_text

MOST_COLUMNS = 10_000
# Of a learning rate or a weight decay: what lies beyond is a slip, and float32 does not hold it.
SMALLEST, LARGEST = 1e-30, 1e30
NO_VALUE = {"", "nan", "na", "n/a", "null", "none"}
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# States of runs as Optuna and Weights & Biases write them, in lower case -> what they come to.
STATES = {
    **dict.fromkeys(("complete", "completed", "finished"), "ended"),
    **dict.fromkeys(("fail", "failed", "crashed", "killed", "preempted"), "failed"),
    "pruned": "stopped",
    **dict.fromkeys(("running", "waiting", "pending", "preempting"), "unfinished"),
}

# What the csv module says -> what is meant.
_REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than field limit (131072)": "a cell has more than 131,072 characters, as where "
    "a quote is never closed",
}


def read_cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Cells of a CSV file.

    Parameters
    ----------
    path : Path
        Of a file in UTF-8 with a header, separated by commas.

    Returns
    -------
    header : list of str
        Names of the columns.
    rows : list of list of str
        As many cells in each, without surrounding blanks; empty lines are left out.
    lines : list of int
        Line of the file on which each row ends.

    Raises
    ------
    HpstudyError
        If the file is missing, unreadable, empty, or not such a file.
    """
    text = _text(path)
    rows, lines = [], []
    # The lines of a file alone: splitlines() would also split at what csv takes for text.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
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
    if len(rows) < 2:
        raise HpstudyError(f"{path} is empty: it has {'a header only' if rows else 'no text'}.")
    header = rows[0]
    if len(header) > MOST_COLUMNS:
        raise HpstudyError(
            f"{path} has {len(header):,} columns; a table of runs has at most {MOST_COLUMNS:,}."
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise HpstudyError(
                f"{path} is not a CSV file: the header has {len(header)} cells, "
                f"line {line} has {len(row)}."
            )
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise HpstudyError(f"{path} is separated by {word}; save it with commas.")
    return header, rows[1:], lines[1:]


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        raise HpstudyError(f"there is no file {str(path)!r}.") from None


def is_blank(cell: str) -> bool:
    """Whether a cell is one of the ways to write that there is no value."""
    return cell.lower() in NO_VALUE


def to_variant(cell: str) -> str:
    """Name of a network."""
    if not cell:
        raise ValueError("but every run needs the name of its network")
    if not cell.isprintable():
        raise ValueError("but a name holds no characters that are not printed")
    if len(cell) > MOST_LETTERS:
        raise ValueError(f"but a name has at most {MOST_LETTERS} letters")
    return cell


def to_setting(cell: str) -> float:
    """Hyperparameter on a logarithmic axis."""
    value = _number(cell)
    if value == 0:
        raise ValueError("but must be positive: on a logarithmic axis zero cannot be drawn")
    if not (math.isfinite(value) and value > 0):
        raise ValueError("but must be positive and finite")
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(f"but must lie within {SMALLEST:g} and {LARGEST:g}")
    return value


def to_integer(cell: str) -> int:
    """Integer, also when it is written as a float."""
    value = _number(cell)
    if not value.is_integer():
        raise ValueError("but must be an integer")
    # A float does not hold all digits of a large integer.
    exact = int(cell) if cell.removeprefix("-").isdecimal() else int(value)
    if not -(2**63) <= exact < 2**63:
        raise ValueError("but must have at most 64 bits")
    return exact


def to_percentage(cell: str) -> float:
    """Accuracy from 0 to 100; NaN for a blank."""
    if is_blank(cell):
        return math.nan
    value = _number(cell)
    if not 0 <= value <= 100:
        raise ValueError("but must be a percentage from 0 to 100")
    return value


def to_fraction(cell: str) -> float:
    """Accuracy in percent of a cell that has it from 0 to 1; NaN for a blank."""
    value = to_percentage(cell)
    if value > 1:
        raise ValueError("but with --percent must be a fraction from 0 to 1")
    # 100 x 0.931 is 93.10000000000001.
    return round(100 * value, 9)


def to_truth(cell: str) -> bool:
    """True or false."""
    if cell.lower() not in BOOLEANS:
        raise ValueError("but must be True, False, 1 or 0")
    return BOOLEANS[cell.lower()]


def to_state(cell: str) -> str:
    """What a run has come to: "ended", "stopped" early, "failed", or "unfinished"."""
    if cell.lower() not in STATES:
        raise ValueError(f"but must be one of {', '.join(STATES)}")
    return STATES[cell.lower()]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError("which is not a number") from None
