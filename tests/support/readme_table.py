"""Write the verdicts of the published studies into README and limits.

python tests/support/readme_table.py
"""

import re
from pathlib import Path

import pandas as pd

from hpstudy.analysis.study_results import MODEL_TITLES, read_results
from hpstudy.report.notebook import cell_text
from hpstudy.report.tables import decisive, verdict_counts, verdict_table

ROOT = Path(__file__).resolve().parents[2]
HEAD = "| network (its study) | learning rate | weight decay | both | loss of both | stay good |"
COLUMNS = ["learning rate", "weight decay", "both", "loss if kept", "stay good"]
STUDIES = read_results([ROOT / "book" / "results"])


def published() -> pd.DataFrame:
    """Verdicts of the published studies, as the first page shows them."""
    return verdict_table(decisive(STUDIES.values()))


def rows(table: pd.DataFrame) -> list[str]:
    """Lines of the README's table: every network, and all of them pooled."""
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"]
    for (study, variant), row in table.iterrows():
        if study != "all" and row["both"] is None:
            continue
        network = f"{variant} ({study})" if study != "all" else f"all, {variant}"
        if study in STUDIES:
            network = f"{MODEL_TITLES.get(STUDIES[study].model, study)}, {network}"
        lines.append(f"| {' | '.join([network, *(cell_text(row[name]) for name in COLUMNS)])} |")
    return lines


def counts(table: pd.DataFrame) -> list[str]:
    """Lines of limits and changelog: how many networks have which verdict today."""
    return [
        f"| {name}, now | {' | '.join(map(str, numbers))} |"
        for name, numbers in zip(COLUMNS, verdict_counts(table).to_numpy(), strict=False)
    ]


def written(text: str, table: pd.DataFrame) -> str:
    """Text of a file with its lines of verdicts as they are today."""
    if HEAD in text:
        text = re.sub(re.escape(HEAD) + r"\n(\|.*\n)+", "\n".join(rows(table)) + "\n", text)
    for line in counts(table):
        text = re.sub(re.escape(line.partition(", now |")[0]) + r", now \|.*", line, text)
    return text


FILES = ("README.md", "book/limits.md")

if __name__ == "__main__":
    today = published()
    for name in FILES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), today), encoding="utf-8")
