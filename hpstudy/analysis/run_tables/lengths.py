"""How far runs were trained: rows per epoch become runs, and half-trained runs are found."""

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names as names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.errors import HpstudyError, count

# Steps are counted by what is logged, so that equally long runs differ by a few of them.
_STEPS_EQUAL = 0.9


def one_row_each(
    source: Source, runs: pd.DataFrame, axes: tuple[str, ...], epoch: str, goal: str
) -> tuple[pd.DataFrame, str]:
    """Last (or best) row of each run of a table that has a row per epoch.

    Parameters
    ----------
    source : Source
    runs : DataFrame
        Rows with the axes, "metric" and, where the table says it, "epoch".
    axes : tuple of str
    epoch : str
        "last" or "best".
    goal : str
        "maximize" or "minimize".

    Returns
    -------
    runs : DataFrame
        One row per run, with the last epoch that it reached; as it was where rows are runs.
    note : str
        What was done, empty where nothing was.
    """
    ids, by = (None, "") if "epoch" not in runs else _ids(source, runs, axes)
    if ids is None:
        return runs, ""
    logged = source.texts("metric")[runs.index] != ""
    ordered = runs.assign(_id=ids, _logged=logged).sort_values("epoch", kind="stable")
    # Where most runs have a value at an epoch, a run without one there has lost it.
    usual = ordered.groupby("epoch")["_logged"].transform("mean") >= 0.5
    last = ordered[usual].groupby("_id").tail(1)
    rest = ordered[~ordered["_id"].isin(last["_id"])].groupby("_id").tail(1)
    chosen = pd.concat([last, rest])
    if epoch == "best":
        sign = -1 if goal == "minimize" else 1
        ended = chosen.loc[np.isfinite(chosen["metric"]), "_id"]
        finite = ordered[ordered["_id"].isin(ended) & np.isfinite(ordered["metric"])]
        best = (sign * finite["metric"]).groupby(finite["_id"]).idxmax()
        chosen = pd.concat([chosen[~chosen["_id"].isin(ended)], ordered.loc[best]])
    reached = ordered.groupby("_id")["epoch"].max()
    chosen = chosen.assign(epoch=chosen["_id"].map(reached))
    kept = chosen.loc[runs.index[runs.index.isin(chosen.index)]]
    note = (
        f"The {len(runs):,} rows of {source.label} are epochs ({source.found['epoch']}) of "
        f"{count(len(kept), 'run')} (by {by}); the {epoch} row of each is taken."
    )
    return kept.drop(columns=["_id", "_logged"]), note


def _ids(source: Source, runs: pd.DataFrame, axes: tuple[str, ...]) -> tuple[pd.Series | None, str]:
    """Number of the run of each row, and by what it is known; None where each row is a run."""
    cells, epochs = source.cells.loc[runs.index], runs["epoch"]
    if epochs.nunique() < 2:
        return None, ""
    keys = [runs[axis] for axis in axes]
    if "variant" in source.found:
        keys.append(source.texts("variant")[runs.index])
    settings = runs.groupby([key.to_numpy() for key in keys]).ngroup()
    said = [source.found["run"]] if "run" in source.found else []
    free = [column for column in source.columns if column not in source.found.values()]
    for column in said or names.named(free, names.TRIALS):
        ids = cells[column]
        if (ids == "").any() or (settings.groupby(ids).nunique() > 1).any():
            continue
        if ids.nunique() == len(ids):
            return None, ""
        sure = bool(said) or names.bare(column) in names.RUN_IDS
        if _rises(ids, epochs) and (sure or _starts(ids, epochs)):
            return ids, column
    of = [column for column in free if column in source.seeds or not _record(cells, column)]
    of = [column for column in of if 1 < cells[column].nunique() < len(cells)]
    keys += [cells[column] for column in of]
    groups = runs.groupby([key.to_numpy() for key in keys]).ngroup()
    # Repeats of one setting follow each other.
    begins = epochs.groupby(groups).diff().le(0)
    ids = groups.astype(str) + " " + begins.groupby(groups).cumsum().astype(str)
    if ids.nunique() < len(ids) and _rises(ids, epochs) and _starts(ids, epochs):
        return ids, ", ".join(["the setting", *of])
    return None, ""


def _record(cells: pd.DataFrame, column: str) -> bool:
    values = pd.to_numeric(cells[column], errors="coerce")
    return names.is_record(column, bool(values.notna().any())) or (
        bool(values.notna().all()) and values.nunique() > len(values) / 2
    )


def _rises(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether nearly all rows of a run are of different epochs."""
    pairs = pd.DataFrame({"id": ids, "epoch": epochs}).drop_duplicates()
    return len(pairs) > max(0.9 * len(ids), ids.nunique())


def _starts(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether runs start at their first epoch, as repeats of different lengths do not."""
    ordered = epochs.sort_values(kind="stable")
    steps = ordered.groupby(ids).diff()
    step = max(1.0, float(steps[steps > 0].median()))
    return bool((epochs.groupby(ids).min() <= step).mean() >= 0.9)


def short_runs(source: Source, runs: pd.DataFrame, any_length: bool) -> tuple[pd.Series, str]:
    """Which runs ended before the longest of their variant, though nothing stopped them.

    Parameters
    ----------
    source : Source
    runs : DataFrame
        One row per run with "variant", "metric", "diverged", "stopped", and "epoch" where known.
    any_length : bool
        Whether they are kept.

    Returns
    -------
    short : Series of bool
    note : str
        How the lengths differ, where they are kept all the same.

    Raises
    ------
    HpstudyError
        If these are most of the runs.
    """
    none = pd.Series(False, index=runs.index)
    if "epoch" not in runs:
        return none, ""
    column = source.found["epoch"]
    whole = np.isfinite(runs["metric"]) & ~runs["diverged"] & ~runs["stopped"]
    reached = runs["epoch"].where(whole)
    longest = reached.groupby(runs["variant"]).transform("max")
    slack = _STEPS_EQUAL if {"step", "steps"} & set(names.words(column)) else 1.0
    short = whole & (reached < slack * longest)
    if not short.any():
        return none, ""
    span = f"{column} {reached.min():g} to {reached.max():g}"
    if any_length:
        return none, f"Runs of {source.label} end at different lengths ({span}); all are kept."
    if short.sum() > whole.sum() / 2:
        raise HpstudyError(
            f"most runs of {source.label} are shorter than the longest ({span}; "
            f"{short.sum():,} of {whole.sum():,} are shorter): compare those of one length by "
            f"--where {column}={reached.max():g}, or take all as they ended by --any-length."
        )
    return short, ""
