"""Runs of an MLflow store, read without MLflow from its folder or its SQLite file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hpstudy.analysis.run_tables.sources import as_text, chosen, damaged, existing, open_sqlite
from hpstudy.errors import HpstudyError, listed, one_line

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_COLUMNS = ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")


def read_mlflow(text: str, place: str) -> pd.DataFrame:
    """Columns of `mlflow.search_runs()`, the latest run first, without deleted runs."""
    file = place.partition("#")[0].removeprefix("sqlite:///")
    if "://" in file.removeprefix("file://"):
        raise HpstudyError(
            f"{text}: only folders and SQLite files are read here; export with "
            "mlflow.search_runs().to_csv('runs.csv', index=False) and give runs.csv"
        )
    path = existing(text, file)
    experiments = _folder(text, path) if path.is_dir() else _sqlite(text, path)
    # Every store has an experiment "Default", which is mostly empty.
    filled = [name for name, runs in experiments.items() if runs]
    if not filled:
        raise HpstudyError(f"{text}: no experiment of it has runs ({listed(experiments)}).")
    name = chosen(text, "experiment", list(experiments) if "#" in text else filled)
    runs = sorted(experiments[name], key=lambda run: (-(run["start_time"] or 0), run["run_id"]))
    if not runs:
        raise HpstudyError(f"{text}: the experiment {name!r} has no runs.")
    for run in runs:
        for key in ("start_time", "end_time"):
            run[key] = pd.Timestamp(run[key], unit="ms", tz="UTC") if run[key] else None
    return as_text((f"run {run['run_id']}", run) for run in runs)


def _sqlite(text: str, path: Path) -> dict[str, list[dict[str, Any]]]:
    """Runs of a database by the names of their experiments."""
    active = "lifecycle_stage = 'active'"
    with closing(open_sqlite(text, path, "latest_metrics", "MLflow")) as database:
        database.row_factory = sqlite3.Row
        try:
            found = database.execute(f"SELECT * FROM experiments WHERE {active}").fetchall()
            rows = database.execute(f"SELECT run_uuid AS run_id, * FROM runs WHERE {active}")
            runs = {row["run_id"]: {name: row[name] for name in _COLUMNS} for row in rows}
            for kind, table in (
                ("metrics", "latest_metrics"),
                ("params", "params"),
                ("tags", "tags"),
            ):
                for row in database.execute(f"SELECT * FROM {table} ORDER BY key"):
                    value = row["value"]
                    if kind == "metrics" and (row["is_nan"] or abs(value) > 1.797e308):
                        # A database holds the largest number in place of an infinity.
                        value = np.nan if row["is_nan"] else np.copysign(np.inf, value)
                    runs.get(row["run_uuid"], {})[f"{kind}.{row['key']}"] = value
        except sqlite3.Error as error:
            raise damaged(path, error) from None
    return {
        experiment["name"]: [
            run for run in runs.values() if run["experiment_id"] == experiment["experiment_id"]
        ]
        for experiment in found
    }


def _folder(text: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Runs of an `mlruns` folder by the names of their experiments."""
    experiments: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*/meta.yaml")):
        experiment = _meta(path, "name", "lifecycle_stage")
        if experiment["lifecycle_stage"] != "active":
            continue
        runs = experiments.setdefault(experiment["name"], [])
        for meta_path in sorted(path.parent.glob("*/meta.yaml")):
            meta = _meta(meta_path, "run_id", "status", "lifecycle_stage")
            if meta["lifecycle_stage"] == "active":
                meta["status"] = _STATUS.get(meta["status"], meta["status"])
                runs.append({name: meta.get(name) for name in _COLUMNS} | _logged(meta_path))
    if not experiments:
        inner = next((name for name in ("mlruns", "mlflow.db") if (folder / name).exists()), None)
        hint = f"; type 'mlflow:{folder / inner}'" if inner else ""
        raise HpstudyError(f"{text}: there is no experiment of MLflow in this folder{hint}.")
    return experiments


def _meta(path: Path, *needed: str) -> dict[str, Any]:
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise damaged(path, one_line(error)) from None
    if not isinstance(meta, dict) or not set(needed) <= set(meta):
        raise damaged(path, f"it lacks one of {listed(needed)}")
    return meta


def _logged(meta_path: Path) -> dict[str, Any]:
    """Metrics (at their last step), params and tags of a run."""
    logged: dict[str, Any] = {}
    for kind in ("metrics", "params", "tags"):
        # A slash in a name has become a folder.
        folder = meta_path.parent / kind
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            value: str | float = path.read_text(encoding="utf-8")
            if kind == "metrics":
                # A line holds time, value and step, and what newer versions add.
                lines = [line.split()[:3] for line in str(value).splitlines()]
                try:
                    value = max((int(step), int(time), float(x)) for time, x, step in lines)[2]
                except ValueError:
                    raise damaged(path, "a line is not 'time value step'") from None
            logged[f"{kind}.{path.relative_to(folder).as_posix()}"] = value
    return logged
