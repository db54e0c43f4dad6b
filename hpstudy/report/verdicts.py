"""The verdict table of the book, of one's own table and of the README: a row a pruned network."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader

from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import NEGLIGIBLE, Verdict, VerdictGroup, verdict
from hpstudy.errors import count
from hpstudy.plots.labels import TOP1, Metric, axis_title, factor_text, short_title

BAR = 112
"""Pixels of a bar; its scale goes from no loss to four times the tolerable one."""
# Pixels beside the scale, of which an arrow takes the right ones.
LEFT, RIGHT = 7, 12

TEMPLATES = Environment(
    loader=PackageLoader("hpstudy.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def verdict_groups(studies: Iterable[StudyResults]) -> list[VerdictGroup]:
    """Verdicts of each study, whose good settings are those of its widest region of interest."""
    groups = []
    for study in studies:
        data, recipe = study.record["study"]["data"], study.record["study"]["recipe"]
        note = f"{data['train']:,} images, {count(recipe['epochs'], 'epoch')}, "
        note += count(len(study.table), "run")
        analysis, widest = study.analysis(), max(study.thresholds)
        verdicts = [verdict(analysis, name, widest) for name in analysis.pruned]
        groups.append(VerdictGroup(study.heading, verdicts, note, f"studies/{study.name}.html"))
    return [group for group in groups if group.verdicts]


def tally(groups: Iterable[VerdictGroup]) -> dict[str, Counter[str]]:
    """Number of networks with each answer, by hyperparameter and for "both"."""
    counts: dict[str, Counter[str]] = {}
    for group in groups:
        for row in group.verdicts:
            answers = {axis: of.answer for axis, of in row.axes.items()} | {"both": row.both}
            for column, answer in answers.items():
                counts.setdefault(column, Counter())[answer] += 1
    return counts


def verdict_html(
    groups: Sequence[VerdictGroup], metric: Metric = TOP1, detailed: bool = False
) -> str:
    """HTML table of the verdicts, with a row that counts them where there are several groups.

    `detailed` adds the shifts as factors and the bounds of the losses in numbers. The table's look
    is in `book/_static/hpstudy.css`.
    """
    rows = [row for group in groups for row in group.verdicts]
    columns = [*rows[0].axes, "both"]
    largest = 4 * rows[0].tolerable
    return TEMPLATES.get_template("verdicts.html").render(
        groups=groups,
        titles={column: axis_title(column) for column in columns},
        counts=tally(groups),
        networks=len(rows),
        shares=any(short_title(row.variant) != row.variant for row in rows),
        marked="".join(marks(row, column) for row in rows for column in columns),
        metric=metric,
        detailed=detailed,
        tolerable=rows[0].tolerable,
        thresholds=[f"{x:g}" for x in sorted({row.threshold for row in rows})],
        limit=10**NEGLIGIBLE,
        largest=largest,
        width=BAR,
        at=lambda loss: round(LEFT + (BAR - LEFT - RIGHT) * min(loss / largest, 1.0), 1),
        title=short_title,
        factor=factor_text,
        known=math.isfinite,
        marks=marks,
    )


def marks(row: Verdict, column: str) -> str:
    """Marks of a verdict on a hyperparameter or on "both", which the table's key explains."""
    if column == "both":
        return "^" * row.edge + "~" * row.interpolated
    of = row.axes[column]
    return "*" * bool(of.at_end) + "~" * of.interpolated
