"""Any CSV of runs, read with every value checked."""

import csv
import math
from pathlib import Path

import pandas as pd

from hpstudy.errors import HpstudyError, nearest
from hpstudy.landscape import grid_values

COLUMNS = ("variant", "lr", "weight_decay", "seed", "top1")
NO_VALUE = {"", "nan", "na", "n/a", "null", "none"}
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def read_table(path: str | Path, percent: bool = False, dense: str = "unpruned") -> pd.DataFrame:
    """Table of runs from a CSV file, with every value checked before any work is done.

    Parameters
    ----------
    path : str or Path
        CSV with a header and one row per run: variant, lr and weight_decay (positive), seed
        (an integer), top1 (in percent; blank or NaN for a run that diverged without one), and
        optionally diverged (True, False, 1 or 0). Other columns are ignored.
    percent : bool, default False
        Whether the accuracies are fractions, to be multiplied by 100.
    dense : str, default "unpruned"
        Variant of the dense network, which must be there.

    Returns
    -------
    DataFrame of shape (n_runs, 5 or 6)
        Columns variant, lr, weight_decay, seed, top1 (percent), and diverged where given.

    Raises
    ------
    HpstudyError
        If the file or a column is missing, or a value is not one; names the first one.
    """
    path = Path(path)
    header, rows, lines = _cells(path)
    _check_header(path, header)
    text = pd.DataFrame(rows, columns=header, index=lines, dtype=object)
    table = pd.DataFrame(
        {
            "variant": _column(text, "variant", _variant),
            "lr": _column(text, "lr", _positive),
            "weight_decay": _column(text, "weight_decay", _weight_decay),
            "seed": _column(text, "seed", _integer),
            "top1": _column(text, "top1", _fraction if percent else _percentage).astype(float),
        }
    )
    if "diverged" in header:
        table["diverged"] = _column(text, "diverged", _boolean)
    _check_runs(path, table, dense)
    if percent:
        # 100 x 0.931 is 93.10000000000001.
        table["top1"] = (100 * table["top1"]).round(9)
    elif table["top1"].max() <= 1:
        raise HpstudyError(
            f"all accuracies of {path} lie in [0, 1], but top1 is in percent; "
            "if they are fractions, add --percent."
        )
    return table.reset_index(drop=True)


def _cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows of as many cells, and the line in the file on which each row ends."""
    if not path.is_file():
        raise HpstudyError(f"there is no file {str(path)!r}.")
    rows, lines = [], []
    try:
        # utf-8-sig drops the mark that spreadsheets put before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if any(cell.strip() for cell in row):
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except OSError as error:
        raise HpstudyError(f"{path} cannot be read: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise HpstudyError(f"{path} is not a CSV file: {error}.") from error
    if len(rows) < 2:
        raise HpstudyError(f"{path} is empty: it has {'a header only' if rows else 'no text'}.")
    header = rows[0]
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise HpstudyError(
                f"{path} is not a CSV file: the header has {len(header)} cells, "
                f"line {line} has {len(row)}."
            )
    return header, rows[1:], lines[1:]


def _check_header(path: Path, header: list[str]) -> None:
    """Refuse a header in which a needed column is absent or comes twice."""
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise HpstudyError(f"{path} is separated by {word}; save it with commas.")
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        spare = {name.lower(): name for name in header if name not in COLUMNS}
        close = {column: nearest(column, spare) for column in missing}
        hints = [
            f"{column} (nearest there: {spare[close[column]]})" if close[column] else column
            for column in missing
        ]
        raise HpstudyError(
            f"{path} lacks the columns: {', '.join(hints)}; it has: {', '.join(header)}."
        )
    for column in (*COLUMNS, "diverged"):
        if header.count(column) > 1:
            raise HpstudyError(f"{path} has the column {column} {header.count(column)} times.")


def _check_runs(path: Path, table: pd.DataFrame, dense: str) -> None:
    """Refuse a run that comes twice, and a table without accuracies of the dense network."""
    keys = table[["variant", "lr", "weight_decay", "seed"]].copy()
    keys["lr"], keys["weight_decay"] = grid_values(keys["lr"]), grid_values(keys["weight_decay"])
    again = keys.duplicated()
    if again.any():
        line, run = again.idxmax(), keys[again].iloc[0]
        first = (keys == run).all(axis=1).idxmax()
        raise HpstudyError(
            f"line {line} of {path} repeats line {first}: variant {run['variant']!r}, "
            f"lr {run['lr']:g}, weight_decay {run['weight_decay']:g}, seed {run['seed']}."
        )
    variants = [str(name) for name in table["variant"].unique()]
    if dense not in variants:
        raise HpstudyError(
            f"{path} has no rows of the dense network {dense!r}; name it by --dense. "
            f"Variants there: {', '.join(variants)}."
        )
    if table.loc[table["variant"] == dense, "top1"].isna().all():
        raise HpstudyError(f"no row of the dense network {dense!r} in {path} has a top1.")


def _column(text: pd.DataFrame, column: str, parse) -> pd.Series:
    """Values of a column's cells; a refusal names the line."""
    values = []
    for line, cell in text[column].items():
        try:
            values.append(parse(cell))
        except ValueError as error:
            reason = str(error)
            raise HpstudyError(f"line {line}: {column} is {cell!r}, {reason}.") from None
    return pd.Series(values, index=text.index)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError("which is not a number") from None


def _variant(cell: str) -> str:
    if not cell:
        raise ValueError("but every run needs the name of its network")
    return cell


def _positive(cell: str) -> float:
    value = _number(cell)
    if not (math.isfinite(value) and value > 0):
        raise ValueError("but must be positive and finite")
    return value


def _weight_decay(cell: str) -> float:
    if _number(cell) == 0:
        raise ValueError("but the axes are logarithmic, on which zero cannot be drawn")
    return _positive(cell)


def _integer(cell: str) -> int:
    value = _number(cell)
    if not value.is_integer():
        raise ValueError("but must be an integer")
    return int(value)


def _percentage(cell: str) -> float:
    if cell.lower() in NO_VALUE:
        return math.nan
    value = _number(cell)
    if not 0 <= value <= 100:
        raise ValueError("but must be a percentage from 0 to 100")
    return value


def _fraction(cell: str) -> float:
    value = _percentage(cell)
    if value > 1:
        raise ValueError("but with --percent must be a fraction from 0 to 1")
    return value


def _boolean(cell: str) -> bool:
    if cell.lower() not in BOOLEANS:
        raise ValueError("but must be True, False, 1 or 0")
    return BOOLEANS[cell.lower()]
