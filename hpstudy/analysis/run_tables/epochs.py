"""Rows per epoch become runs, and runs that were trained for less than the others are found."""

import numpy as np
import pandas as pd

from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import ALIASES
from hpstudy.analysis.run_tables.notes import Note, note
from hpstudy.errors import HpstudyError

# Steps are counted by what is logged, so that equally long runs differ by a few of them.
_STEPS_EQUAL = 0.9


def one_row_each(
    source: Source, runs: pd.DataFrame, axes: tuple[str, ...], epoch: str, goal: str
) -> tuple[pd.DataFrame, list[Note]]:
    """Row of the "last" or "best" `epoch` of each run, with the last epoch that it reached.

    A table whose rows are runs stays as it is.
    """
    ids, by = (None, "") if "epoch" not in runs else _ids(source, runs, axes)
    if ids is None:
        return runs, []
    logged = source.texts("metric")[runs.index] != ""
    ordered = runs.assign(_id=ids, _logged=logged).sort_values("epoch", kind="stable")
    # Where most runs have a value at an epoch, a run without one there has lost it.
    usual = ordered.groupby("epoch")["_logged"].transform("mean") >= 0.5
    last = ordered[usual].groupby("_id").tail(1)
    chosen = pd.concat([last, ordered[~ordered["_id"].isin(last["_id"])].groupby("_id").tail(1)])
    if epoch == "best":
        sign = -1 if goal == "minimize" else 1
        ended = chosen.loc[np.isfinite(chosen["metric"]), "_id"]
        finite = ordered[ordered["_id"].isin(ended) & np.isfinite(ordered["metric"])]
        best = (sign * finite["metric"]).groupby(finite["_id"]).idxmax()
        chosen = pd.concat([chosen[~chosen["_id"].isin(ended)], ordered.loc[best]])
    reached = ordered.groupby("_id")["epoch"].max()
    chosen = chosen.assign(epoch=chosen["_id"].map(reached))
    kept = chosen.loc[runs.index[runs.index.isin(chosen.index)]]
    epochs = note(
        "epochs",
        table=source.label,
        column=source.uses["epoch"],
        rows=len(runs),
        runs=len(kept),
        by=by,
        taken=epoch,
    )
    return kept.drop(columns=["_id", "_logged"]), [epochs]


def _ids(source: Source, runs: pd.DataFrame, axes: tuple[str, ...]) -> tuple[pd.Series | None, str]:
    """Run of each row, and the columns that say it; None where each row is a run."""
    cells, epochs = source.cells.loc[runs.index], runs["epoch"]
    if epochs.nunique() < 2:
        return None, ""
    keys = [runs[axis] for axis in axes]
    if "variant" in source.uses:
        keys.append(source.texts("variant")[runs.index])
    settings = runs.groupby([key.to_numpy() for key in keys]).ngroup()
    free = [column for column in source.columns if column not in source.uses.values()]
    given = source.uses.get("run")
    for column in [given] if given else names.named(free, ALIASES["trial"]):
        ids = cells[column]
        if (ids == "").any() or (settings.groupby(ids).nunique() > 1).any():
            continue
        if ids.nunique() == len(ids):
            return None, ""
        certain = given or names.bare(column) in ALIASES["run id"]
        if _rises(ids, epochs) and (certain or _starts(ids, epochs)):
            return ids, column
    of = [column for column in free if column in source.seeds or not _record(cells[column])]
    of = [column for column in of if 1 < cells[column].nunique() < len(cells)]
    keys += [cells[column] for column in of]
    groups = runs.groupby([key.to_numpy() for key in keys]).ngroup()
    # Repeats of one setting follow each other.
    begins = epochs.groupby(groups).diff().le(0)
    ids = groups.astype(str) + " " + begins.groupby(groups).cumsum().astype(str)
    if ids.nunique() < len(ids) and _rises(ids, epochs) and _starts(ids, epochs):
        return ids, ", ".join(["the setting", *of])
    return None, ""


def _record(cells: pd.Series) -> bool:
    """Whether a column changes within a run."""
    values = pd.to_numeric(cells, errors="coerce")
    many = bool(values.notna().all()) and values.nunique() > len(values) / 2
    return many or names.is_record(str(cells.name), bool(values.notna().any()))


def _rises(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether nearly all rows of a run are of different epochs."""
    pairs = pd.DataFrame({"id": ids, "epoch": epochs}).drop_duplicates()
    return bool(len(pairs) > max(0.9 * len(ids), ids.nunique()))


def _starts(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether runs start at their first epoch, as repeats of different lengths do not."""
    steps = epochs.sort_values(kind="stable").groupby(ids).diff()
    step = max(1.0, float(steps[steps > 0].median()))
    return bool((epochs.groupby(ids).min() <= step).mean() >= 0.9)


def short_runs(
    source: Source, runs: pd.DataFrame, any_length: bool
) -> tuple[pd.Series, list[Note]]:
    """Which runs ended before the longest of their variant, though nothing stopped them."""
    none = pd.Series(False, index=runs.index)
    if "epoch" not in runs:
        return none, []
    column = source.uses["epoch"]
    whole = np.isfinite(runs["metric"]) & ~runs["diverged"] & ~runs["stopped"]
    reached = runs["epoch"].where(whole)
    longest = reached.groupby(runs["variant"]).transform("max")
    equal = _STEPS_EQUAL if {"step", "steps"} & set(names.words(column)) else 1.0
    short = whole & (reached < equal * longest)
    if not short.any():
        return none, []
    first, last = float(reached.min()), float(reached.max())
    if any_length:
        kept = note("any length", table=source.label, column=column, first=first, last=last)
        return none, [kept]
    if short.sum() > whole.sum() / 2:
        raise HpstudyError(
            f"most runs of {source.label} are shorter than the longest ({column} {first:g} to "
            f"{last:g}; {short.sum():,} of {whole.sum():,} are shorter): compare those of one "
            f"length by --where {column}={last:g}, or take all as they ended by --any-length."
        )
    return short, []
