"""Runs that Weights & Biases logged to this disk, read without wandb from what it wrote."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.run_tables.source_rows import existing, flat, text_table
from hpstudy.errors import HpstudyError

# A .wandb file is a log in LevelDB's format: blocks of pieces, and before each piece its checksum,
# its length and its kind. One or several pieces are a record, which is a protocol buffer.
_HEADER, _BLOCK, _PIECE = b":W&B\xe1\xbe\x00", 32768, struct.Struct("<IHB")
_WHOLE, _FIRST, _LAST = 1, 2, 4
# Fields of wandb's messages by their number: of Record, RunRecord, and of the two records below it.
_SUMMARY, _CONFIG, _RUN, _EXIT = 3, 5, 17, 18
_RUN_ID, _RUN_CONFIG, _RUN_SUMMARY = 1, 4, 5
_COLUMNS = {"Name": 8, "Group": 6, "Job Type": 7, "Tags": 10, "Sweep": 12}
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_EXIT_CODE = 1

_Message = dict[int, list[Any]]


@dataclass
class _Run:
    # A record of its end is missing where the process was killed.
    columns: dict[str, str] = field(default_factory=lambda: {"State": "crashed"})
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


def read_wandb(place: str) -> pd.DataFrame:
    """Runs of a `wandb` folder, one row each, with the columns of W&B's own CSV export.

    Parameters
    ----------
    place : str
        Folder that holds offline-run-* and run-* folders.

    Returns
    -------
    DataFrame of text of shape (n_runs, n_columns)
        ID, Name, State (finished, failed, or crashed for a run whose end was not recorded), Group,
        Job Type, Tags and Sweep where given, then the config and the summary; a dot joins nested
        names. A name of the summary that is one of the config too becomes "summary.NAME".

    Raises
    ------
    HpstudyError
        If there are no runs, or a file is damaged.
    """
    typed = f"wandb:{place}"
    folder = existing(place, typed)
    found = [one for one in folder.glob("*run-*") if one.is_dir()]
    if not found:
        hint = f"; type 'wandb:{folder / 'wandb'}'" if (folder / "wandb").is_dir() else ""
        raise HpstudyError(f"{typed}: there is no folder offline-run-* or run-* in it{hint}.")
    runs: dict[str, _Run] = {}
    # A run that was resumed is in several folders, whose names start with when they were made.
    for one in sorted(found, key=lambda one: one.name.removeprefix("offline-")):
        files = list(one.glob("run-*.wandb"))
        if not files:
            raise HpstudyError(
                f"{typed}: {one.name} holds no run-*.wandb file; move the folder elsewhere"
            )
        for path in files:
            _read(path, runs.setdefault(path.stem.removeprefix("run-"), _Run()))
    return _table(runs)


def _table(runs: dict[str, _Run]) -> pd.DataFrame:
    fixed = {"ID", "State", *_COLUMNS}
    configs = {name: flat(run.config, ".") for name, run in runs.items()}
    taken = fixed.union(*configs.values())
    rows = []
    for name, run in runs.items():
        row = {"ID": name, **run.columns}
        for key, value in configs[name].items():
            row[f"config.{key}" if key in fixed else key] = value
        for key, value in flat(run.summary, ".").items():
            row[f"summary.{key}" if key in taken else key] = value
        rows.append((f"run {name}", row))
    return text_table(rows)


def _read(path: Path, run: _Run) -> None:
    run.columns["State"] = "crashed"
    for record in _records(path):
        for number, kind in ((_CONFIG, run.config), (_SUMMARY, run.summary)):
            for content in record.get(number, ()):
                _update(kind, _message(content))
        for content in record.get(_RUN, ()):
            told = _message(content)
            for number, kind in ((_RUN_CONFIG, run.config), (_RUN_SUMMARY, run.summary)):
                for one in told.get(number, ()):
                    _update(kind, _message(one))
            for name, number in _COLUMNS.items():
                if number in told:
                    run.columns[name] = ", ".join(one.decode() for one in told[number])
        for content in record.get(_EXIT, ()):
            failed = any(_message(content).get(_EXIT_CODE, ()))
            run.columns["State"] = "failed" if failed else "finished"


def _update(values: dict[str, Any], change: _Message) -> None:
    for number in (_UPDATE, _REMOVE):
        for content in change.get(number, ()):
            item = _message(content)
            *parents, name = (
                one.decode() for one in item.get(_NESTED_KEY) or item.get(_KEY, [b""])
            )
            if "_wandb" in (name, *parents):
                continue
            inner = values
            for parent in parents:
                if not isinstance(inner.get(parent), dict):
                    inner[parent] = {}
                inner = inner[parent]
            if number == _REMOVE:
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


def _message(content: bytes) -> _Message:
    """Fields of a protocol buffer by their number: integers, and bytes of texts and messages."""
    fields: _Message = {}
    place = 0
    while place < len(content):
        key, place = _integer(content, place)
        number, wire = key >> 3, key & 7
        value: int | bytes
        if wire == 0:
            value, place = _integer(content, place)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size, place = _integer(content, place)
            value, place = content[place : place + size], place + size
        fields.setdefault(number, []).append(value)
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
