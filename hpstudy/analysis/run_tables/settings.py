"""What a run is: nothing but the seed may differ between runs that are averaged."""

import re

import pandas as pd

from hpstudy.analysis.landscape import unify_settings
from hpstudy.analysis.run_tables import names as names
from hpstudy.errors import HpstudyError, listed, shown

# A column without a telling name that has more values than this is no list of choices.
_MOST_CHOICES = 10
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d+ days|\d+:\d\d")


def settings_of(table: pd.DataFrame, axes: tuple[str, ...]) -> pd.Series:
    """Number of the variant and grid point of each run, equal where only floats differ."""
    keys = [table["variant"], *(unify_settings(table[axis]) for axis in axes)]
    return table.groupby([key.to_numpy() for key in keys]).ngroup()


def check_settings(
    table: pd.DataFrame, cells: pd.DataFrame, axes: tuple[str, ...], seeds: pd.DataFrame
) -> list[str]:
    """Refuse runs of one setting that differ in more than their seed.

    Parameters
    ----------
    table : DataFrame
        Runs with "variant" and the axes.
    cells : DataFrame of str
        Of the same runs: the columns that are not used.
    axes : tuple of str
    seeds : DataFrame of str
        Of the same runs: the columns that may tell repeats apart.

    Returns
    -------
    list of str
        Hyperparameters that vary from setting to setting beside the axes.

    Raises
    ------
    HpstudyError
        Names the columns, their values, and the three ways out.
    """
    settings = settings_of(table, axes)
    found, loose = {}, []
    for column in cells:
        given = cells.loc[cells[column] != "", column]
        if given.nunique() < 2:
            continue
        given = _same_numbers(given)
        where = settings[given.index]
        within = given.groupby(where).nunique().gt(1)
        if within.any():
            if _is_choice(column, given, where, seeds):
                found[column] = given[where.map(within)]
        elif names.says_config(column) and not names.is_record(column, _is_numeric(given)):
            variants = table.loc[given.index, "variant"]
            if given.groupby(variants).nunique().max() < 2 or _tied(given, table, axes):
                continue
            if given.nunique() <= min(_MOST_CHOICES, len(given) / 2):
                found[column] = given
            else:
                loose.append(column)
    if found:
        raise _refusal(found, table, cells, settings, axes)
    return loose


def _refusal(
    found: dict[str, pd.Series],
    table: pd.DataFrame,
    cells: pd.DataFrame,
    settings: pd.Series,
    axes: tuple[str, ...],
) -> HpstudyError:
    columns = list(found)
    first, given = columns[0], next(iter(found.values()))
    line = given.index[0]
    same = given[(settings[given.index] == settings[line]) & (given != given.iloc[0])]
    other = same.index[0] if len(same) else given[given != given.iloc[0]].index[0]
    place = ", ".join(f"{axis} {table.loc[line, axis]:g}" for axis in axes)
    verb = f"at {place} " if len(same) else ""
    values = {
        column: list(dict.fromkeys(cells.loc[one.index, column])) for column, one in found.items()
    }
    kinds = "; ".join(f"{column}: {listed(_few(values[column]))}" for column in columns)
    where = " ".join(f"--where {_word(f'{column}={values[column][0]}')}" for column in columns)
    some = _word(",".join(columns))
    axis = ""
    if len(axes) == 1 == len(found) and _is_numeric(cells.loc[given.index, first]):
        axis = f"make it an axis (--axes {_word(f'{axes[0]},{first}')}), "
    return HpstudyError(
        f"runs differ in more than their seed: {verb}{first} is {shown(cells.loc[line, first])} on "
        f"{line} and {shown(cells.loc[other, first])} on {other} ({len(given):,} such lines; "
        f"{kinds}). Take one value ({where}), {axis}make variants of them (--variant-by {some}), "
        f"or average over them as over seeds (--average-over {some})."
    )


def _few(values: list[str]) -> list[str]:
    return values if len(values) <= 6 else [*values[:6], f"and {len(values) - 6} more"]


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w.,:/=+%@-]+", text) else f'"{text}"'


def _is_numeric(given: pd.Series) -> bool:
    return bool(pd.to_numeric(given, errors="coerce").notna().all())


def _same_numbers(given: pd.Series) -> pd.Series:
    """Cells, with numbers as numbers, so that 0.9 and 0.90 are one value."""
    values = pd.to_numeric(given, errors="coerce")
    return values if values.notna().all() else given


def _is_choice(column: str, given: pd.Series, settings: pd.Series, seeds: pd.DataFrame) -> bool:
    """Whether a column that varies within a setting is something that was chosen."""
    numeric, number = _is_numeric(given), given.nunique()
    if names.is_record(column, numeric):
        return False
    told = names.says_config(column)
    if not numeric and number > 0.9 * len(given) and not (told and number <= _MOST_CHOICES):
        return False
    if told:
        return True
    if given.astype(str).map(lambda cell: bool(_DATE.match(cell))).all():
        return False
    if any(_one_to_one(given, seeds.loc[given.index, one]) for one in seeds):
        return False
    repeated = given.groupby(settings).nunique().max() < number or (
        settings.groupby(given).nunique().max() > 1
    )
    most = max(_MOST_CHOICES, settings.value_counts().max()) if numeric else number
    return bool(repeated and number <= min(most, len(given) / 2))


def _one_to_one(given: pd.Series, seeds: pd.Series) -> bool:
    pairs = pd.DataFrame({"value": given, "seed": seeds}).drop_duplicates()
    return len(pairs) == pairs["value"].nunique() == pairs["seed"].nunique()


def _tied(given: pd.Series, table: pd.DataFrame, axes: tuple[str, ...]) -> bool:
    """Whether a column goes with an axis, as a batch size that grows with the learning rate."""
    for axis in axes:
        at = unify_settings(table.loc[given.index, axis])
        if at.nunique() <= len(at) / 2 and given.groupby(at).nunique().max() == 1:
            return True
    return False
