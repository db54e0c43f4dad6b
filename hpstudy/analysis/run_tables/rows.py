"""Which rows of a table are runs that count, of which network, and their values."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import pandas as pd

from hpstudy.analysis.run_tables import cells, names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import ALIASES
from hpstudy.analysis.run_tables.notes import Note, note
from hpstudy.analysis.run_tables.options import ACCURACIES, TRUTHS
from hpstudy.errors import HpstudyError, did_you_mean, listed


def keep_rows(sources: list[Source], where: dict[str, list[str]]) -> list[Note]:
    """Leave out rows of other values than `parse_where` found."""
    notes = []
    for name, values in where.items():
        for label, (column,) in resolved("--where", [name], sources).items():
            (source,) = [source for source in sources if source.label == label]
            text = source.cells[column]
            same = pd.Series(False, index=text.index)
            for value in values:
                rows = _equal(text, value)
                if not rows.any():
                    there = listed(dict.fromkeys(text[text != ""]))
                    raise HpstudyError(
                        f"no row of {label} has {name}={value}; values there: {there}."
                    )
                same |= rows
            source.cells = source.cells[same]
            if not same.all():
                facts = {"rows": int(same.sum()), "all": len(same), "column": name}
                notes.append(note("taken", table=label, values=" or ".join(values), **facts))
    return notes


def _equal(text: pd.Series, value: str) -> pd.Series:
    try:
        number = cells.to_number(value)
    except ValueError:
        return text == value
    return (text == value) | (pd.to_numeric(text, errors="coerce") == number)


def resolved(option: str, wanted: Iterable[str], sources: list[Source]) -> dict[str, list[str]]:
    """Columns that an option names, by the label of each table that has any of them."""
    found: dict[str, list[str]] = {}
    for name in wanted:
        columns = {source.label: source.column(name) for source in sources}
        if not any(columns.values()):
            there = list(dict.fromkeys(column for source in sources for column in source.columns))
            raise HpstudyError(
                f"{option} names the column {name!r}{did_you_mean(name, there)}, which "
                f"{listed(columns)} lacks; there: {listed(there)}."
            )
        for label, column in columns.items():
            if column:
                found.setdefault(label, []).append(column)
    return found


def name_variants(
    sources: list[Source], by: dict[str, list[str]]
) -> tuple[list[pd.Series], list[str]]:
    """Network of each row of each table, and the columns that say it.

    A column of that name says it, or columns that the user names (`by`), or those of models where
    they vary; otherwise all rows of a table are of one network.
    """
    models = _models(sources)
    labels, files, columns_used = [], [], []
    for source in sources:
        named = by.get(source.label, [])
        columns, label = list(named), None
        if "variant" in source.uses and source.uses["variant"] not in named:
            label = source.texts("variant")
            if source.uses["variant"] != "variant":
                columns_used.append(source.uses["variant"])
        elif not columns and models:
            columns = [models[source.label]]
        columns_used += columns
        if label is None and (not columns or (named and len(sources) > 1)):
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
    return labels, list(dict.fromkeys(columns_used))


def _models(sources: list[Source]) -> dict[str, str]:
    """Column of each table that names its models, where these columns tell all networks apart."""
    columns: dict[str, str] = {}
    taken: set[str] = set()
    for source in sources:
        usual = names.named(source.spare, ALIASES["network"])
        varying = [column for column in usual if source.cells[column].nunique() > 1]
        models = set(source.cells[varying[0]]) if varying else {""}
        if "variant" in source.uses or "" in models or models & taken:
            return {}
        taken |= models
        columns[source.label] = varying[0]
    return columns


def typed_rows(
    source: Source, variant: pd.Series, axes: tuple[str, ...], left: Counter[str]
) -> pd.DataFrame:
    """Rows of runs that ended, with their values; the others are counted in `left`.

    Returns
    -------
    DataFrame
        variant, the axes, metric (as written: NaN for a blank, perhaps infinite), diverged,
        stopped, and where there are any epoch, std, runs and further accuracies.
    """
    rows = source.cells.assign(_variant=variant)
    nested = _nested(source)
    left["parents of nested runs"] += int(nested.sum())
    rows = rows[~nested]
    state = pd.Series("ended", index=rows.index)
    if "state" in source.uses:
        column = source.uses["state"]
        remedy = f"or choose the rows that count by --where {column}=VALUE"
        state = cells.parse(rows[column], column, cells.to_state, remedy)
    left["failed"] += _runs(source, rows[state == "failed"])
    left["not ended"] += _runs(source, rows[state == "unfinished"])
    blank = rows[[source.uses[axis] for axis in axes]].map(cells.is_blank)
    early = state == "stopped"
    nowhere = early & blank.any(axis=1)
    left["stopped before they had a setting"] += int(nowhere.sum())
    # As where data were prepared in a run of its own.
    valueless = rows[source.uses["metric"]].map(cells.is_blank)
    empty = (state == "ended") & blank.all(axis=1) & valueless
    left["with neither a setting nor a value"] += int(empty.sum())
    rows = rows[state.isin(["ended", "stopped"]) & ~nowhere & ~empty]
    if rows.empty:
        raise HpstudyError(f"no run of {source.label} has ended.")
    return _values(source, rows, early[rows.index], axes)


def _runs(source: Source, rows: pd.DataFrame) -> int:
    """Number of runs, of which a table of epochs has many rows each."""
    ids = names.named(source.columns, ALIASES["run id"]) if "epoch" in source.uses else []
    return rows[ids[0]].nunique() if ids else len(rows)


def _nested(source: Source) -> pd.Series:
    """Which rows are parents of others, or children, where the parents have the metric."""
    none = pd.Series(False, index=source.cells.index)
    parents = names.named(source.columns, ALIASES["parent"])
    ids = names.named(source.columns, ("run_id",))
    if not parents or not ids:
        return none
    child = source.cells[parents[0]] != ""
    parent = source.cells[ids[0]].isin(set(source.cells.loc[child, parents[0]]))
    valued = ~source.texts("metric").map(cells.is_blank)
    return child if (valued & parent).any() and not (valued & child).any() else parent


def _values(
    source: Source, rows: pd.DataFrame, early: pd.Series, axes: tuple[str, ...]
) -> pd.DataFrame:
    """Typed cells of runs, of which some were stopped `early`."""
    numeric = [name for name in (*axes, "metric", "std", *ACCURACIES) if name in source.uses]
    texts = rows[list(dict.fromkeys(source.uses[name] for name in numeric))]
    commas = cells.decimal_commas(texts.to_numpy().ravel(), source.separator)

    def read(ours: str, convert: Callable[[str], object]) -> pd.Series:
        column, option = source.uses[ours], f"--columns {ours}"
        text = rows[column]
        name = ours if column == ours else f"{ours} ({column})"
        if ours in ("metric", "std", "runs"):
            option = f"--{ours}"
        if ours == "metric":
            name, text = column, text.where(~early, "")
        return cells.parse(text, name, convert, cells.correct_by(option))

    variant = cells.parse(
        rows["_variant"], "variant", cells.to_variant, cells.correct_by("--columns variant")
    )
    table = pd.DataFrame({"variant": variant})
    for axis in axes:
        # Only the learning rate cannot be switched off.
        zero = names.bare(axis) not in ALIASES["lr"]
        table[axis] = read(axis, partial(cells.to_setting, commas=commas, zero=zero))
    table["metric"] = read("metric", partial(cells.to_metric, commas=commas))
    for name in (*ACCURACIES, "std"):
        if name in source.uses and source.uses[name] != source.uses["metric"]:
            convert = cells.to_spread if name == "std" else cells.to_accuracy
            table[name] = read(name, partial(convert, commas=commas))
    if "runs" in source.uses:
        table["runs"] = read("runs", partial(cells.to_integer, least=1))
        if names.says(source.uses["std"], "standard error"):
            table["std"] *= table["runs"] ** 0.5
    for name in TRUTHS:
        table[name] = read(name, cells.to_truth) if name in source.uses else False
    table["stopped"] |= early
    if "epoch" in source.uses:
        try:
            table["epoch"] = read("epoch", cells.to_metric)
        except HpstudyError:
            if "epoch" in source.named:
                raise
            # No count, whatever its name says.
            del source.uses["epoch"]
    return table
