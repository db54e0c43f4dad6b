"""Runs of an MLflow store, read without MLflow from its folder or its SQLite file."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hpstudy.analysis.run_tables.source_rows import (
    chosen,
    damaged,
    existing,
    open_sqlite,
    text_table,
)
from hpstudy.errors import HpstudyError, listed, one_line

# Numbers by which meta.yaml says how a run ended.
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_COLUMNS = ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")
_KINDS = ("metrics", "params", "tags")
_Run = dict[str, Any]


def read_mlflow(text: str) -> pd.DataFrame:
    """Runs of an experiment, one row each, with the columns of `mlflow.search_runs()`.

    Parameters
    ----------
    text : str
        Folder `mlruns`, or SQLite file (also as sqlite:///FILE), and behind a # the experiment's
        name, which may be left out where only one has runs.

    Returns
    -------
    DataFrame of text of shape (n_runs, n_columns)
        run_id, experiment_id, status, artifact_uri, start_time and end_time (UTC), metrics.*
        (what was logged last), params.* and tags.*, the latest run first. Deleted runs are not
        among them.

    Raises
    ------
    HpstudyError
        If there is no such store or experiment, it has no runs, or a file is damaged.
    """
    typed = f"mlflow:{text}"
    place, _, name = text.partition("#")
    file = place.removeprefix("sqlite:///")
    if "://" in file.removeprefix("file://"):
        raise HpstudyError(
            f"{typed}: only folders and SQLite files are read here; export with "
            "mlflow.search_runs().to_csv('runs.csv', index=False) and give runs.csv"
        )
    path = existing(file, typed)
    experiments = _folders(path, typed) if path.is_dir() else _database(path, typed)
    # Every store has an experiment "Default", which is mostly empty.
    if not any(experiments.values()):
        raise HpstudyError(f"{typed}: no experiment of it has runs ({listed(experiments)}).")
    used = experiments if name else {one: runs for one, runs in experiments.items() if runs}
    name = chosen("experiment", name, list(used), typed)
    runs = sorted(used[name], key=lambda run: (-(run["start_time"] or 0), run["run_id"]))
    if not runs:
        raise HpstudyError(f"{typed}: the experiment {name!r} has no runs.")
    return text_table((f"run {run['run_id']}", _row(run)) for run in runs)


def _row(run: _Run) -> dict[str, Any]:
    row = {name: run[name] for name in _COLUMNS}
    for name in ("start_time", "end_time"):
        row[name] = pd.Timestamp(run[name], unit="ms", tz="UTC") if run[name] else None
    for kind in _KINDS:
        row |= {f"{kind}.{name}": value for name, value in run[kind].items()}
    return row


# --- SQLite ---------------------------------------------------------------------------------------


def _database(path: Path, typed: str) -> dict[str, list[_Run]]:
    with closing(open_sqlite(path, typed, "latest_metrics", "MLflow")) as database:
        database.row_factory = sqlite3.Row
        try:
            return _queried(database)
        except sqlite3.Error as error:
            raise damaged(path, error, "restore the file") from None


def _queried(database: sqlite3.Connection) -> dict[str, list[_Run]]:
    active = "lifecycle_stage = 'active'"
    names = dict(
        tuple(row)
        for row in database.execute(f"SELECT experiment_id, name FROM experiments WHERE {active}")
    )
    runs: dict[str, _Run] = {}
    experiments: dict[str, list[_Run]] = {name: [] for name in names.values()}
    for row in database.execute(f"SELECT run_uuid AS run_id, * FROM runs WHERE {active}"):
        if row["experiment_id"] in names:
            run: _Run = {name: row[name] for name in _COLUMNS} | {kind: {} for kind in _KINDS}
            runs[run["run_id"]] = run
            experiments[names[row["experiment_id"]]].append(run)
    for kind in _KINDS:
        table = "latest_metrics" if kind == "metrics" else kind
        for row in database.execute(f"SELECT * FROM {table} ORDER BY key"):
            if row["run_uuid"] in runs:
                value = row["value"]
                if kind == "metrics":
                    value = math.nan if row["is_nan"] else _unbounded(value)
                runs[row["run_uuid"]][kind][row["key"]] = value
    return experiments


def _unbounded(value: float) -> float:
    """Value as it was logged: a database holds the largest number in place of an infinity."""
    return math.copysign(math.inf, value) if abs(value) > 1.797e308 else value


# --- folder ---------------------------------------------------------------------------------------


def _folders(folder: Path, typed: str) -> dict[str, list[_Run]]:
    experiments: dict[str, list[_Run]] = {}
    for path in sorted(folder.glob("*/meta.yaml")):
        experiment = _meta(path, "name", "lifecycle_stage")
        if experiment["lifecycle_stage"] == "active":
            experiments[experiment["name"]] = list(_runs(path.parent))
    if not experiments:
        inner = next((one for one in ("mlruns", "mlflow.db") if (folder / one).exists()), None)
        hint = f"; type 'mlflow:{folder / inner}'" if inner else ""
        raise HpstudyError(f"{typed}: there is no experiment of MLflow in this folder{hint}.")
    return experiments


def _runs(experiment: Path) -> Iterator[_Run]:
    for path in sorted(experiment.glob("*/meta.yaml")):
        meta = _meta(path, "run_id", "status", "lifecycle_stage")
        if meta["lifecycle_stage"] != "active":
            continue
        run: _Run = {name: meta.get(name) for name in _COLUMNS}
        run["status"] = _STATUS.get(meta["status"], meta["status"])
        for kind in _KINDS:
            folder = path.parent / kind
            # A slash in a name has become a folder.
            files = sorted(one for one in folder.rglob("*") if one.is_file())
            run[kind] = {
                one.relative_to(folder).as_posix(): _latest(one)
                if kind == "metrics"
                else one.read_text(encoding="utf-8")
                for one in files
            }
        yield run


def _meta(path: Path, *needed: str) -> dict[str, Any]:
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise damaged(path, one_line(error), "restore the file or remove its folder") from None
    if not isinstance(meta, dict) or not set(needed) <= set(meta):
        raise damaged(
            path, f"it lacks one of {listed(needed)}", "restore the file or remove its folder"
        )
    return meta


def _latest(path: Path) -> float:
    """Value at the last step; a line holds time, value and step, and what newer versions add."""
    try:
        lines = [line.split()[:3] for line in path.read_text(encoding="utf-8").splitlines()]
        logged = [((int(step), int(time)), float(value)) for time, value, step in lines]
        return max(logged, key=lambda one: one[0])[1]
    except ValueError:
        raise damaged(path, "a line is not 'time value step'", "restore or remove it") from None
