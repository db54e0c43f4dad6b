"""Which rows of a table are runs that count, of which network, and their values."""

from collections import Counter
from collections.abc import Iterable
from functools import partial

import pandas as pd

from hpstudy.analysis.run_tables import cells as cells
from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.options import ACCURACIES, TRUTHS
from hpstudy.errors import HpstudyError, listed, nearest

# Only the learning rate cannot be switched off.
_NO_ZERO = names.AXES["lr"]


def keep_rows(sources: list[Source], where: dict[str, list[str]]) -> list[str]:
    """Leave out rows of other values than `parse_where` found; sentences on what that did.

    Raises
    ------
    HpstudyError
        If no table has such a column, or one that has it has no such value.
    """
    notes = []
    for name, values in where.items():
        having = [source for source in sources if source.column(name)]
        if not having:
            raise _no_column("--where", name, sources)
        for source in having:
            text = source.cells[source.column(name)]
            same = pd.Series(False, index=text.index)
            for value in values:
                known = _same(text, value)
                if not known.any():
                    there = listed(dict.fromkeys(text[text != ""]))
                    raise HpstudyError(
                        f"no row of {source.label} has {name}={value}; values there: {there}."
                    )
                same |= known
            source.cells = source.cells[same]
            if not same.all():
                said = " or ".join(values)
                notes.append(
                    f"Of {source.label} the {same.sum():,} of {len(same):,} rows with "
                    f"{name}={said} are taken."
                )
    return notes


def _same(text: pd.Series, value: str) -> pd.Series:
    try:
        number = cells.to_number(value)
    except ValueError:
        return text == value
    return (text == value) | (pd.to_numeric(text, errors="coerce") == number)


def _no_column(option: str, name: str, sources: list[Source]) -> HpstudyError:
    columns = list(dict.fromkeys(column for source in sources for column in source.columns))
    close = nearest(name, columns)
    hint = f" (did you mean {close!r}?)" if close else ""
    labels = listed(source.label for source in sources)
    return HpstudyError(
        f"{option} names the column {name!r}{hint}, which {labels} lacks; there: {listed(columns)}."
    )


def resolved(option: str, wanted: Iterable[str], sources: list[Source]) -> dict[str, list[str]]:
    """Columns by the label of each table, for names that the user gave to an option.

    Raises
    ------
    HpstudyError
        If no table has one of them.
    """
    found: dict[str, list[str]] = {source.label: [] for source in sources}
    for name in wanted:
        columns = {source.label: source.column(name) for source in sources}
        if not any(columns.values()):
            raise _no_column(option, name, sources)
        for label, column in columns.items():
            if column:
                found[label].append(column)
    return found


def name_variants(sources: list[Source], by: dict[str, list[str]]) -> tuple[list[pd.Series], str]:
    """Network of each row of each table, and by what it is known.

    A column of that name says it, or columns that the user names, or those of models where they
    vary; otherwise all rows of a table are of one network.

    Raises
    ------
    HpstudyError
        If two tables without such a column have the same name.
    """
    models = _models(sources)
    labels, files, said = [], [], []
    for source in sources:
        columns = by[source.label]
        label = source.texts("variant") if "variant" in source.found else None
        if source.found.get("variant") in columns:
            label = None
        elif label is not None and source.found["variant"] != "variant":
            said.append(source.found["variant"])
        if label is None and not columns and models:
            columns = [models[source.label]]
        said += columns
        if label is None and (not columns or (by[source.label] and len(sources) > 1)):
            files.append(source.name)
            label = pd.Series(source.name, index=source.cells.index, dtype=object)
        for column in columns:
            text = source.cells[column]
            if pd.to_numeric(text, errors="coerce").notna().any():
                text = f"{names.bare(column)}=" + text
            label = text if label is None else label + "/" + text
        labels.append(label)
        source.used = [*source.used, *columns]
    for name in files:
        if files.count(name) > 1:
            raise HpstudyError(
                f"two files named {name!r} have no column variant, so that both would be the "
                "network of that name; rename one."
            )
    by_what = ", ".join(dict.fromkeys(said))
    return labels, by_what


def _models(sources: list[Source]) -> dict[str, str]:
    """Column of each table that names its models, where that tells all networks apart."""
    found, taken = {}, set()
    for source in sources:
        if "variant" in source.found:
            return {}
        columns = names.named(source.spare, names.NETWORKS)
        columns = [column for column in columns if source.cells[column].nunique() > 1]
        if not columns or (source.cells[columns[0]] == "").any():
            return {}
        models = set(source.cells[columns[0]])
        if models & taken:
            return {}
        taken |= models
        found[source.label] = columns[0]
    return found


