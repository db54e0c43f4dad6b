"""Sweeps read where tracking tools keep them: Ray Tune's and W&B's logs here, and by any tool."""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from csv import DictReader
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.run_tables.trackers import (
    Row,
    as_text,
    damaged,
    existing,
    nothing,
    read_mlflow,
    read_optuna,
)
from hpstudy.errors import HpstudyError, one_line, shown


def _flat(values: Row, joint: str, prefix: str = "") -> Row:
    """Values of a nested mapping by their path; `joint` stands between the names of a path."""
    paths: Row = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        nested = isinstance(value, dict) and value
        paths |= _flat(value, joint, f"{path}{joint}") if nested else {path: value}
    return paths


# --- Ray Tune, from the files in its results folder -----------------------------------------------


def read_ray(text: str, place: str) -> pd.DataFrame:
    """Columns of Ray's own data frames, and status; a trial without a report is a row too."""
    folder = existing(text, place)
    trials: dict[str, Row] = {}
    for path in sorted(folder.glob("experiment_state-*.json")):
        # Each trial is JSON in JSON, with its results.
        for trial, *_ in _json(path, path.read_text(encoding="utf-8")).get("trial_data") or []:
            state = _json(path, trial)
            trials[state.get("trial_id", "")] = state
    files = [*folder.glob("*/result.json"), *folder.glob("*/progress.csv")]
    folders = sorted({path.parent for path in files})
    reports = [report for trial in folders for report in _ray_reports(trial)]
    if not reports and not trials:
        above = [folder.parent] if (folder / "result.json").exists() else []
        inner = [path.parents[1] for path in sorted(folder.glob("*/*/result.json"))]
        raise nothing(text, "no folder in it holds a result.json", above or inner)
    reported = {report["trial_id"] for report in reports}
    for name, state in trials.items():
        if name not in reported:
            reports.append({"trial_id": name, "config": state.get("config", {})})
    rows = []
    for report in reports:
        label = f"trial {report['trial_id']}"
        if "training_iteration" in report:
            label = f"iteration {report['training_iteration']} of {label}"
        state = trials.get(report["trial_id"], {})
        row = _flat(report, "/") | {key: state[key] for key in state.keys() & {"status"}}
        # Ray writes a NaN of numpy's float32 as the word null.
        rows.append((label, {key: "nan" if x == "null" else x for key, x in row.items()}))
    return as_text(rows)


def _ray_reports(trial: Path) -> list[Row]:
    """Reports of a trial, from its folder, each with its trial_id and config."""
    path, params = trial / "result.json", trial / "params.json"
    reports: list[Row]
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        reports = [_json(path, line, n) for n, line in enumerate(lines, 1) if line.strip()]
    else:
        text = (trial / "progress.csv").read_text(encoding="utf-8")
        reports = list(DictReader(io.StringIO(text, newline="")))
    config = _json(params, params.read_text(encoding="utf-8")) if params.exists() else {}
    return [{"trial_id": trial.name, "config": config} | report for report in reports]


def _json(path: Path, text: str, line: int = 0) -> Row:
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    problem = f"{shown(text)} is no JSON object"
    if line:
        raise damaged(f"line {line} of {path}", problem, "remove the line")
    raise damaged(path, problem)


# --- W&B, without wandb from its log files --------------------------------------------------------

# A .wandb file is a log in LevelDB's format: blocks of pieces, and before each piece its checksum,
# its length and its kind. One or several pieces are a record, which is a protocol buffer.
_HEADER, _BLOCK, _PIECE = b":W&B\xe1\xbe\x00", 32768, struct.Struct("<IHB")
_WHOLE, _FIRST, _LAST = 1, 2, 4
# Fields of wandb's messages by their number: of Record, RunRecord, and of the records below it.
_SUMMARY, _CONFIG, _RUN, _EXIT = 3, 5, 17, 18
_RUN_CONFIG, _RUN_SUMMARY = 4, 5
_COLUMNS = {"Name": 8, "Group": 6, "Job Type": 7, "Tags": 10, "Sweep": 12}
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_EXIT_CODE = 1

_Message = dict[int, list[Any]]


def read_wandb(text: str, place: str) -> pd.DataFrame:
    """Runs of a `wandb` folder, with the columns of W&B's own CSV export.

    A run whose end was not recorded is "crashed". A dot joins nested names, and a name of the
    summary that the config has too becomes "summary.NAME".
    """
    folder = existing(text, place)
    folders = [path for path in folder.glob("*run-*") if path.is_dir()]
    if not folders:
        problem = "there is no folder offline-run-* or run-* in it"
        raise nothing(text, problem, [folder / "wandb"])
    # Name -> columns, config, summary.
    runs: dict[str, tuple[Row, Row, Row]] = {}
    # A run that was resumed is in several folders, whose names start with when they were made.
    for path in sorted(folders, key=lambda path: path.name.removeprefix("offline-")):
        files = list(path.glob("run-*.wandb"))
        if not files:
            raise HpstudyError(
                f"{text}: {path.name} holds no run-*.wandb file; move the folder elsewhere"
            )
        for file in files:
            _read(file, *runs.setdefault(file.stem.removeprefix("run-"), ({}, {}, {})))
    fixed = {"ID", "State", *_COLUMNS}
    taken = fixed.union(*(_flat(config, ".") for _, config, _ in runs.values()))
    rows = []
    for name, (columns, *logged) in runs.items():
        row = {"ID": name} | columns
        for kind, values, others in zip(("config", "summary"), logged, (fixed, taken), strict=True):
            for key, value in _flat(values, ".").items():
                row[f"{kind}.{key}" if key in others else key] = value
        rows.append((f"run {name}", row))
    return as_text(rows)


