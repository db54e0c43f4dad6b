"""Sweeps of Optuna and MLflow, read where these tools keep them, and what all readers share."""

import io
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hpstudy.errors import HpstudyError, listed, nearest, one_line, shown

Row = dict[str, Any]


def as_text(rows: Iterable[tuple[str, Row]]) -> pd.DataFrame:
    """Table of text from labels of rows and their values; None and what is missing are blank."""
    cells, labels = [], []
    for label, row in rows:
        cells.append({name: "" if value is None else str(value) for name, value in row.items()})
        labels.append(label)
    return pd.DataFrame(cells, labels, dtype=object).fillna("")


def existing(text: str, place: str) -> Path:
    """Path of a place, with ~ for the home folder, if it exists."""
    path = Path(place.removeprefix("file://")).expanduser()
    if not path.exists():
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, names)
        hint = f" (did you mean {shown(str(path.with_name(close)))}?)" if close else ""
        raise HpstudyError(f"{text}: there is no {shown(place)}{hint}.")
    return path


def nothing(text: str, problem: str, places: Iterable[Path]) -> HpstudyError:
    """Error about a folder without runs, with the places that may be meant."""
    tool = text.partition(":")[0]
    hints = [f"'{tool}:{place}'" for place in dict.fromkeys(places) if place.exists()]
    return HpstudyError(f"{text}: {problem}{'; type ' if hints else ''}{listed(hints)}.")


def damaged(place: object, problem: object, remedy: str = "restore the file") -> HpstudyError:
    """Error about a file."""
    return HpstudyError(f"{place} is damaged: {problem}; {remedy}, or move it elsewhere.")


def _open_sqlite(text: str, path: Path, needed: str, tool: str) -> sqlite3.Connection:
    """Database that is only read, if it has a table that the tool's have."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    except sqlite3.Error as error:
        raise HpstudyError(
            f"{text}: {path} cannot be read as an SQLite database ({error})."
        ) from None
    if needed not in tables:
        database.close()
        raise HpstudyError(f"{text}: {path} is no database of {tool}: it has no table {needed!r}.")
    return database


def _chosen(text: str, kind: str, names: list[str]) -> str:
    """Study or experiment: the one that `text` names behind its #, or the only one."""
    place, _, name = text.partition("#")
    if name in names:
        return name
    if not names:
        raise HpstudyError(f"{text} has no {kind}.")
    if not name and len(names) == 1:
        return names[0]
    problem = f"has no {kind} {shown(name)}, but" if name else "has"
    close = nearest(name, names) or names[0]
    raise HpstudyError(f"{place} {problem} {listed(names)}; type for example '{place}#{close}'.")


# --- Optuna, which reads its storages itself ------------------------------------------------------


