"""Tables of runs from anywhere, read with every value checked."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from hpstudy import cells
from hpstudy.errors import HpstudyError, listed, nearest, shown, unknown
from hpstudy.landscape import AXES, check_axes, grid_values

ACCURACIES = ("top1", "top5", "best_top1")
TRUTHS = ("diverged", "stopped")
COLUMNS = ("variant", "seed", *ACCURACIES, *TRUTHS, "state")
"""What a table may say of a run beside its place on the two axes."""


def parse_axes(text: str) -> tuple[str, str]:
    """Axes of a landscape from text such as "lr,weight_decay": the one drawn upwards first.

    Raises
    ------
    HpstudyError
        If they are not two different hyperparameters; names them.
    """
    axes = tuple(word.strip() for word in text.split(","))
    check_axes(axes)
    return axes


def parse_columns(text: str, axes: tuple[str, str] = AXES) -> dict[str, str]:
    """Names of a table's columns from text such as "lr=params_lr,top1=value".

    Parameters
    ----------
    text : str
        Pairs of a name of ours and one of the table's, separated by commas; a pair that contains
        a comma stands in double quotes.
    axes : tuple of str, default ("lr", "weight_decay")
        Names of the axes, which belong to ours.

    Returns
    -------
    dict of str to str
        Our name -> the table's.

    Raises
    ------
    HpstudyError
        If a pair is none, or one of our names is unknown or comes twice.
    """
    columns: dict[str, str] = {}
    # A shell leaves the line breaks of a long option in it.
    line = " ".join(text.splitlines())
    for pair in next(csv.reader([line], skipinitialspace=True)) or [""]:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise HpstudyError(
                f"--columns takes pairs such as lr=params_lr, separated by commas; not {pair!r}."
            )
        if ours not in (*axes, *COLUMNS):
            raise unknown("column name in --columns", ours, (*axes, *COLUMNS))
        if ours in columns:
            raise HpstudyError(f"--columns names {ours} twice: {columns[ours]} and {theirs}.")
        columns[ours] = theirs
    return columns


def read_table(
    paths: str | Path | Iterable[str | Path],
    percent: bool = False,
    dense: str | None = None,
    columns: dict[str, str] | None = None,
    axes: tuple[str, str] = AXES,
) -> pd.DataFrame:
    """Table of runs from CSV files, with every value checked before any work is done.

    Parameters
    ----------
    paths : str, Path, or iterable of them
        CSV files with a header and one row per run, also as Optuna (`trials_dataframe`) and
        Weights & Biases export them. Needed are the two axes (positive) and top1 (in percent;
        blank or NaN for a run that diverged without one). Used where there are any: variant,
        otherwise all runs of the file are of one network with the file's name; seed (an integer),
        otherwise runs of one setting are numbered as they appear; top5 and best_top1, like top1;
        diverged and stopped (True, False, 1 or 0); state (or State). A run that failed has no
        accuracy whatever the file says, one that was pruned by Optuna was stopped early. Runs that
        have not ended, or failed before they had a setting, are left out. Other columns are
        ignored.
    percent : bool, default False
        Whether the accuracies are fractions, to be multiplied by 100.
    dense : str, optional
        Variant of the dense network, which must be there. If not given, "unpruned" where the
        files have it, otherwise the network of the first file, if that holds only one.
    columns : dict of str to str, optional
        Our name -> the files' for columns that they name otherwise, as `parse_columns` returns.
    axes : tuple of str, default ("lr", "weight_decay")
        Our names of the two hyperparameters.

    Returns
    -------
    DataFrame of shape (n_runs, 5 to 9)
        Columns variant, the axes, seed, top1 (percent; NaN for a run without one), and top5,
        best_top1, diverged, stopped where given. Its `attrs` hold "dense", the variant of the
        dense network, and "left_out", the number of rows left out.

    Raises
    ------
    HpstudyError
        If a file, a column or the dense network is missing, or a value is not one; names the
        first one.
    """
    check_axes(axes)
    paths = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if len({path.resolve() for path in paths}) < len(paths) or not paths:
        raise HpstudyError("name each table once, and at least one.")
    files, left_out, nameless = [], 0, set()
    for path in paths:
        one, out = _read(path, percent, columns or {}, axes)
        if "variant" not in one:
            if path.stem in nameless:
                raise HpstudyError(
                    f"two files named {path.stem!r} have no column variant, so that both would be "
                    "the network of that name; rename one."
                )
            nameless.add(path.stem)
            one["variant"] = path.stem
        files.append(one)
        left_out += out
    table = _completed(pd.concat(files), axes)
    order = ("variant", *axes, "seed", *ACCURACIES, *TRUTHS)
    table = table[[name for name in order if name in table]]
    _check_runs(table, axes)
    table.attrs = {"dense": _dense(table, files[0], dense), "left_out": left_out}
    return table.reset_index(drop=True)


def _read(
    path: Path, percent: bool, columns: dict[str, str], axes: tuple[str, str]
) -> tuple[pd.DataFrame, int]:
    """Runs of one file, by the words that name their lines, and how many were left out."""
    header, rows, lines = cells.read_cells(path)
    found = _find_columns(path, header, columns, axes)
    named = dict(zip(header, zip(*rows, strict=True), strict=True))
    text = pd.DataFrame(
        {ours: named[theirs] for ours, theirs in found.items()},
        index=[f"line {line} of {path}" for line in lines],
        dtype=object,
    )
    state = _column(text, "state", cells.to_state) if "state" in text else "ended"
    text = text.assign(state=state)
    accuracies = [name for name in ACCURACIES if name in text]
    text.loc[text["state"] != "ended", accuracies] = ""
    names = [name for name in ("variant", *axes) if name in text]
    nowhere = text[names].map(cells.is_blank).any(axis=1) & (text["state"] != "ended")
    kept = text[(text["state"] != "unfinished") & ~nowhere]
    if kept.empty:
        raise HpstudyError(f"no run of {path} has ended.")
    parsers: dict[str, Callable] = {
        "variant": cells.to_variant,
        **dict.fromkeys(axes, cells.to_setting),
        "seed": cells.to_integer,
        **dict.fromkeys(ACCURACIES, cells.to_fraction if percent else cells.to_percentage),
        **dict.fromkeys(TRUTHS, cells.to_truth),
    }
    table = pd.DataFrame(
        {name: _column(kept, name, parse) for name, parse in parsers.items() if name in kept}
    )
    if not percent:
        for metric in accuracies:
            _check_percentages(path, table, kept[metric])
    early = kept["state"] == "stopped"
    if early.any():
        table["stopped"] = early | table.get("stopped", False)
    return table, len(text) - len(kept)


def _check_percentages(path: Path, table: pd.DataFrame, written: pd.Series) -> None:
    """Refuse a file's accuracies where all of them are fractions, or some look like it."""
    metric = str(written.name)
    accuracy, best = table[metric], table[metric].max()
    if best <= 1:
        raise HpstudyError(
            f"all accuracies of {path} lie in [0, 1], but {metric} is in percent; "
            "if they are fractions, add --percent."
        )
    # Accuracies of less than a percent there are, by chance alone; such as would be among the
    # best when they are taken for fractions are most likely that.
    alike = (accuracy < 1) & (100 * accuracy).between(0.75 * best, 1.1 * best)
    alike &= ~table.get("diverged", pd.Series(False, table.index))
    if alike.any():
        line = alike.idxmax()
        raise HpstudyError(
            f"{line}: {metric} is {shown(written[line])} among percentages up to {best:g}; write "
            "fractions as percentages, and say of a run that diverged so in a column diverged."
        )


