"""Published tables of studies whose runs a command trained, and whether they are whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.command_study import LABELS, RESULTS, CommandStudy
from hpstudy.config.grid import AXES
from hpstudy.config.study import DENSE, parse_variant
from hpstudy.config.validation import one_sentence, reasons
from hpstudy.errors import HpstudyError, listed, shown
from hpstudy.storage import schema
from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.tables import read_csv, read_json


class CommandCounts(BaseModel):
    """What a record counts in its table."""

    runs: int
    missing: dict[str, int]
    failed: dict[str, str]


class CommandRecord(BaseModel):
    """Record beside the published table: the study, hashes of its files, reports of networks."""

    study: CommandStudy
    files: dict[str, str]
    certificates: dict[str, dict[str, Any]]
    record: CommandCounts

    def run_spec(self, variant: str, **setting: Any) -> CommandSpec:
        """Run of a variant, at the prior unless values of the axes and a seed are given."""
        report = self.certificates.get(variant)
        spec = CommandSpec.at_prior(self.study, self.files, variant, report)
        return spec.model_copy(update=setting)


def read_command_record(table: Path) -> CommandRecord:
    """Record beside a published table.

    Raises HpstudyError if it is not there, or a key, type or value is wrong.
    """
    path = table.with_suffix(".json")
    if not path.is_file():
        raise HpstudyError(f"the table {table} lacks its record {path.name} beside it")
    try:
        return CommandRecord.model_validate(read_json(path))
    except ValidationError as error:
        raise HpstudyError(f"{path}: {one_sentence(error, CommandRecord)}") from None


def is_command_table(table: Path) -> bool:
    """Whether the record beside a published table is that of a command's study."""
    path = table.with_suffix(".json")
    study = read_json(path).get("study") if path.is_file() else None
    return isinstance(study, dict) and "command" in study


def read_command_rows(path: Path, study: CommandStudy) -> list[dict[str, Any]]:
    """Rows of a published table under the names of the store; None where there is no number.

    Raises HpstudyError if it is no whole table, or has other columns.
    """
    names = dict(zip(study.axes, AXES, strict=False)) | {study.metric.key: "top1"}
    expected = [*LABELS, *study.axes, "seed", study.metric.key, *RESULTS]
    frame = read_csv(path)
    if list(frame.columns) != expected:
        raise HpstudyError(
            f"{path} has the columns {listed(frame.columns)} instead of {listed(expected)}"
        )
    frame = frame.rename(columns=names)
    if len(study.axes) == 1:
        frame[AXES[1]] = 1.0
    others = [name for name in RESULT_COLUMNS if name not in frame]
    frame = frame.assign(**dict.fromkeys(others))
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows


def row_faults(record: CommandRecord, row: Mapping[str, Any]) -> list[str]:
    """What is wrong with a row, by the study's record."""
    study, variant = record.study, row["variant"]
    if variant not in study.variants:
        return [f"variant is {shown(variant)}, but must be one of {listed(study.variants)}"]
    if study.model is not None and variant != DENSE and variant not in record.certificates:
        return [f"the record has no report of its variant {variant}"]
    method, ratio = parse_variant(variant)
    for name, value in {"study": study.name, "method": method, "flops_ratio": ratio}.items():
        if row[name] != value:
            return [f"{name} is {shown(row[name])}, but must be {shown(value)}"]
    spec = command_spec(record, row)
    values = {**row, "spec": spec.model_dump_json(by_alias=True)}
    try:
        schema.CommandRow.model_validate(values)
    except ValidationError as error:
        return reasons(error)
    return []


def command_spec(record: CommandRecord, row: Mapping[str, Any]) -> CommandSpec:
    """Run of a row."""
    return record.run_spec(row["variant"], **{name: row[name] for name in (*AXES, "seed")})