def read_optuna(text: str, place: str) -> pd.DataFrame:
    """Columns of `study.trials_dataframe()`; `attrs["goals"]` has the directions by column."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise HpstudyError(f"{text} is read by Optuna: pip install 'hpstudy[optuna]'") from None
    try:
        storage = _optuna_storage(text, place.partition("#")[0])
        name = _chosen(text, "study", sorted(optuna.get_all_study_names(storage)))
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.trials_dataframe()
        goals = [direction.name.lower() for direction in study.directions]
    except HpstudyError:
        raise
    # A damaged file, another version's tables and a missing driver all fail in their own way.
    except Exception as error:
        raise HpstudyError(
            f"{text} cannot be read by Optuna {optuna.__version__} ({one_line(error)}); export "
            "with study.trials_dataframe().to_csv('runs.csv') and give runs.csv"
        ) from None
    if trials.empty:
        raise HpstudyError(f"{text}: the study {name!r} has no trials.")
    export = io.StringIO(trials.to_csv(index=False))
    table = pd.read_csv(export, dtype=object, keep_default_na=False)
    table.index = pd.Index([f"trial {number} of study {name!r}" for number in table["number"]])
    values = [f"values_{k}" for k in range(len(goals))] if len(goals) > 1 else ["value"]
    table.attrs["goals"] = dict(zip(values, goals, strict=True))
    return table


def _optuna_storage(text: str, address: str) -> Any:
    import optuna

    if "://" in address and not address.startswith("sqlite"):
        return optuna.storages.RDBStorage(address)
    path = existing(text, address.removeprefix("sqlite:///").partition("?")[0])
    with path.open("rb") as file:
        start = file.read(1)
    if start == b"{":
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    _open_sqlite(text, path, "studies", "Optuna").close()
    # Read only: Optuna would add tables of its own version to the file.
    return optuna.storages.RDBStorage(f"sqlite:///{path.resolve().as_uri()}?mode=ro&uri=true")


# --- MLflow, from its folder or its SQLite file ---------------------------------------------------

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_COLUMNS = ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")
_LOGGED = {"metrics": "latest_metrics", "params": "params", "tags": "tags"}


def read_mlflow(text: str, place: str) -> pd.DataFrame:
    """Columns of `mlflow.search_runs()`, the latest run first, without deleted runs."""
    file = place.partition("#")[0].removeprefix("sqlite:///")
    if "://" in file.removeprefix("file://"):
        raise HpstudyError(
            f"{text}: only folders and SQLite files are read here; export with "
            "mlflow.search_runs().to_csv('runs.csv', index=False) and give runs.csv"
        )
    path = existing(text, file)
    experiments = _mlflow_folder(text, path) if path.is_dir() else _mlflow_sqlite(text, path)
    # Every store has an experiment "Default", which is mostly empty.
    filled = [name for name, runs in experiments.items() if runs]
    if not filled:
        raise HpstudyError(f"{text}: no experiment of it has runs ({listed(experiments)}).")
    name = _chosen(text, "experiment", list(experiments) if "#" in text else filled)
    runs = sorted(experiments[name], key=lambda run: (-(run["start_time"] or 0), run["run_id"]))
    if not runs:
        raise HpstudyError(f"{text}: the experiment {name!r} has no runs.")
    for run in runs:
        for key in ("start_time", "end_time"):
            run[key] = pd.Timestamp(run[key], unit="ms", tz="UTC") if run[key] else None
    return as_text((f"run {run['run_id']}", run) for run in runs)


def _mlflow_sqlite(text: str, path: Path) -> dict[str, list[Row]]:
    """Runs of a database by the names of their experiments."""
    active = "WHERE lifecycle_stage = 'active'"
    with closing(_open_sqlite(text, path, "latest_metrics", "MLflow")) as database:
        database.row_factory = sqlite3.Row
        try:
            names = database.execute(f"SELECT * FROM experiments {active}").fetchall()
            rows = database.execute(f"SELECT run_uuid AS run_id, * FROM runs {active}")
            runs = {row["run_id"]: {name: row[name] for name in _COLUMNS} for row in rows}
            for kind, table in _LOGGED.items():
                for row in database.execute(f"SELECT * FROM {table} ORDER BY key"):
                    value = row["value"]
                    if kind == "metrics" and (row["is_nan"] or abs(value) > 1.797e308):
                        # A database holds the largest number in place of an infinity.
                        value = np.nan if row["is_nan"] else np.copysign(np.inf, value)
                    runs.get(row["run_uuid"], {})[f"{kind}.{row['key']}"] = value
        except sqlite3.Error as error:
            raise damaged(path, error) from None
    return {
        row["name"]: [run for run in runs.values() if run["experiment_id"] == row["experiment_id"]]
        for row in names
    }


def _mlflow_folder(text: str, folder: Path) -> dict[str, list[Row]]:
    """Runs of an `mlruns` folder by the names of their experiments."""
    experiments: dict[str, list[Row]] = {}
    for path in sorted(folder.glob("*/meta.yaml")):
        experiment = _meta(path, "name", "lifecycle_stage")
        if experiment["lifecycle_stage"] != "active":
            continue
        runs = experiments.setdefault(experiment["name"], [])
        for meta_path in sorted(path.parent.glob("*/meta.yaml")):
            meta = _meta(meta_path, "run_id", "status", "lifecycle_stage")
            if meta["lifecycle_stage"] == "active":
                meta["status"] = _STATUS.get(meta["status"], meta["status"])
                runs.append({name: meta.get(name) for name in _COLUMNS} | _logged(meta_path.parent))
    if not experiments:
        inner = [folder / name for name in ("mlruns", "mlflow.db")]
        raise nothing(text, "there is no experiment of MLflow in this folder", inner)
    return experiments


def _meta(path: Path, *needed: str) -> Row:
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise damaged(path, one_line(error)) from None
    if not isinstance(meta, dict) or not set(needed) <= set(meta):
        raise damaged(path, f"it lacks one of {listed(needed)}")
    return meta


def _logged(run: Path) -> Row:
    """Metrics (at their last step), params and tags of a run's folder."""
    logged: Row = {}
    for kind in _LOGGED:
        # A slash in a name has become a folder.
        for path in sorted(path for path in (run / kind).rglob("*") if path.is_file()):
            value: str | float = path.read_text(encoding="utf-8")
            if kind == "metrics":
                # A line holds time, value and step, and what newer versions add.
                lines = [line.split()[:3] for line in str(value).splitlines()]
                try:
                    value = max((int(step), int(time), float(x)) for time, x, step in lines)[2]
                except ValueError:
                    raise damaged(path, "a line is not 'time value step'") from None
            logged[f"{kind}.{path.relative_to(run / kind).as_posix()}"] = value
    return logged