def _read(path: Path, columns: Row, config: Row, summary: Row) -> None:
    # The record of its end is missing where the process was killed.
    columns["State"] = "crashed"
    for record in _records(path):
        _update(config, record, _CONFIG)
        _update(summary, record, _SUMMARY)
        for run in _messages(record, _RUN):
            _update(config, run, _RUN_CONFIG)
            _update(summary, run, _RUN_SUMMARY)
            for name, number in _COLUMNS.items():
                if number in run:
                    columns[name] = ", ".join(word.decode() for word in run[number])
        for end in _messages(record, _EXIT):
            columns["State"] = "failed" if any(end.get(_EXIT_CODE, ())) else "finished"


def _update(values: Row, record: _Message, field: int) -> None:
    """Apply the changes of values in a field of a record."""
    for change in _messages(record, field):
        changes = [(item, kind) for kind in (_UPDATE, _REMOVE) for item in _messages(change, kind)]
        for item, kind in changes:
            keys = item.get(_NESTED_KEY) or item.get(_KEY, [b""])
            *parents, name = (key.decode() for key in keys)
            if "_wandb" in (name, *parents):
                continue
            inner = values
            for parent in parents:
                if not isinstance(inner.get(parent), dict):
                    inner[parent] = {}
                inner = inner[parent]
            if kind == _REMOVE:
                inner.pop(name, None)
            else:
                inner[name] = json.loads(item[_VALUE][0])


def _records(path: Path) -> Iterator[_Message]:
    """Records of a .wandb file up to its end, or to where the process was killed."""
    content = path.read_bytes()
    if not content.startswith(_HEADER):
        raise HpstudyError(f"{path} is no file of W&B, or one of a format that is not known here.")
    place, record = len(_HEADER), b""
    while place < len(content):
        left = _BLOCK - place % _BLOCK
        if left < _PIECE.size:
            place += left
            continue
        if place + _PIECE.size > len(content):
            return
        checksum, length, kind = _PIECE.unpack_from(content, place)
        piece = content[place + _PIECE.size : place + _PIECE.size + length]
        if len(piece) < length:
            return
        if zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            raise HpstudyError(
                f"{path} is damaged at byte {place:,} of {len(content):,}; restore the file, or "
                "move its folder elsewhere to leave the run out"
            )
        record = piece if kind in (_WHOLE, _FIRST) else record + piece
        if kind in (_WHOLE, _LAST):
            yield _message(record)
        place += _PIECE.size + length


def _messages(message: _Message, field: int) -> list[_Message]:
    """Messages in a field of another."""
    return [_message(content) for content in message.get(field, ())]


def _message(content: bytes) -> _Message:
    """Fields of a protocol buffer by their number: integers, and bytes of texts and messages."""
    fields: _Message = {}
    place = 0
    while place < len(content):
        key, place = _integer(content, place)
        value: int | bytes
        if key & 7 == 0:
            value, place = _integer(content, place)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, place = _integer(content, place)
            value, place = content[place : place + size], place + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _integer(content: bytes, place: int) -> tuple[int, int]:
    """Integer of variable length that starts at `place`, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:
            return value, place


# --- any tool -------------------------------------------------------------------------------------

_READERS: dict[str, tuple[Callable[[str, str], pd.DataFrame], str]] = {
    "optuna": (read_optuna, "sqlite:///study.db#study"),
    "ray": (read_ray, "~/ray_results/experiment"),
    "mlflow": (read_mlflow, "mlruns#experiment"),
    "wandb": (read_wandb, "wandb"),
}
"""Tool -> its reader, and an example of where it keeps a sweep."""


def is_source(text: str) -> bool:
    """Whether `text` names a sweep where its tool keeps it, such as "ray:RESULTS_FOLDER"."""
    tool, colon, _ = text.partition(":")
    return bool(colon) and tool in _READERS


def read_source(text: str) -> pd.DataFrame:
    """Table of text, named and written as the tool's own CSV export.

    `text` is "optuna:STORAGE#study" (URL of a storage, or path of an SQLite or journal file),
    "ray:FOLDER" (an experiment's results), "mlflow:PATH#experiment" (`mlruns` folder or SQLite
    file) or "wandb:FOLDER" (the `wandb` folder). The part behind # may be left out where there is
    one study, or one experiment with runs.

    Blank cells are "", and "nan" and "inf" what was logged so. A row is a run; of Ray an iteration
    of a trial. The index names it, as in "trial 3 of study 'dense'".

    Raises
    ------
    HpstudyError
        If there is no such place, study or experiment, it has no runs, or a file is damaged.
    """
    tool, _, place = text.partition(":")
    read, example = _READERS[tool]
    if not place:
        raise HpstudyError(f"{text} names no place; type for example '{text}{example}'.")
    try:
        return read(text, place)
    except (OSError, UnicodeError) as error:
        raise HpstudyError(f"{text} cannot be read ({one_line(error)}).") from None
