"""Cells of a table of runs, from a text file in any common dialect, and their values.

A `to_` function raises ValueError with the second half of a sentence that begins with the cell.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from hpstudy.config.validation import read_bytes
from hpstudy.errors import MOST_LETTERS, HpstudyError, shown

MOST_COLUMNS = 10_000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_INTEGER = re.compile(r"[+-]?\d+(e[+-]?\d+)?", re.IGNORECASE)
# Of a hyperparameter on a logarithmic axis: what lies beyond is a slip, and no float32.
SMALLEST, LARGEST = 1e-30, 1e30
BLANK = {"", "nan", "na", "n/a", "null", "none", "<na>"}
# How runs end in the words of Optuna, W&B, Ray, MLflow, Keras Tuner and SLURM, in lower case.
STATES = {
    word: state
    for state, words in {
        "ended": "complete completed finished terminated success succeeded done ok",
        "failed": "fail failed failure error errored crashed killed preempted invalid aborted "
        "interrupted cancelled canceled timeout deadline out_of_memory oom node_fail boot_fail "
        "launch_failed revoked special_exit reconfig_fail",
        "stopped": "pruned stopped early_stopped",
        "unfinished": "running waiting pending preempting scheduled queued paused idle starting "
        "suspended configuring completing requeued requeue_hold requeue_fed resizing resv_del_hold "
        "resuming signaling stage_out power_up_node update_db expediting unfinished",
    }.items()
    for word in words.split()
}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+(e[+-]?\d+)?", re.IGNORECASE)
# Blanks that spreadsheets set between digits, and the typographic minus.
_TYPOGRAPHY = {**dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f")), ord("\u2212"): "-"}


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


# --- values ---------------------------------------------------------------------------------------


def parse(
    cells: pd.Series, name: str, convert: Callable[[str], object], remedy: str = ""
) -> pd.Series:
    """Values of a column's cells, or a refusal, which ends with `remedy`, of the bad ones."""
    values: dict[str, object] = {}
    faults: dict[str, str] = {}
    for cell in pd.unique(cells):
        try:
            values[cell] = convert(cell)
        except ValueError as error:
            faults[cell] = str(error)
    if faults:
        bad = cells[cells.isin(list(faults))]
        raise bad_cells(bad, name, faults[bad.iloc[0]], remedy)
    return pd.Series([values[cell] for cell in cells], index=cells.index, name=name)


def bad_cells(bad: pd.Series, name: str, reason: str, remedy: str) -> HpstudyError:
    """Error about cells of a column: the first line, its cell, and the number of such lines."""
    return HpstudyError(
        f"{bad.index[0]}: {name} is {shown(bad.iloc[0])}, {reason}{also(len(bad))}"
        f"{remedy and f'; {remedy}'}."
    )


def correct_by(option: str) -> str:
    """End of a refusal of cells: correct them, or name another column by an option."""
    joint = "=" if option.startswith("--columns") else " "
    return f"correct it, or name another column by {option}{joint}COLUMN"


def also(number: int) -> str:
    """Number of lines with one fault, in brackets; no text for a single one."""
    return f" ({number:,} such lines)" if number > 1 else ""


def is_blank(cell: str) -> bool:
    """Whether a cell is one of the ways to write that there is no value."""
    return cell.lower() in BLANK


def decimal_commas(cells: Iterable[str], separator: str) -> bool:
    """Whether commas in numbers are decimal, as in 0,001, and not between thousands."""
    texts = [_plain(cell) for cell in pd.unique(pd.Series(list(cells), dtype=object))]
    if any(_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text) for text in texts):
        return True
    thousands = [text for text in texts if _THOUSANDS.fullmatch(text)]
    if not thousands or any("." in text for text in texts):
        return False
    if separator == ",":
        text = thousands[0]
        raise HpstudyError(
            f"{text!r} may be {text.replace(',', '')} or {text.replace(',', '.')}; write numbers "
            "with a decimal point and without thousands separators."
        )
    return True


def to_number(cell: str, commas: bool = False) -> float:
    """Number, also with a percent sign, a decimal comma or commas between thousands."""
    text = _plain(cell)
    if commas and _COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif commas and _POINTS.fullmatch(text):
        raise ValueError("whose point may be decimal or between thousands, among decimal commas")
    elif _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        return float(text if "_" not in text else "no")
    except ValueError:
        raise ValueError("which is not a number") from None


def _plain(cell: str) -> str:
    return cell.translate(_TYPOGRAPHY).removesuffix("%").strip()


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def to_variant(cell: str) -> str:
    """Name of a network."""
    _require(cell != "", "but every run needs the name of its network")
    _require(cell.isprintable(), "but a name holds no characters that are not printed")
    _require(len(cell) <= MOST_LETTERS, f"but a name has at most {MOST_LETTERS} letters")
    return cell


def to_setting(cell: str, commas: bool = False, zero: bool = False) -> float:
    """Hyperparameter on a logarithmic axis; 0 where it may be switched off."""
    value = to_number(cell, commas)
    if zero and value == 0:
        return 0.0
    kinds = "0, or positive and finite" if zero else "positive and finite"
    _require(math.isfinite(value) and value > 0, f"but must be {kinds}")
    _require(SMALLEST <= value <= LARGEST, f"but must lie within {SMALLEST:g} and {LARGEST:g}")
    return value


def to_integer(cell: str, least: float = -math.inf) -> int:
    """Integer of at most 64 bits, also where it is written as a float."""
    value = to_number(cell)
    _require(value.is_integer(), "but must be an integer")
    # A float does not hold all digits of a large integer.
    exact = int(cell) if cell.removeprefix("-").isdecimal() else int(value)
    _require(-(2**63) <= exact < 2**63, "but must have at most 64 bits")
    _require(exact >= least, f"but must be {least:g} or more")
    return exact


def to_metric(cell: str, commas: bool = False) -> float:
    """Number, infinity, or NaN for a blank."""
    return math.nan if is_blank(cell) else to_number(cell, commas)


def to_accuracy(cell: str, commas: bool = False) -> float:
    """Accuracy in percent or as a fraction; NaN for a run without one."""
    value = to_metric(cell, commas)
    if not math.isfinite(value):
        return math.nan
    _require(0 <= value <= 100, "but must be a percentage from 0 to 100")
    return value


def to_spread(cell: str, commas: bool = False) -> float:
    """Standard deviation; NaN where there is none, as of a single run."""
    value = to_metric(cell, commas)
    _require(math.isnan(value) or 0 <= value < math.inf, "but must be 0 or more and finite")
    return value


def to_truth(cell: str) -> bool:
    """True or false."""
    true = cell.lower() in ("true", "1", "1.0")
    _require(true or cell.lower() in ("false", "0", "0.0"), "but must be True, False, 1 or 0")
    return true


def to_state(cell: str) -> str:
    """How a run ended: "ended", "stopped" early, "failed", or "unfinished"."""
    # Optuna's enum, as str() writes it; SLURM's "CANCELLED by 1000" and "CANCELLED+".
    words = cell.lower().removeprefix("trialstate.").removeprefix("runstatus.").split()
    word = (words[0] if words else "").rstrip("+").replace("-", "_")
    tools = "Optuna, W&B, Ray, MLflow, Keras Tuner or SLURM"
    words_of_tools = "complete, failed, pruned or running"
    _require(word in STATES, f"but must be a state of {tools}, such as {words_of_tools}")
    return STATES[word]
