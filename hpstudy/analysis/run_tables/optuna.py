"""Trials of a study in any storage of Optuna, which reads it itself."""

import io
from types import ModuleType
from typing import Any

import pandas as pd

from hpstudy.analysis.run_tables.source_rows import chosen, existing, open_sqlite
from hpstudy.errors import HpstudyError, one_line


def read_optuna(text: str) -> pd.DataFrame:
    """Trials of a study, one row each, with the columns of `study.trials_dataframe()`.

    Parameters
    ----------
    text : str
        URL of a storage such as sqlite:///study.db, or path of an SQLite or journal file, and
        behind a # the study's name, which may be left out where there is only one.

    Returns
    -------
    DataFrame of text of shape (n_trials, n_columns)
        number, value (or values_0, ...), datetime_start, datetime_complete, duration, params_*,
        user_attrs_*, system_attrs_* and state. Its `attrs["goals"]` has the study's "maximize" or
        "minimize" by the column of the value.

    Raises
    ------
    HpstudyError
        If Optuna is missing, there is no such storage or study, it has no trials, or it cannot be
        read.
    """
    typed = f"optuna:{text}"
    address, _, name = text.partition("#")
    try:
        import optuna
    except ModuleNotFoundError:
        raise HpstudyError(f"{typed} is read by Optuna: pip install 'hpstudy[optuna]'") from None
    try:
        storage = _storage(optuna, address, typed)
        name = chosen("study", name, sorted(optuna.get_all_study_names(storage)), typed)
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.trials_dataframe()
        goals = [direction.name.lower() for direction in study.directions]
    except HpstudyError:
        raise
    # A damaged file, another version's tables and a missing driver all fail in their own way.
    except Exception as error:
        raise HpstudyError(
            f"{typed} cannot be read by Optuna {optuna.__version__} ({one_line(error)}); export "
            "with study.trials_dataframe().to_csv('runs.csv') and give runs.csv"
        ) from None
    if trials.empty:
        raise HpstudyError(f"{typed}: the study {name!r} has no trials.")
    export = io.StringIO(trials.to_csv(index=False))
    table = pd.read_csv(export, dtype=object, keep_default_na=False)
    table.index = [f"trial {number} of study {name!r}" for number in table["number"]]
    several = len(goals) > 1
    table.attrs["goals"] = {
        f"values_{k}" if several else "value": goal for k, goal in enumerate(goals)
    }
    return table


def _storage(optuna: ModuleType, address: str, typed: str) -> Any:
    if "://" in address and not address.startswith("sqlite"):
        return optuna.storages.RDBStorage(address)
    url, sqlite, file = address.partition("sqlite:///")
    path = existing(file.partition("?")[0] if sqlite else url, typed)
    with path.open("rb") as file:
        journal = file.read(1) == b"{"
    if journal:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    open_sqlite(path, typed, "studies", "Optuna").close()
    # Read only: Optuna would add tables of its own version to the file.
    return optuna.storages.RDBStorage(f"sqlite:///{path.resolve().as_uri()}?mode=ro&uri=true")
