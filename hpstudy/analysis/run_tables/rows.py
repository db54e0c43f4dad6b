"""Which rows of a table are runs that count, of which network, and their values."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import unify_settings
from hpstudy.analysis.run_tables import cells, names
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import ACCURACIES, ALIASES, TRUTHS
from hpstudy.errors import HpstudyError

# Steps are counted by what is logged, so that equally long runs differ by a few of them.
_STEPS_EQUAL = 0.9


def name_variants(sources: list[Source]) -> tuple[list[pd.Series], list[str]]:
    """Network of each row of each table, and the columns that say it.

    A column of that name says it, or columns that the user names, or those of models where they
    vary; otherwise all rows of a table are of one network.
    """
    models = _models(sources)
    labels, files, used = [], [], []
    for source in sources:
        named, parts = list(source.variant_by), []
        if source.uses.get("variant") not in (None, *named):
            parts.append(source.texts("variant"))
            used.append(source.uses["variant"])
        elif not named and models:
            source.variant_by = [models[source]]
        if not parts and (not source.variant_by or (named and len(sources) > 1)):
            files.append(source.name)
            parts.append(pd.Series(source.name, index=source.cells.index, dtype=object))
        for column in source.variant_by:
            text = source.cells[column]
            number = pd.to_numeric(text, errors="coerce").notna().any()
            parts.append(f"{names.bare(column)}=" + text if number else text)
        used += source.variant_by
        label, *more = parts
        for part in more:
            label = label + "/" + part
        labels.append(label)
    for name in files:
        if files.count(name) > 1:
            raise HpstudyError(
                f"two files named {name!r} have no column variant, so that both would be the "
                "network of that name; rename one."
            )
    return labels, [column for column in dict.fromkeys(used) if column != "variant"]


def _models(sources: list[Source]) -> dict[Source, str]:
    """Column of each table that names its models, where these columns tell all networks apart."""
    columns: dict[Source, str] = {}
    taken: set[str] = set()
    for source in sources:
        usual = names.named(source.spare, ALIASES["network"])
        varying = [column for column in usual if source.cells[column].nunique() > 1]
        models = set(source.cells[varying[0]]) if varying else {""}
        if "variant" in source.uses or "" in models or models & taken:
            return {}
        taken |= models
        columns[source] = varying[0]
    return columns


def read_values(source: Source, variant: pd.Series, axes: tuple[str, ...]) -> Counter[str]:
    """Set `runs` to the values of runs that ended; the others are counted.

    The columns are variant, the axes, metric (NaN for a blank, perhaps infinite), diverged,
    stopped, and where there are any epoch, std, runs and further accuracies.
    """
    left: Counter[str] = Counter()
    rows = source.cells.assign(_variant=variant)
    nested = _nested(source)
    left["parents of nested runs"] += int(nested.sum())
    rows = rows[~nested]
    state = pd.Series("ended", index=rows.index)
    if "state" in source.uses:
        column = source.uses["state"]
        remedy = f"or choose the rows that count by --where {column}=VALUE"
        state = cells.parse(rows[column], column, cells.to_state, remedy)
    # A table of epochs has many rows of a run.
    ids = source.having(ALIASES["run id"]) if "epoch" in source.uses else []
    for word, reason in (("failed", "failed"), ("unfinished", "not ended")):
        lost = rows[state == word]
        left[reason] += lost[ids[0]].nunique() if ids else len(lost)
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
    source.runs = _typed(source, rows, early[rows.index], axes)
    return left


def _nested(source: Source) -> pd.Series:
    """Which rows are parents of others, or children, where the parents have the metric."""
    parents, ids = source.having(ALIASES["parent"]), source.having(["run_id"])
    if not parents or not ids:
        return pd.Series(False, index=source.cells.index)
    child = source.cells[parents[0]] != ""
    parent = source.cells[ids[0]].isin(set(source.cells.loc[child, parents[0]]))
    valued = ~source.texts("metric").map(cells.is_blank)
    return child if (valued & parent).any() and not (valued & child).any() else parent


def _typed(
    source: Source, rows: pd.DataFrame, early: pd.Series, axes: tuple[str, ...]
) -> pd.DataFrame:
    """Typed cells of runs, of which some were stopped `early`."""
    used = dict(source.uses)
    numeric = [used[name] for name in (*axes, "metric", "std", *ACCURACIES) if name in used]
    texts = rows[list(dict.fromkeys(numeric))].to_numpy().ravel()
    commas = cells.decimal_commas(texts, source.separator)
    converters: dict[str, Callable[[str], object]] = {
        # Only the learning rate cannot be switched off.
        axis: partial(cells.to_setting, commas=commas, zero=names.bare(axis) not in ALIASES["lr"])
        for axis in axes
    }
    converters["metric"] = partial(cells.to_metric, commas=commas)
    converters |= dict.fromkeys(ACCURACIES, partial(cells.to_accuracy, commas=commas))
    converters["std"] = partial(cells.to_spread, commas=commas)
    converters.setdefault("runs", partial(cells.to_integer, least=1))
    converters |= dict.fromkeys(TRUTHS, cells.to_truth)
    converters.setdefault("epoch", cells.to_metric)
    remedy = cells.correct_by("--columns variant")
    table = pd.DataFrame(
        {"variant": cells.parse(rows["_variant"], "variant", cells.to_variant, remedy)}
    )
    for ours, convert in converters.items():
        column = used.get(ours)
        if column is None or (ours in ACCURACIES and column == used["metric"]):
            continue
        text = rows[column].where(~early, "") if ours == "metric" else rows[column]
        option = f"--{ours}" if ours in ("metric", "std", "runs") else f"--columns {ours}"
        name = column if ours in ("metric", column) else f"{ours} ({column})"
        try:
            table[ours] = cells.parse(text, name, convert, cells.correct_by(option))
        except HpstudyError:
            if ours != "epoch" or ours in (*axes, *source.named):
                raise
            # No count, whatever its name says.
            del source.uses["epoch"]
    if "runs" in used and names.says(used["std"], "standard error"):
        table["std"] *= table["runs"] ** 0.5
    for name in TRUTHS:
        if name not in table:
            table[name] = False
    table["stopped"] |= early
    return table


def settings_of(table: pd.DataFrame, axes: tuple[str, ...]) -> pd.Series:
    """Number of the variant and setting of each run, equal where only floats differ."""
    return group_numbers([table["variant"], *(unify_settings(table[axis]) for axis in axes)])


def group_numbers(columns: list[pd.Series]) -> pd.Series:
    """Number of each row's combination of values of columns, which may have one name."""
    table = pd.concat(columns, axis=1, ignore_index=True)
    return table.groupby(list(table)).ngroup()


