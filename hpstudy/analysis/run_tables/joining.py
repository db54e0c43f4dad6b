"""Runs of all tables in one: the metric's goal and unit, and a seed for each run of a setting."""

import re

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import unify_settings
from hpstudy.analysis.run_tables import names
from hpstudy.analysis.run_tables.cells import also, bad_cells, correct_by, parse, to_integer
from hpstudy.analysis.run_tables.columns import Source
from hpstudy.analysis.run_tables.names import ACCURACIES, ALIASES, TRUTHS
from hpstudy.analysis.run_tables.rows import settings_of
from hpstudy.errors import HpstudyError, listed, shown

# A column without a telling name that has more values than this is no list of choices.
_MOST_CHOICES = 10
_DATE = r"\d{4}-\d\d-\d\d|\d+ days|\d+:\d\d"
# So many accuracies, of which nine in ten are at most 1, are fractions.
_MANY = 10
_GOALS = "add --goal minimize if less of it is better, --goal maximize if more is"


def join_runs(
    sources: list[Source], axes: tuple[str, ...]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Runs of all tables in one, with a seed each; diverged and stopped where a run says so.

    Also the columns that say the seed, and those of hyperparameters other than the axes that vary
    from setting to setting.
    """
    table = pd.concat([source.runs for source in sources])
    spare = pd.concat([source.rows[source.spare] for source in sources]).fillna("")
    repeats = pd.concat([source.rows[source.seeds] for source in sources]).fillna("")
    loose = _check_settings(table, spare, axes, repeats)
    table["seed"] = -1
    seeded_by, unseeded = [], []
    for source in sources:
        if columns := _seed_columns(source, axes):
            table.loc[source.runs.index, "seed"] = _seeds(source, columns)
            seeded_by += columns
        else:
            unseeded += list(source.runs.index)
    # Each of its own, so that no two settings seem to share one.
    first = max(table["seed"].max() + 1, 0)
    table.loc[unseeded, "seed"] = range(first, first + len(unseeded))
    _check_repeats(table, table[["seed"]], axes)
    for name in TRUTHS:
        if not table[name].any() and not any(name in source.uses for source in sources):
            table = table.drop(columns=name)
    return table, list(dict.fromkeys(seeded_by)), loose


# --- seeds ----------------------------------------------------------------------------------------


def _seed_columns(source: Source, axes: tuple[str, ...]) -> list[str]:
    """Columns that tell the runs of each setting apart; none where none says it."""
    runs, averaged = source.runs, source.averaged
    cells, settings = source.rows, settings_of(runs, axes)
    usable = []
    for column in source.seeds:
        # A number of its own for every run is the run's name.
        own = cells[column].nunique() == len(cells) > settings.nunique() > 1
        named = own and names.bare(column) in ALIASES["trial"]
        certain = column in ("seed", source.named.get("seed"))
        if certain or ((cells[column] != "").all() and not named):
            usable.append(column)
    if not usable and not averaged:
        # A run that was written twice is known by its id.
        for column in source.having(("run_id", "trial_id", "uuid")):
            _check_repeats(runs, cells[[column]].assign(metric=runs["metric"]), axes)
        return []
    tries = [[column, *averaged] for column in usable]
    if len(tries) != 1:
        tries.append([*usable, *averaged])
    for columns in tries:
        if not cells[columns].assign(_setting=settings).duplicated().any():
            return [name for name in columns if cells[name].nunique() > 1] or columns[:1]
    _check_repeats(runs, cells[tries[-1]], axes)
    return []


def _seeds(source: Source, columns: list[str]) -> pd.Series:
    """Seed of each run, an integer."""
    if len(columns) > 1:
        return source.rows.groupby(columns).ngroup()
    (column,) = columns
    text = source.rows[column]
    words = pd.to_numeric(text, errors="coerce").isna().all() and column != "seed"
    if column in source.averaged or words:
        return pd.Series(pd.factorize(text, sort=True)[0], index=text.index)
    name = "seed" if column == "seed" else f"seed ({column})"
    return parse(text, name, to_integer, correct_by("--columns seed"))


def _check_repeats(table: pd.DataFrame, keys: pd.DataFrame, axes: tuple[str, ...]) -> None:
    """Refuse runs of one variant and setting with the same `keys`, perhaps in two tables."""
    whole = keys.assign(_setting=settings_of(table, axes))
    again = whole.duplicated()
    if not again.any():
        return
    line = again.idxmax()
    runs = whole.groupby(list(whole.columns), dropna=False).ngroup()
    first = (runs == runs[line]).idxmax()
    place = "".join(f", {axis} {table.loc[line, axis]:g}" for axis in axes)
    seed = "".join(f", {key} {keys.loc[line, key]}" for key in keys)
    raise HpstudyError(
        f"{line} repeats {first}: variant {table.loc[line, 'variant']!r}{place}{seed}"
        f"{also(int(again.sum()))}; delete what was written twice, or name the column that tells "
        "repeats apart by --average-over COLUMN."
    )


# --- what else differs ----------------------------------------------------------------------------


def _check_settings(
    table: pd.DataFrame, cells: pd.DataFrame, axes: tuple[str, ...], seeds: pd.DataFrame
) -> list[str]:
    """Refuse runs of one setting that differ in more than their seed; other hyperparameters."""
    settings = settings_of(table, axes)
    choices: dict[str, pd.Series] = {}
    loose = []
    for column in cells:
        given = cells.loc[cells[column] != "", column]
        numbers = pd.to_numeric(given, errors="coerce")
        numeric = bool(numbers.notna().all())
        if given.nunique() < 2 or names.is_record(column, numeric):
            continue
        # 0.9 and 0.90 are one value.
        given = numbers if numeric else given
        place = settings[given.index]
        within = given.groupby(place).nunique().gt(1)
        if within.any():
            if _is_choice(column, given, numeric, place, seeds.loc[given.index]):
                choices[column] = given[place.map(within)]
        elif names.says_config(column) and _most(given, table.loc[given.index, "variant"]) > 1:
            at = [unify_settings(table.loc[given.index, axis]) for axis in axes]
            # As a batch size that grows with the learning rate.
            if any(_most(given, x) == 1 and x.nunique() <= len(x) / 2 for x in at):
                continue
            if given.nunique() <= min(_MOST_CHOICES, len(given) / 2):
                choices[column] = given
            else:
                loose.append(column)
    if choices:
        raise _differing(choices, table, cells, settings, axes)
    return loose


def _most(values: pd.Series, by: pd.Series) -> int:
    """Greatest number of different values that go with one value of another column."""
    return int(values.groupby(by).nunique().max())


def _is_choice(
    column: str, given: pd.Series, numeric: bool, settings: pd.Series, seeds: pd.DataFrame
) -> bool:
    """Whether a column that varies within a setting is something that was chosen."""
    number, config = given.nunique(), names.says_config(column)
    few = config and number <= _MOST_CHOICES
    if not numeric and number > 0.9 * len(given) and not few:
        return False
    if config:
        return True
    if given.astype(str).str.match(_DATE).all():
        return False
    if any(_most(given, seeds[seed]) == _most(seeds[seed], given) == 1 for seed in seeds):
        return False
    repeated = _most(given, settings) < number or _most(settings, given) > 1
    most = max(_MOST_CHOICES, settings.value_counts().max()) if numeric else number
    return bool(repeated and number <= min(most, len(given) / 2))


def _differing(
    choices: dict[str, pd.Series],
    table: pd.DataFrame,
    cells: pd.DataFrame,
    settings: pd.Series,
    axes: tuple[str, ...],
) -> HpstudyError:
    """Error about hyperparameters other than the axes: two lines, all values, and the ways out."""
    first, given = next(iter(choices.items()))
    line = given.index[0]
    unequal = given[given != given.iloc[0]]
    same = unequal[settings[unequal.index] == settings[line]]
    other = (same if len(same) else unequal).index[0]
    place = ", ".join(f"{axis} {table.loc[line, axis]:g}" for axis in axes)
    some, where = [], []
    for column, lines in choices.items():
        values = cells.loc[lines.index, column].unique().tolist()
        few = values if len(values) <= 6 else [*values[:6], f"and {len(values) - 6} more"]
        some.append(f"{column}: {listed(few)}")
        where.append(f"--where {_quoted(f'{column}={values[0]}')}")
    columns = _quoted(",".join(choices))
    axis = ""
    if len(axes) == len(choices) == 1 and pd.api.types.is_numeric_dtype(given):
        axis = f"make it an axis (--axes {_quoted(f'{axes[0]},{first}')}), "
    return HpstudyError(
        f"runs differ in more than their seed: {f'at {place} ' if len(same) else ''}"
        f"{first} is {shown(cells.loc[line, first])} on {line} and "
        f"{shown(cells.loc[other, first])} on {other} ({len(given):,} such lines; "
        f"{'; '.join(some)}). Take one value ({' '.join(where)}), {axis}make variants of them "
        f"(--variant-by {columns}), or average over them as over seeds (--average-over {columns})."
    )


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.,:/=+%@-]+", text) else f'"{text}"'


# --- the metric -----------------------------------------------------------------------------------


def settle_goal(sources: list[Source], goal: str | None, percent: bool) -> str:
    """Whether the metric is maximized or minimized, as the user, the study or its name says."""
    if goal is not None:
        return goal
    known = {source.cells.attrs.get("goals", {}).get(source.uses["metric"]) for source in sources}
    if len(known) == 1 and None not in known:
        return str(known.pop())
    for source in sources:
        column, values = source.uses["metric"], source.runs["metric"]
        kind, finite = names.kind(column), values[np.isfinite(values)]
        of, problem = f"{column} of {source.label}", ""
        if kind == "loss":
            problem = f"the metric {of} is a loss or an error by its name"
        elif not (kind == "accuracy" or percent or source.named.get("top1") == column):
            problem = f"the name of the metric {of} does not say which way is better"
        elif len(odd := finite[(finite < 0) | (finite > 100)]):
            raise _bad_metric(source, odd, "which no accuracy is", f"correct it, or {_GOALS}")
        elif kind != "accuracy" and not percent and 1 < finite.max() <= 10:
            problem = (
                f"{of} goes from {finite.min():g} to {finite.max():g}, which is too little for "
                "percentages and too much for fractions"
            )
        if problem:
            raise HpstudyError(f"{problem}; {_GOALS}.")
    return "maximize"


def _bad_metric(source: Source, odd: pd.Series, reason: str, remedy: str) -> HpstudyError:
    """Error about values of the metric, as they are written."""
    return bad_cells(source.texts("metric")[odd.index], source.uses["metric"], reason, remedy)


def settle_units(sources: list[Source], goal: str, percent: bool) -> tuple[bool, list[str]]:
    """Multiply fractions of accuracies by 100: metric, deviations, further accuracies.

    `percent` is whether the user says that they are fractions. Returns whether the metric is in
    percent, and the labels of the tables that had fractions.
    """
    written = [source.texts("metric").str.endswith("%") for source in sources]
    values = pd.concat([source.runs["metric"] for source in sources])
    values = values[np.isfinite(values)]
    usual = all(names.kind(source.uses["metric"]) in ("accuracy", "open") for source in sources)
    usual |= all("top1" in source.named for source in sources)
    accuracies = goal == "maximize" and usual and values.between(0, 100).all()
    if not accuracies and not percent and not any(signed.any() for signed in written):
        return False, []
    fractions = []
    for source, signed in zip(sources, written, strict=True):
        metric, signed = source.runs["metric"], signed[source.runs.index]
        bad = metric[np.isfinite(metric) & (signed | ~metric.between(0, 1))]
        if percent and len(bad):
            reason = "but with --percent must be a fraction from 0 to 1"
            raise _bad_metric(source, bad, reason, "leave out --percent")
        largest = metric[np.isfinite(metric) & ~signed].max()
        scaled = [name for name in ACCURACIES if name in source.runs]
        scaled = [name for name in scaled if percent or 0 < source.runs[name].max() <= 1]
        if percent or (accuracies and not signed.any() and 0 < largest <= 1):
            scaled += source.runs.columns.intersection(["metric", "std"]).tolist()
            fractions.append(source.label)
        elif accuracies:
            _check_mixture(source)
        # 100 x 0.931 is 93.10000000000001.
        source.runs[scaled] = (100 * source.runs[scaled]).round(9)
    return True, fractions


def _check_mixture(source: Source) -> None:
    """Refuse slips: a few values above 1 among fractions, a few fractions among percentages."""
    runs = source.runs
    known = runs["metric"][np.isfinite(runs["metric"]) & ~runs["diverged"]]
    if len(known) >= _MANY and 0.9 <= (known <= 1).mean() < 1:
        remedy = (
            "correct it if these are fractions, or add --goal maximize --roi with numbers in its "
            "own unit"
        )
        raise _bad_metric(source, known[known > 1], "among values of at most 1", remedy)
    best = known.max()
    alike = known[(known < 1) & (100 * known).between(0.75 * best, 1.1 * best)]
    if len(alike):
        remedy = "write fractions as percentages, and mark a run that diverged in a column diverged"
        raise _bad_metric(source, alike, f"among percentages up to {best:g}", remedy)
