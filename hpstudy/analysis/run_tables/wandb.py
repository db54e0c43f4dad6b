"""Runs that Weights & Biases logged to this disk, read without wandb from its log files.

A .wandb file is a log in LevelDB's format: blocks of pieces, and before each piece its checksum,
its length and its kind. One or several pieces are a record, which is a protocol buffer.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis.run_tables.trackers import Row, as_text, existing, flat, nothing
from hpstudy.errors import HpstudyError

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
    taken = fixed.union(*(flat(config, ".") for _, config, _ in runs.values()))
    rows = []
    for name, (columns, *logged) in runs.items():
        row = {"ID": name} | columns
        for kind, values, others in zip(("config", "summary"), logged, (fixed, taken), strict=True):
            for key, value in flat(values, ".").items():
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