# --- rows per epoch -------------------------------------------------------------------------------


def keep_one_epoch(source: Source, axes: tuple[str, ...], epoch: str, goal: str) -> None:
    """Keep the "last" or "best" `epoch` of each run, with the last epoch that it reached.

    A table whose rows are runs stays as it is.
    """
    runs = source.runs
    ids, by = _ids(source, axes) if "epoch" in runs else (None, "")
    if ids is None:
        return
    logged = source.texts("metric")[runs.index] != ""
    ordered = runs.assign(_id=ids, _logged=logged).sort_values("epoch", kind="stable")
    # Where most runs have a value at an epoch, a run without one there has lost it.
    usual = ordered.groupby("epoch")["_logged"].transform("mean") >= 0.5
    last = pd.concat([ordered[~usual], ordered[usual]]).groupby("_id").tail(1)
    if epoch == "best":
        sign = -1 if goal == "minimize" else 1
        ended = last.loc[np.isfinite(last["metric"]), "_id"]
        finite = ordered[ordered["_id"].isin(ended) & np.isfinite(ordered["metric"])]
        best = (sign * finite["metric"]).groupby(finite["_id"]).idxmax()
        last = pd.concat([last[~last["_id"].isin(ended)], ordered.loc[best]])
    reached = ordered.groupby("_id")["epoch"].max()
    last = last.assign(epoch=last["_id"].map(reached))
    kept = last.loc[runs.index[runs.index.isin(last.index)]]
    source.notes.append(
        f"{source.label}: {len(runs):,} rows are epochs ({source.uses['epoch']}) of {len(kept):,} "
        f"runs (by {by}). The {epoch} row of each run is taken."
    )
    source.runs = kept.drop(columns=["_id", "_logged"])


