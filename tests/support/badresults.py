"""Bad published results (`badinput.Case`)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import synthetic
import tiny
from badinput import Case

STUDY = "synthetic-resnet56"


def published(what: str, damage: Callable[[Path, Path], object], sentence: str) -> Case:
    """Case of a published study with a damaged table or record."""

    def make() -> None:
        synthetic.write(Path("results"), 3, 1, ["resnet56"])
        damage(Path("results", f"{STUDY}.csv"), Path("results", f"{STUDY}.json"))

    sentence = sentence.replace("TABLE", f"results/{STUDY}.csv").replace("RECORD", f"{STUDY}.json")
    return Case("published results", what, make, _read_results, sentence)


def _read_results() -> None:
    from hpstudy.analysis.study_results import read_results

    read_results(["results"])


def _with(old: str, new: str) -> Callable[[Path, Path], object]:
    return lambda table, record: table.write_text(table.read_text().replace(old, new))


def _record(place: str, value: Any) -> Callable[[Path, Path], object]:
    def damage(table: Path, record: Path) -> None:
        record.write_text(json.dumps(tiny.changed(json.loads(record.read_text()), {place: value})))

    return damage


NAMES = (
    "but a name on a page begins with a letter or digit, and holds only such, blanks and ._-+/%()."
)

PUBLISHED = [
    published(
        "markup for a variant",
        _with("nonuniform-0.2", "<img src=x onerror=alert(1)>"),
        f"TABLE has the variant '<img src=x onerror=alert(1)>', {NAMES}",
    ),
    published(
        "a formula for a variant",
        _with("nonuniform-0.2", "=cmd|' /C calc'!A0"),
        f"TABLE has the variant \"=cmd|' /C calc'!A0\", {NAMES}",
    ),
    published(
        "mathematics for a variant",
        _with("nonuniform-0.2", "$x$"),
        f"TABLE has the variant '$x$', {NAMES}",
    ),
    published(
        "markup for a column",
        _with("flops_ratio", "<b>x</b>"),
        f"TABLE has the column '<b>x</b>', {NAMES}",
    ),
    published(
        "a formula for a column",
        _with("flops_ratio", "@SUM(A1)"),
        f"TABLE has the column '@SUM(A1)', {NAMES}",
    ),
    published("no learning rates", _with(",lr,", ",eta,"), "TABLE lacks the column 'lr'."),
    published(
        "an empty table",
        lambda table, _: table.write_text(""),
        "TABLE is cut short: its last line has no end.",
    ),
    published(
        "half a table",
        lambda table, _: table.write_text(table.read_text()[:6_001]),
        "TABLE is cut short: its last line has no end.",
    ),
    published(
        "a negative learning rate",
        _with(
            "unpruned,resnet56,fashion-mnist-8k,unpruned,1.0,",
            "unpruned,resnet56,fashion-mnist-8k,unpruned,1.0,-",
        ),
        "line 2 of TABLE: lr is '-0.002929', but must be a number from 1e-30 to 1e+30.",
    ),
    published(
        "a path for a name",
        lambda table, _: table.rename(table.with_name("..x.csv")),
        "'..x.csv' in results cannot be the table of a study.",
    ),
    published(
        "markup for a name",
        lambda table, _: table.rename(table.with_name("<b>.csv")),
        "'<b>.csv' in results cannot be the table of a study.",
    ),
    published(
        "no record",
        lambda _, record: record.unlink(),
        "the table TABLE lacks its record RECORD beside it.",
    ),
    published(
        "half a record",
        lambda _, record: record.write_text(record.read_text()[:100]),
        "results/RECORD is no JSON, or is cut short.",
    ),
    published(
        "a record of many brackets",
        lambda _, record: record.write_text("[" * 100_000),
        "results/RECORD is no JSON, or is cut short.",
    ),
    published(
        "a record without regions",
        _record("study.roi", tiny.GONE),
        "results/RECORD lacks the key 'study.roi'.",
    ),
    published(
        "a record that is a list",
        lambda _, record: record.write_text("[]"),
        "results/RECORD lacks the key 'study'.",
    ),
    published(
        "markup for a model",
        _record("study.model", "</script><b>"),
        "results/RECORD has the invalid model '</script><b>'.",
    ),
]