def typed_rows(
    source: Source, variant: pd.Series, axes: tuple[str, ...], left: Counter[str]
) -> pd.DataFrame:
    """Rows of runs that ended, with their values; the others are counted in `left`.

    Returns
    -------
    DataFrame
        "variant", the axes, "metric" (as written: NaN for a blank, perhaps infinite), "diverged",
        "stopped", and where there are any "epoch", "std", "runs" and further accuracies.

    Raises
    ------
    HpstudyError
        If a value is not one, or no run is left.
    """
    rows = source.cells.assign(_variant=variant)
    nested = _nested(source)
    left["parents of nested runs"] += int(nested.sum())
    rows = rows[~nested]
    state = pd.Series("ended", index=rows.index)
    if "state" in source.found:
        column = source.found["state"]
        remedy = f"or say which rows count by --where {column}=VALUE"
        state = cells.parse(rows[column], column, cells.to_state, remedy)
    left["failed"] += _count(source, rows[state == "failed"])
    left["not ended"] += _count(source, rows[state == "unfinished"])
    places = rows[[source.found[axis] for axis in axes]].map(cells.is_blank)
    nowhere = (state == "stopped") & places.any(axis=1)
    left["stopped before they had a setting"] += int(nowhere.sum())
    # As where data were prepared in a run of its own.
    empty = places.all(axis=1) & rows[source.found["metric"]].map(cells.is_blank)
    empty &= state == "ended"
    left["with neither a setting nor a value"] += int(empty.sum())
    early = state == "stopped"
    rows = rows[state.isin(["ended", "stopped"]) & ~nowhere & ~empty]
    if rows.empty:
        raise HpstudyError(f"no run of {source.label} has ended.")
    return _values(source, rows, early[rows.index], axes)


def _count(source: Source, rows: pd.DataFrame) -> int:
    """Number of runs, of which a table of epochs has many rows each."""
    ids = names.named(source.columns, names.RUN_IDS) if "epoch" in source.found else []
    return rows[ids[0]].nunique() if ids else len(rows)


def _values(
    source: Source, rows: pd.DataFrame, early: pd.Series, axes: tuple[str, ...]
) -> pd.DataFrame:
    numeric = [name for name in (*axes, "metric", "std", *ACCURACIES) if name in source.found]
    text = rows[list(dict.fromkeys(source.found[name] for name in numeric))]
    commas = cells.decimal_commas(text.to_numpy().ravel(), source.separator)
    table = pd.DataFrame(
        {"variant": cells.parse(rows["_variant"], "variant", cells.to_variant, _remedy("variant"))}
    )

    def read(ours: str, convert, cell: pd.Series | None = None) -> pd.Series:
        column = source.found[ours]
        shown = ours if column == ours or ours == "metric" else f"{ours} ({column})"
        shown = column if ours == "metric" else shown
        return cells.parse(rows[column] if cell is None else cell, shown, convert, _remedy(ours))

    for axis in axes:
        zero = names.bare(axis) not in _NO_ZERO
        table[axis] = read(axis, partial(cells.to_setting, commas=commas, zero=zero))
    metric = partial(cells.to_metric, commas=commas)
    table["metric"] = read("metric", metric, rows[source.found["metric"]].where(~early, ""))
    for name in (*ACCURACIES, "std"):
        if name in source.found and source.found[name] != source.found["metric"]:
            limit = cells.to_spread if name == "std" else cells.to_accuracy
            table[name] = read(name, partial(limit, commas=commas))
    if "runs" in source.found:
        table["runs"] = read("runs", cells.to_count)
        if names.is_error(source.found["std"]):
            table["std"] *= table["runs"] ** 0.5
    for name in TRUTHS:
        table[name] = read(name, cells.to_truth) if name in source.found else False
    table["stopped"] |= early
    if "epoch" in source.found:
        _read_epochs(source, table, rows)
    return table


def _remedy(ours: str) -> str:
    said = f"--{ours} COLUMN" if ours in ("metric", "std", "runs") else f"--columns {ours}=COLUMN"
    return f"correct it, or name another column by {said}"


def _read_epochs(source: Source, table: pd.DataFrame, rows: pd.DataFrame) -> None:
    try:
        table["epoch"] = cells.parse(rows[source.found["epoch"]], "epoch", cells.to_metric)
    except HpstudyError:
        if "epoch" in source.said:
            raise
        # Not a count, whatever its name says.
        del source.found["epoch"]


def _nested(source: Source) -> pd.Series:
    """Which rows are parents of others, or children, where the parents have the metric."""
    none = pd.Series(False, index=source.cells.index)
    parents = names.named(source.columns, (names.PARENT,))
    ids = names.named(source.columns, ("run_id",))
    if not parents or not ids:
        return none
    child = source.cells[parents[0]] != ""
    parent = source.cells[ids[0]].isin(set(source.cells.loc[child, parents[0]]))
    if not parent.any():
        return none
    valued = ~source.texts("metric").map(cells.is_blank)
    return parent if (valued & child).any() or not (valued & parent).any() else child