def _ids(source: Source, axes: tuple[str, ...]) -> tuple[pd.Series | None, str]:
    """Run of each row, and the columns that say it; None where each row is a run."""
    runs, epochs = source.runs, source.runs["epoch"]
    rows = source.rows
    if epochs.nunique() < 2:
        return None, ""
    keys = [runs[axis] for axis in axes]
    if "variant" in source.uses:
        keys.append(rows[source.uses["variant"]])
    settings = group_numbers(keys)
    free = [column for column in rows if column not in source.uses.values()]
    given = source.uses.get("run")
    for column in [given] if given else names.named(free, ALIASES["trial"]):
        ids = rows[column]
        if (ids == "").any() or (settings.groupby(ids).nunique() > 1).any():
            continue
        if ids.nunique() == len(ids):
            return None, ""
        certain = given or names.bare(column) in ALIASES["run id"]
        if _rises(ids, epochs) and (certain or _starts(ids, epochs)):
            return ids, column
    of = [column for column in free if 1 < rows[column].nunique() < len(rows)]
    of = [column for column in of if column in source.seeds or not _changes(rows[column])]
    keys += [rows[column] for column in of]
    groups = group_numbers(keys)
    # Repeats of one setting follow each other.
    begins = epochs.groupby(groups).diff().le(0)
    ids = groups.astype(str) + " " + begins.groupby(groups).cumsum().astype(str)
    if ids.nunique() < len(ids) and _rises(ids, epochs) and _starts(ids, epochs):
        return ids, ", ".join(["the setting", *of])
    return None, ""


def _changes(column: pd.Series) -> bool:
    """Whether a column changes within a run."""
    values = pd.to_numeric(column, errors="coerce")
    many = bool(values.notna().all()) and values.nunique() > len(values) / 2
    return many or names.is_record(str(column.name), bool(values.notna().any()))


def _rises(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether nearly all rows of a run are of different epochs."""
    pairs = pd.DataFrame({"id": ids, "epoch": epochs}).drop_duplicates()
    return bool(len(pairs) > max(0.9 * len(ids), ids.nunique()))


def _starts(ids: pd.Series, epochs: pd.Series) -> bool:
    """Whether runs start at their first epoch, as repeats of different lengths do not."""
    steps = epochs.sort_values(kind="stable").groupby(ids).diff()
    step = max(1.0, float(steps[steps > 0].median()))
    return bool((epochs.groupby(ids).min() <= step).mean() >= 0.9)


def drop_short(source: Source, any_length: bool) -> int:
    """Drop runs that ended before the longest of their variant, though nothing stopped them."""
    runs = source.runs
    if "epoch" not in runs:
        return 0
    column = source.uses["epoch"]
    whole = np.isfinite(runs["metric"]) & ~runs["diverged"] & ~runs["stopped"]
    reached = runs["epoch"].where(whole)
    longest = reached.groupby(runs["variant"]).transform("max")
    equal = _STEPS_EQUAL if {"step", "steps"} & set(names.words(column)) else 1.0
    short = whole & (reached < equal * longest)
    if not short.any():
        return 0
    first, last = float(reached.min()), float(reached.max())
    if any_length:
        lengths = f"({column} {first:g} to {last:g})"
        source.notes.append(f"{source.label}: runs of all lengths are taken {lengths}.")
        return 0
    if short.sum() > whole.sum() / 2:
        raise HpstudyError(
            f"most runs of {source.label} are shorter than the longest ({column} {first:g} to "
            f"{last:g}; {short.sum():,} of {whole.sum():,} are shorter): compare those of one "
            f"length by --where {column}={last:g}, or take all as they ended by --any-length."
        )
    source.runs = runs[~short]
    return int(short.sum())
