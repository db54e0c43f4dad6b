"""Trials of a Ray Tune experiment, read without Ray from the files in its results folder."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.run_tables.source_rows import damaged, existing, flat, text_table
from hpstudy.errors import HpstudyError, listed, shown

_RESULTS = ("result.json", "progress.csv")


def read_ray(place: str) -> pd.DataFrame:
    """Reports of the trials of an experiment, one row each, named as in Ray's own data frames.

    Parameters
    ----------
    place : str
        Folder of the experiment, which holds a folder per trial.

    Returns
    -------
    DataFrame of text of shape (n_reports, n_columns)
        What was reported, with trial_id and training_iteration; config/NAME; a slash joins nested
        names. status is the trial's (TERMINATED, ERROR, ...) where the experiment's state is
        there. A trial without a report has one row of trial_id, config and status.

    Raises
    ------
    HpstudyError
        If there are no trials, or a file is damaged.
    """
    typed = f"ray:{place}"
    folder = existing(place, typed)
    states = _states(folder)
    paths = sorted({one.parent for name in _RESULTS for one in folder.glob(f"*/{name}")})
    if not paths and not states:
        raise HpstudyError(f"{typed}: no folder in it holds a result.json{_elsewhere(folder)}.")
    reports = [report for path in paths for report in _reports(path)]
    reported = {report["trial_id"] for report in reports}
    reports += [
        {"trial_id": trial_id, "config": trial.get("config", {})}
        for trial_id, trial in states.items()
        if trial_id not in reported
    ]
    rows = []
    for report in reports:
        trial_id = report["trial_id"]
        label = f"trial {trial_id}"
        if "training_iteration" in report:
            label = f"iteration {report['training_iteration']} of {label}"
        cells = flat(report, "/")
        if "status" in states.get(trial_id, {}):
            cells["status"] = states[trial_id]["status"]
        # Ray writes a NaN of numpy's float32 as the word null.
        rows.append((label, {k: "nan" if v == "null" else v for k, v in cells.items()}))
    return text_table(rows)


def _elsewhere(folder: Path) -> str:
    if (folder / _RESULTS[0]).exists():
        return f"; it is the folder of one trial: type 'ray:{folder.parent}'"
    found = sorted({one.parents[1] for one in folder.glob(f"*/*/{_RESULTS[0]}")})
    names = listed(one.name for one in found)
    return f"; it holds experiments ({names}): type 'ray:{found[0]}'" if found else ""


def _states(folder: Path) -> dict[str, dict[str, Any]]:
    """What the experiment knows of its trials, by their ids."""
    trials = {}
    for path in sorted(folder.glob("experiment_state-*.json")):
        state = _json(path)
        # Until Ray 2.4 the trials were called checkpoints; each is JSON in JSON, beside others.
        for one in state.get("trial_data") or state.get("checkpoints") or []:
            one = one[0] if isinstance(one, list) else one
            trial = _json(path, one) if isinstance(one, str) else one
            if "trial_id" not in trial:
                raise damaged(path, "a trial in it has no trial_id", "restore or remove the file")
            trials[trial["trial_id"]] = trial
    return trials


def _reports(trial: Path) -> list[dict[str, Any]]:
    """What a trial reported, each with its trial_id and config."""
    path, table = (trial / name for name in _RESULTS)
    if path.exists():
        lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        found = [_json(path, line, number) for number, line in lines if line.strip()]
    else:
        with table.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
    params = trial / "params.json"
    config = _json(params) if params.exists() else {}
    return [{"trial_id": trial.name, "config": config} | report for report in found]


def _json(path: Path, text: str | None = None, line: int = 0) -> dict[str, Any]:
    """JSON object of a file, or of a line of it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8") if text is None else text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    if line:
        raise HpstudyError(
            f"line {line} of {path} is cut off or damaged: {shown(text)} is no JSON object; remove "
            "the line, or move the trial's folder elsewhere to leave it out"
        )
    raise damaged(path, "it is no JSON object", "restore or remove the file")
