"""The metric of a command's run, read from its output or from a file that it wrote."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpstudy.config.command_study import Metric
from hpstudy.errors import HpstudyError, did_you_mean, listed, shown

# Names that are shown where the key is not among them.
_MOST_KEYS = 20
# What shows that a pattern's group has ended inside a number.
_GOES_ON = r"\d|\.\d|[eE][-+]?\d"


def read_metric(metric: Metric, folder: Path, output: str) -> list[float]:
    """Values of the metric in the order in which the run gave them; the last one is its result.

    Parameters
    ----------
    metric : Metric
    folder : Path
        Folder of the run, with the metric's file.
    output : str
        What the command printed.

    Returns
    -------
    list of float
        At least one, in the metric's own unit; NaN or infinite once a training has diverged.

    Raises
    ------
    HpstudyError
        If there is no value, one is no number, or one is not in the range of the metric's unit.
    """
    place, text = "its output", output
    if metric.file is not None:
        place = metric.file
        try:
            text = (folder / metric.file).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise HpstudyError(f"the command left no {metric.file}: {error.strerror}") from None
    readers = {"json": _json, "csv": _csv, "pattern": _pattern}
    keys: dict[str, None] = {}
    values = []
    for value in readers[metric.source](metric, text, keys):
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            raise HpstudyError(f"{metric.key} in {place} is {shown(value)}, no number") from None
        if math.isfinite(number) and metric.most < math.inf and not 0 <= number <= metric.most:
            raise HpstudyError(
                f"{metric.key} in {place} is {number:g}, but {metric.unit} is from 0 to "
                f"{metric.most:g}; say another unit"
            )
        values.append(number)
    if not values:
        raise HpstudyError(_nothing(metric, place, list(keys)))
    return values


def _nothing(metric: Metric, place: str, keys: list[str]) -> str:
    if metric.source == "pattern":
        return f"{place} has no match of the pattern {shown(metric.pattern)}"
    found = f"; it has {listed(keys[:_MOST_KEYS])}" if keys else ""
    what = "column" if metric.source == "csv" else "JSON object with the key"
    return f"{place} has no {what} {shown(metric.key)}{did_you_mean(metric.key, keys)}{found}"


def _json(metric: Metric, text: str, keys: dict[str, None]) -> Iterator[Any]:
    """Values of a file that is one object or a list of them, or of lines that are objects."""
    objects = []
    try:
        whole = json.loads(text)
        objects = whole if isinstance(whole, list) else [whole]
    except ValueError:
        for line in text.splitlines():
            if (line := line.strip()).startswith("{"):
                try:
                    objects.append(json.loads(line))
                except ValueError:
                    continue
    for item in objects:
        if isinstance(item, dict):
            keys |= dict.fromkeys(map(str, item))
            if metric.key in item:
                yield item[metric.key]


def _csv(metric: Metric, text: str, keys: dict[str, None]) -> Iterator[Any]:
    """Cells of a column that are not empty: rows without one hold other metrics."""
    reader = csv.DictReader(io.StringIO(text))
    keys |= dict.fromkeys(map(str, reader.fieldnames or ()))
    for row in reader:
        if (cell := row.get(metric.key)) not in (None, ""):
            yield cell


def _pattern(metric: Metric, text: str, keys: dict[str, None]) -> Iterator[Any]:
    last = None
    for last in re.finditer(str(metric.pattern), text):
        if re.match(_GOES_ON, text[last.end(1) :]):
            whole = text[last.start(1) :].split(maxsplit=1)[0]
            raise HpstudyError(
                f"the pattern {shown(metric.pattern)} takes only {shown(last[1])} of "
                f"{shown(whole)}; a group such as (\\S+) takes all of it"
            )
        yield last[1]
    if last is None:
        return
    # A pattern of digits does not match what a training prints once it has diverged.
    before = re.search(r"\S+\s*$", text[last.start() : last.start(1)])
    lost = before and re.escape(before[0]) + r"[-+]?(nan|inf)"
    if lost and re.search(lost, text[last.end() :], re.IGNORECASE):
        yield math.nan
