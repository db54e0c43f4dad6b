"""Sweeps of Optuna and Ray Tune where these keep them, and what the readers of all tools share."""

import io
import json
import sqlite3
from collections.abc import Iterable, Mapping
from csv import DictReader
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.errors import HpstudyError, listed, nearest, one_line, shown


def flat(values: dict[str, Any], joint: str = ".", prefix: str = "") -> dict[str, Any]:
    """Values of a nested mapping by their path; `joint` stands between the names of a path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, joint, f"{prefix}{name}{joint}")
        else:
            found[f"{prefix}{name}"] = value
    return found


def as_text(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Table of text from labels of rows and their values; None and what is missing are blank."""
    rows = list(rows)
    cells = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for _, row in rows
    ]
    return pd.DataFrame(cells, index=[label for label, _ in rows], dtype=object).fillna("")


def existing(text: str, place: str) -> Path:
    """Path of a place, with ~ for the home folder, if it exists."""
    path = Path(place.removeprefix("file://")).expanduser()
    if not path.exists():
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, names)
        hint = f" (did you mean {shown(str(path.with_name(close)))}?)" if close else ""
        raise HpstudyError(f"{text}: there is no {shown(place)}{hint}.")
    return path


def open_sqlite(text: str, path: Path, needed: str, tool: str) -> sqlite3.Connection:
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


def chosen(text: str, kind: str, names: list[str]) -> str:
    """Study or experiment: the one that `text` names behind its #, or the only one."""
    place, _, name = text.partition("#")
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    if not names:
        raise HpstudyError(f"{text} has no {kind}.")
    problem = f"has no {kind} {shown(name)}, but" if name else "has"
    close = nearest(name, names) or names[0]
    raise HpstudyError(f"{place} {problem} {listed(names)}; type for example '{place}#{close}'.")


def damaged(path: Path, problem: object, remedy: str = "restore the file") -> HpstudyError:
    """Error about a file that cannot be read."""
    return HpstudyError(f"{path} is damaged: {problem}; {remedy}, or move it elsewhere.")


# --- Optuna, which reads its storages itself ------------------------------------------------------


def read_optuna(text: str, place: str) -> pd.DataFrame:
    """Columns of `study.trials_dataframe()`; `attrs["goals"]` has the directions by column."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise HpstudyError(f"{text} is read by Optuna: pip install 'hpstudy[optuna]'") from None
    try:
        storage = _optuna_storage(text, place.partition("#")[0])
        name = chosen(text, "study", sorted(optuna.get_all_study_names(storage)))
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
        journal = file.read(1) == b"{"
    if journal:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    open_sqlite(text, path, "studies", "Optuna").close()
    # Read only: Optuna would add tables of its own version to the file.
    return optuna.storages.RDBStorage(f"sqlite:///{path.resolve().as_uri()}?mode=ro&uri=true")


# --- Ray Tune, from the files in its results folder -----------------------------------------------


def read_ray(text: str, place: str) -> pd.DataFrame:
    """Columns of Ray's own data frames, and status; a trial without a report is a row too."""
    folder = existing(text, place)
    trials = _ray_trials(folder)
    reports = _ray_reports(folder)
    if not reports and not trials:
        inner = sorted(folder.glob("*/*/result.json"))
        hint = ""
        if (folder / "result.json").exists():
            hint = f"; it is the folder of one trial: type 'ray:{folder.parent}'"
        elif inner:
            names = listed(dict.fromkeys(path.parents[1].name for path in inner))
            hint = f"; it holds experiments ({names}): type 'ray:{inner[0].parents[1]}'"
        raise HpstudyError(f"{text}: no folder in it holds a result.json{hint}.")
    reported = {report["trial_id"] for report in reports}
    reports += [
        {"trial_id": trial, "config": state.get("config", {})}
        for trial, state in trials.items()
        if trial not in reported
    ]
    rows = []
    for report in reports:
        label = f"trial {report['trial_id']}"
        if "training_iteration" in report:
            label = f"iteration {report['training_iteration']} of {label}"
        state = trials.get(report["trial_id"], {})
        cells = flat(report, "/") | {key: state[key] for key in ("status",) if key in state}
        # Ray writes a NaN of numpy's float32 as the word null.
        rows.append((label, {key: "nan" if x == "null" else x for key, x in cells.items()}))
    return as_text(rows)


def _ray_trials(folder: Path) -> dict[str, dict[str, Any]]:
    """Trials of an experiment by their ids, with config and status."""
    trials = {}
    for path in sorted(folder.glob("experiment_state-*.json")):
        for trial in _json(path, path.read_text(encoding="utf-8")).get("trial_data") or []:
            # Each is JSON in JSON, with its results.
            state = _json(path, trial[0])
            trials[state.get("trial_id", "")] = state
    return trials


def _ray_reports(folder: Path) -> list[dict[str, Any]]:
    """Reports of all trials, each with its trial_id and config."""
    reports = []
    results = [folder.glob(f"*/{name}") for name in ("result.json", "progress.csv")]
    for trial in sorted({path.parent for paths in results for path in paths}):
        path, params = trial / "result.json", trial / "params.json"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [_json(path, line, n) for n, line in enumerate(lines, 1) if line.strip()]
        else:
            text = (trial / "progress.csv").read_text(encoding="utf-8")
            found = list(DictReader(io.StringIO(text, newline="")))
        config = _json(params, params.read_text(encoding="utf-8")) if params.exists() else {}
        reports += [{"trial_id": trial.name, "config": config} | report for report in found]
    return reports


def _json(path: Path, text: str, line: int = 0) -> dict[str, Any]:
    """JSON object of a file, or of a line of it."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    if line:
        raise HpstudyError(
            f"line {line} of {path} is cut off or damaged: {shown(text)} is no JSON object; remove "
            "the line, or move the trial's folder elsewhere to leave it out"
        )
    raise damaged(path, "it is no JSON object")
