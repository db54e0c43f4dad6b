"""Whether the record beside a published table is one: its study, its images and what it counts."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from hpstudy.config.study import Arithmetic, Count, Study
from hpstudy.config.validation import one_sentence
from hpstudy.errors import HpstudyError
from hpstudy.storage.findings import reasons
from hpstudy.storage.netcheck import Certificate
from hpstudy.storage.tables import read_record


class Counts(BaseModel):
    """What the record of a table counts, of what is checked here."""

    runs: int
    stopped: int
    missing: dict[str, int]
    failed: dict[str, str] = {}
    train_seconds: float
    images: int
    device: str
    arithmetic: Arithmetic


class Images(BaseModel):
    """What a record says of the images."""

    train: Count
    test: Count
    fingerprint: str | None = None


class Ranking(BaseModel):
    """What the filters of the dense network were ranked by."""

    weights_sha256: str
    scores: dict[str, list[float]]


class Record(BaseModel):
    """What a record says of the pruned networks and of the runs."""

    certificates: dict[str, Certificate]
    ranking: Ranking | None = None
    record: Counts


def read_said(table: Path) -> tuple[Study, Images, Record]:
    """What the record of a published table says.

    Parameters
    ----------
    table : Path
        Of the CSV file, beside which it lies.

    Raises
    ------
    HpstudyError
        If it is not there, or is none.
    """
    path = table.with_suffix(".json")
    record = read_record(path, table)
    data = record["study"]["data"]
    asked = {name: value for name, value in data.items() if name not in Images.model_fields}
    try:
        study = Study.model_validate(record["study"] | {"data": asked})
    except ValidationError as error:
        raise HpstudyError(f"{path}: {one_sentence(error, Study)}") from None
    try:
        return study, Images.model_validate(data), Record.model_validate(record)
    except ValidationError as error:
        raise HpstudyError(f"{path} is no record of a table: {reasons(error)}") from None
