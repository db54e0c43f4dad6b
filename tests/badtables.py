"""Bad tables of runs and bad published results (`badinput.Case`)."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import synthetic
import tiny
from badinput import Case, write

HEADER = "variant,lr,weight_decay,seed,top1"
GOOD = "unpruned,0.1,0.0001,0,93.0"

# --- tables of runs -------------------------------------------------------------------------------


def _compare() -> None:
    from hpstudy.compare import read_table

    read_table("runs.csv")


def table(what: str, content: str | bytes, sentence: str) -> Case:
    """Case of a CSV file for `hpstudy compare`."""
    return Case("table of runs", what, partial(write, "runs.csv", content), _compare, sentence)


def cell(what: str, column: str, text: str, reason: str, shown: str = "") -> Case:
    """Case of a table whose third line has a bad cell."""
    run = {"variant": "thin", "lr": "0.1", "weight_decay": "1e-4", "seed": "0", "top1": "90"}
    run = run | {"diverged": "0"} | {column: text}
    lines = [f"{HEADER},diverged", f"{GOOD},0", ",".join(run.values())]
    said = f"line 3 of runs.csv: {column} is {shown or repr(text)}, {reason}."
    return table(what, "\n".join(lines) + "\n", said)


NUMBER, POSITIVE = "which is not a number", "but must be positive and finite"
PERCENTAGE, INTEGER = "but must be a percentage from 0 to 100", "but must be an integer"
WIDE = ",".join(f"c{number}" for number in range(1_000_000))

TABLES = [
    table("an empty file", "", "runs.csv is empty: it has no text."),
    table("a header alone", f"{HEADER}\n", "runs.csv is empty: it has a header only."),
    table(
        "a quote that is never closed",
        f'{HEADER}\n"{GOOD}\n',
        "runs.csv is not a CSV file: a quote is opened and never closed (line 2).",
    ),
    table(
        "a quote before a megabyte",
        f'{HEADER}\n"{GOOD}\n' + "x" * 1_000_000,
        "runs.csv is not a CSV file: a cell has more than 131,072 characters, as where a quote "
        "is never closed (line 3).",
    ),
    table(
        "a line that is cut short",
        f"{HEADER}\n{GOOD}\nthin,0.1\n",
        "runs.csv is not a CSV file: the header has 5 cells, line 3 has 2.",
    ),
    table(
        "semicolons",
        f"{HEADER}\n{GOOD}\n".replace(",", ";"),
        "runs.csv is separated by semicolons; save it with commas.",
    ),
    table("UTF-16", f"{HEADER}\n{GOOD}\n".encode("utf-16"), "runs.csv is not text in UTF-8."),
    table("Latin-1", f"{HEADER}\n{GOOD}\n\xe9".encode("latin-1"), "runs.csv is not text in UTF-8."),
    table("an image", b"\x89PNG\r\n\x1a\n\x00\xff", "runs.csv is not text in UTF-8."),
    table(
        "a million columns",
        f"{WIDE}\n{WIDE}\n",
        "runs.csv has 1,000,000 columns; a table of runs has at most 10,000.",
    ),
    table("a column twice", f"{HEADER},lr\n{GOOD},0.2\n", "runs.csv has the column lr 2 times."),
    table(
        "a column that is missing",
        "variant,lr,seed,top1\nunpruned,0.1,0,93\n",
        "runs.csv lacks the columns: weight_decay; name them by --columns; it has: variant, lr, "
        "seed, top1.",
    ),
    table(
        "a column with control characters",
        "variant,l\x1b[31mr,weight_decay,seed,top1\n" + GOOD,
        r"runs.csv lacks the columns: lr; name them by --columns; it "
        r"has: variant, l\x1b[31mr, weight_decay, seed, top1.",
    ),
    table(
        "a run twice",
        f"{HEADER}\n{GOOD}\n{GOOD}\n",
        "line 3 of runs.csv repeats line 2 of runs.csv: variant 'unpruned', lr 0.1, weight_decay "
        "0.0001, seed 0.",
    ),
    table(
        "a run twice, but for the last digit",
        f"{HEADER}\n{GOOD}\n{GOOD}".replace("0.1,", "0.1000000001,", 1),
        "line 3 of runs.csv repeats line 2 of runs.csv: variant 'unpruned', lr 0.1, weight_decay "
        "0.0001, seed 0.",
    ),
    table(
        "fractions",
        f"{HEADER}\nunpruned,0.1,0.0001,0,0.93\n",
        "all accuracies of runs.csv lie in [0, 1], but top1 is in percent; if they are "
        "fractions, add --percent.",
    ),
    table(
        "a fraction among percentages",
        f"{HEADER}\n{GOOD}\nthin,0.1,0.0001,0,0.92\n",
        "line 3 of runs.csv: top1 is '0.92' among percentages up to 93; write fractions as "
        "percentages, and say of a run that diverged so in a column diverged.",
    ),
    table(
        "no dense network",
        f"{HEADER}\nthin,0.1,0.0001,0,92\nthinner,0.1,0.0001,0,91\n",
        "there are no rows of the dense network 'unpruned'; name it by --dense; variants there: "
        "thin, thinner.",
    ),
    table(
        "a dense network without an accuracy",
        f"{HEADER}\nunpruned,0.1,0.0001,0,\nthin,0.1,1,0,9",
        "no row of the dense network 'unpruned' has a top1.",
    ),
    cell("a word for a learning rate", "lr", "abc", NUMBER),
    cell("a negative learning rate", "lr", "-0.1", POSITIVE),
    cell("an infinite learning rate", "lr", "inf", POSITIVE),
    cell("a learning rate that is NaN", "lr", "nan", POSITIVE),
    cell(
        "a weight decay of zero",
        "weight_decay",
        "0",
        "but must be positive: on a logarithmic axis zero cannot be drawn",
    ),
    cell(
        "a weight decay beyond all", "weight_decay", "1e300", "but must lie within 1e-30 and 1e+30"
    ),
    cell("half a seed", "seed", "0.5", INTEGER),
    cell("a seed of 301 digits", "seed", "1e300", "but must have at most 64 bits"),
    cell("more than all", "top1", "100.1", PERCENTAGE),
    cell("less than nothing", "top1", "-0.1", PERCENTAGE),
    cell("an infinite accuracy", "top1", "inf", PERCENTAGE),
    cell("a formula for an accuracy", "top1", "=1+1", NUMBER),
    cell("neither true nor false", "diverged", "maybe", "but must be True, False, 1 or 0"),
    cell("no name", "variant", "", "but every run needs the name of its network"),
    cell(
        "a name with control characters",
        "variant",
        "thin\x1b[2J",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name with a null byte",
        "variant",
        "thin\0",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name that turns its letters round",
        "variant",
        "thin\u202e",
        "but a name holds no characters that are not printed",
    ),
    cell(
        "a name of 101 letters",
        "variant",
        "x" * 101,
        "but a name has at most 100 letters",
        f"'{'x' * 99}…",
    ),
]

# --- published results ----------------------------------------------------------------------------

STUDY = "synthetic-resnet56"


def published(
    what: str, spoil: Callable[[Path, Path], object], sentence: str, ending: str = "csv"
) -> Case:
    """Case of a published study whose table or record is spoilt."""

    def make() -> None:
        synthetic.write(Path("results"), 3, 1, ["resnet56"])
        spoil(Path("results", f"{STUDY}.csv"), Path("results", f"{STUDY}.json"))

    said = sentence.replace("TABLE", f"results/{STUDY}.csv").replace("RECORD", f"{STUDY}.json")
    return Case("published results", what, make, _read_results, said)


def _read_results() -> None:
    from hpstudy.results import read_results

    read_results(["results"])


def _with(old: str, new: str) -> Callable[[Path, Path], object]:
    return lambda table, record: table.write_text(table.read_text().replace(old, new))


def _record(place: str, value: Any) -> Callable[[Path, Path], object]:
    def spoil(table: Path, record: Path) -> None:
        record.write_text(json.dumps(tiny.changed(json.loads(record.read_text()), {place: value})))

    return spoil


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
        "results/RECORD has the model '</script><b>', which is none.",
    ),
]
