"""Write the verdicts of the published studies into README and limits.

python tests/support/readme_table.py
"""

import re
from collections.abc import Sequence
from pathlib import Path

from hpstudy.analysis.study_results import read_results
from hpstudy.analysis.verdict import VerdictGroup
from hpstudy.plots.labels import TOP1, axis_title, short_title
from hpstudy.report.tables import decisive
from hpstudy.report.verdicts import marks, tally, verdict_groups

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["lr", "weight_decay", "both"]
STUDIES = read_results([ROOT / "book" / "results"])
HEAD = "| network | learning rate | weight decay | both | loss of both, points | still good |"


def published() -> list[VerdictGroup]:
    """Verdicts of the published studies, as the first page shows them."""
    return verdict_groups(decisive(STUDIES.values()))


def rows(groups: Sequence[VerdictGroup]) -> list[str]:
    """Lines of the README's table: the counts, then every network under its study."""
    found = tally(groups)
    counted = [
        ", ".join(f"{number} {answer}" for answer, number in found[column].most_common())
        for column in COLUMNS
    ]
    networks = found["both"].total()
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"]
    lines.append(f"| **all {networks}** | {' | '.join(counted)} | | |")
    for group in groups:
        lines.append(f"| **{group.title}** | | | | | |")
        for row in group.verdicts:
            answers = [row.axes[axis].answer for axis in COLUMNS[:2]] + [row.both]
            cells = [short_title(row.variant)]
            cells += [
                answer + marks(row, column).replace("*", "\\*")
                for answer, column in zip(answers, COLUMNS, strict=True)
            ]
            cells += [TOP1.loss(row.loss), f"{row.kept[0]} of {row.kept[1]}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def counts(groups: Sequence[VerdictGroup]) -> list[str]:
    """Lines of limits and changelog: how many networks have which verdict today."""
    found = tally(groups)
    return [
        f"| {axis_title(column)}, now | "
        + " | ".join(str(found[column][answer]) for answer in ("keep", "retune", "inconclusive"))
        + " |"
        for column in COLUMNS
    ]


def written(text: str, groups: Sequence[VerdictGroup]) -> str:
    """Text of a file with its lines of verdicts as they are today."""
    if HEAD in text:
        text = re.sub(
            re.escape(HEAD) + r"\n(\|.*\n)+", lambda _: "\n".join(rows(groups)) + "\n", text
        )
    for line in counts(groups):
        text = re.sub(re.escape(line.partition(", now |")[0]) + r", now \|.*", line, text)
    return text


FILES = ("README.md", "book/limits.md")

if __name__ == "__main__":
    today = published()
    for name in FILES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), today), encoding="utf-8")
