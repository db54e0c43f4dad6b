"""Which column tells repeats of a setting apart: the seed, a fold, a number of the repeat."""

import pandas as pd

from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.cells import also, parse, to_integer
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.options import TRUTHS
from hpstudy.analysis.run_tables.settings import check_settings, settings_of
from hpstudy.errors import HpstudyError


def join_runs(
    sources: list[Source],
    rows: list[pd.DataFrame],
    axes: tuple[str, ...],
    averaged: dict[str, list[str]],
) -> tuple[pd.DataFrame, str, list[str]]:
    """Runs of all tables in one, with a seed each.

    Parameters
    ----------
    sources : list of Source
    rows : list of DataFrame
        Runs of each, with "variant", the axes, "metric", "diverged", "stopped".
    axes : tuple of str
    averaged : dict of str to list of str
        By the label of each table: columns that the user averages over.

    Returns
    -------
    table : DataFrame
        With "seed"; "diverged" and "stopped" where a table or a run says so.
    by : str
        Columns that tell the seed.
    loose : list of str
        Hyperparameters that vary from setting to setting beside the axes.

    Raises
    ------
    HpstudyError
        If runs of one setting differ in more than their seed, or a run comes twice.
    """
    table = pd.concat(rows)
    spare = pd.concat(
        [
            source.cells.loc[one.index, source.spare]
            for source, one in zip(sources, rows, strict=True)
        ]
    ).fillna("")
    told = [
        source.cells.loc[one.index, source.seeds] for source, one in zip(sources, rows, strict=True)
    ]
    loose = check_settings(table, spare, axes, pd.concat(told).fillna(""))
    seeds = pd.Series(-1, index=table.index, dtype="int64")
    by, known = [], []
    for source, one in zip(sources, rows, strict=True):
        found, column = _seed_column(source, one, axes, averaged[source.label])
        if found is not None:
            seeds[one.index] = found
            known += list(one.index)
            by.append(column)
    missing = seeds.index.difference(known, sort=False)
    # Each of its own, so that no two settings seem to share one.
    start = max(seeds.max() + 1, 0)
    seeds[missing] = range(start, start + len(missing))
    table["seed"] = seeds
    _check_repeats(table, axes)
    for name in TRUTHS:
        given = any(name in source.found for source in sources)
        if not given and not table[name].any():
            table = table.drop(columns=name)
    return table, ", ".join(dict.fromkeys(by)), loose


def _seed_column(
    source: Source, table: pd.DataFrame, axes: tuple[str, ...], averaged: list[str]
) -> tuple[pd.Series | None, str]:
    """What tells runs of one setting apart, in one table.

    Returns
    -------
    seeds : Series of int, optional
        None where no column says it.
    by : str
        Names of the columns.

    Raises
    ------
    HpstudyError
        If two runs of a setting have the same.
    """
    cells, settings = source.cells.loc[table.index], settings_of(table, axes)
    usable = []
    for column in source.seeds:
        text = cells[column]
        said = column in ("seed", source.said.get("seed"))
        # A number of its own for every run is the run's name.
        own = text.nunique() == len(text) > settings.nunique() > 1
        if said or ((text != "").all() and not (own and names.bare(column) in names.TRIALS)):
            usable.append(column)
    if not usable and not averaged:
        _check_ids(cells, settings, table, axes)
        return None, ""
    tries = [[column, *averaged] for column in usable]
    if len(tries) != 1:
        tries.append([*usable, *averaged])
    for columns in tries:
        keys = pd.concat([settings.rename("_setting"), cells[columns]], axis=1)
        if not keys.duplicated().any():
            break
    else:
        raise _repeated(keys, table, axes, columns)
    varying = [column for column in columns if cells[column].nunique() > 1] or columns[:1]
    by = ", ".join(varying)
    if len(varying) > 1:
        return cells.groupby(varying).ngroup(), by
    text = cells[by]
    if by in averaged or (_are_words(text) and by != "seed"):
        return pd.Series(pd.factorize(text, sort=True)[0], index=text.index), by
    remedy = "correct it, or name another column by --columns seed=COLUMN"
    return parse(text, "seed" if by == "seed" else f"seed ({by})", to_integer, remedy), by


def _are_words(text: pd.Series) -> bool:
    return bool(pd.to_numeric(text, errors="coerce").isna().all())


def _check_ids(
    cells: pd.DataFrame, settings: pd.Series, table: pd.DataFrame, axes: tuple[str, ...]
) -> None:
    """Refuse a run that was written twice, by its id."""
    for column in names.named(list(cells.columns), ("run_id", "trial_id", "uuid")):
        keys = pd.concat([settings.rename("_setting"), cells[[column]], table["metric"]], axis=1)
        if keys.duplicated().any():
            raise _repeated(keys, table, axes, [column])


def _check_repeats(table: pd.DataFrame, axes: tuple[str, ...]) -> None:
    """Refuse a run of one variant, setting and seed that comes twice, perhaps in two tables."""
    keys = pd.concat([settings_of(table, axes).rename("_setting"), table["seed"]], axis=1)
    if keys.duplicated().any():
        raise _repeated(keys, table, axes, ["seed"])


def _repeated(
    keys: pd.DataFrame, table: pd.DataFrame, axes: tuple[str, ...], columns: list[str]
) -> HpstudyError:
    """Refusal of a run that comes twice.

    Parameters
    ----------
    keys : DataFrame
        What should be different for each run.
    table : DataFrame
        Of the same runs, with "variant" and the axes.
    axes : tuple of str
    columns : list of str
        Of `keys`, to be named.
    """
    again = keys.duplicated()
    line = again.idxmax()
    first = keys.index[(keys == keys.loc[line]).all(axis=1)][0]
    place = "".join(f", {axis} {table.loc[line, axis]:g}" for axis in axes)
    seeds = "".join(f", {column} {keys.loc[line, column]}" for column in columns)
    return HpstudyError(
        f"{line} repeats {first}: variant {table.loc[line, 'variant']!r}{place}{seeds}"
        f"{also(int(again.sum()))}; delete what was written twice, or name the column that tells "
        "repeats apart by --average-over COLUMN."
    )
