"""Sweeps read from where a tool keeps them, without an export."""

import pandas as pd

from hpstudy.analysis.run_tables.mlflow import read_mlflow
from hpstudy.analysis.run_tables.optuna import read_optuna
from hpstudy.analysis.run_tables.ray import read_ray
from hpstudy.analysis.run_tables.wandb import read_wandb
from hpstudy.errors import HpstudyError, one_line

_TOOLS = {"optuna": read_optuna, "ray": read_ray, "mlflow": read_mlflow, "wandb": read_wandb}

_PLACES = {
    "optuna": "sqlite:///study.db#study",
    "ray": "~/ray_results/experiment",
    "mlflow": "mlruns#experiment",
    "wandb": "wandb",
}


def is_source(text: str) -> bool:
    """Whether `text` names a sweep where its tool keeps it, such as "ray:RESULTS_FOLDER"."""
    tool, colon, _ = text.partition(":")
    return bool(colon) and tool in _TOOLS


def read_source(text: str) -> pd.DataFrame:
    """Table of text, named and written as the tool's own CSV export.

    Parameters
    ----------
    text : str
        "optuna:STORAGE#study" (URL of a storage, or path of an SQLite or journal file),
        "ray:FOLDER" (an experiment's results), "mlflow:PATH#experiment" (`mlruns` folder or SQLite
        file) or "wandb:FOLDER" (the `wandb` folder).

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        dtype object, "" for blank, "nan" and "inf" for what was logged so. A row is a run; of Ray
        an iteration of a trial. Its index says which, as in "trial 3 of study 'dense'".

    Raises
    ------
    HpstudyError
        If there is no such place, study or experiment, it has no runs, or a file is damaged.
    """
    tool, _, place = text.partition(":")
    if not place:
        raise HpstudyError(f"{text} names no place; type for example '{text}{_PLACES[tool]}'.")
    try:
        return _TOOLS[tool](place)
    except (OSError, UnicodeError) as error:
        raise HpstudyError(f"{text} cannot be read ({one_line(error)}).") from None