def _find_columns(
    path: Path, header: list[str], columns: dict[str, str], axes: tuple[str, str]
) -> dict[str, str]:
    """Our name -> the file's, of every column that is used; refuses a header that lacks one."""
    there = f"it has: {listed(header)}"
    for ours, theirs in columns.items():
        if theirs not in header:
            close = nearest(theirs, header)
            hint = f" (nearest there: {close})" if close else ""
            raise HpstudyError(f"{path} has no column {theirs!r}{hint} for {ours}; {there}.")
    found = {name: name for name in (*axes, *COLUMNS) if name in header}
    if "State" in header:
        found.setdefault("state", "State")
    found |= columns
    spare = [name for name in header if name not in found.values()]
    missing = [name for name in (*axes, "top1") if name not in found]
    if missing:
        close = {name: _lookalike(name, spare) or _nearest(name, spare) for name in missing}
        hints = [
            f"{name} (nearest there: {close[name]})" if close[name] else name for name in close
        ]
        raise HpstudyError(
            f"{path} lacks the columns: {', '.join(hints)}; name them by --columns; {there}."
        )
    if "variant" not in found and (other := _lookalike("variant", spare)):
        raise HpstudyError(
            f"{path} has no column variant, but {other}; add --columns variant={other}, or "
            "rename that one."
        )
    for theirs in found.values():
        if header.count(theirs) > 1:
            raise HpstudyError(f"{path} has the column {theirs} {header.count(theirs)} times.")
    return found


def _lookalike(column: str, names: list[str]) -> str | None:
    """Name that is `column` in other letters or after a prefix: params_lr, config/lr, LR."""
    ends = tuple(f"{mark}{column}" for mark in "_/. ")
    return next((name for name in names if f" {name.lower()}".endswith(ends)), None)


def _nearest(column: str, names: list[str]) -> str | None:
    spelled = {name.lower(): name for name in names}
    return spelled.get(nearest(column, spelled) or "")


def _completed(table: pd.DataFrame, axes: tuple[str, str]) -> pd.DataFrame:
    """Runs with a seed each, and with True or False also where their file had no such column."""
    number = table.groupby(_settings(table, axes)).cumcount()
    seed = table["seed"].fillna(number) if "seed" in table else number
    table = table.assign(seed=seed.astype(int))
    stopped = table.get("stopped", pd.Series(False, table.index)).eq(True)
    if "stopped" in table:
        table["stopped"] = stopped
    if "diverged" in table:
        lost = table["diverged"].isna() & table["top1"].isna() & ~stopped
        table["diverged"] = table["diverged"].eq(True) | lost
    return table


def _settings(table: pd.DataFrame, axes: tuple[str, str]) -> list[pd.Series]:
    """Network and grid point of each run, equal where only floats make them differ."""
    return [table["variant"], *(grid_values(table[axis]) for axis in axes)]


def _check_runs(table: pd.DataFrame, axes: tuple[str, str]) -> None:
    """Refuse a run that comes twice."""
    keys = pd.concat([*_settings(table, axes), table["seed"]], axis=1)
    again = keys.duplicated()
    if again.any():
        line, run = again.idxmax(), keys[again].iloc[0]
        first = (keys == run).all(axis=1).idxmax()
        place = ", ".join(f"{axis} {run[axis]:g}" for axis in axes)
        raise HpstudyError(
            f"{line} repeats {first}: variant {run['variant']!r}, {place}, seed {run['seed']}."
        )


def _dense(table: pd.DataFrame, first: pd.DataFrame, dense: str | None) -> str:
    """Variant of the dense network, which has accuracies in the table."""
    variants = [str(name) for name in table["variant"].unique()]
    if dense is None:
        alone = "unpruned" not in variants and first["variant"].nunique() == 1
        dense = variants[0] if alone else "unpruned"
    if dense not in variants:
        raise HpstudyError(
            f"there are no rows of the dense network {dense!r}; name it by --dense; variants "
            f"there: {listed(variants)}."
        )
    if table.loc[table["variant"] == dense, "top1"].isna().all():
        raise HpstudyError(f"no row of the dense network {dense!r} has a top1.")
    return dense


def _column(text: pd.DataFrame, column: str, parse: Callable) -> pd.Series:
    """Values of a column's cells; a refusal names the line."""
    values = []
    for line, cell in text[column].items():
        try:
            values.append(parse(cell))
        except ValueError as error:
            reason = str(error)
            raise HpstudyError(f"{line}: {column} is {shown(cell)}, {reason}.") from None
    return pd.Series(values, index=text.index)
