"""Write the verdicts of the published studies into README and limits.

python tests/support/readme_table.py
"""

import re
from pathlib import Path

import pandas as pd

from hpstudy.analysis.study_results import MODEL_TITLES, read_results
from hpstudy.config.words import loss_text
from hpstudy.plots.labels import variant_title
from hpstudy.report.answer import tabled
from hpstudy.report.verdicttables import tally, verdicts

ROOT = Path(__file__).resolve().parents[2]
HEAD = "| network (its study) | learning rate | weight decay | both | loss of both | stay good |"
COUNTED = {"lr": "learning rate", "weight_decay": "weight decay", "both": "both"}


def published() -> pd.DataFrame:
    """Verdicts of the published studies, as the first page shows them."""
    return verdicts(tabled(read_results([ROOT / "book" / "results"]).values()))


def rows(table: pd.DataFrame) -> list[str]:
    """Lines of the README's table: every network, and all of them pooled."""
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"]
    for row in table[table["both"].notna() | (table["study"] == "all")].itertuples():
        title = variant_title(row.variant).removesuffix(" FLOPs")
        network = f"{MODEL_TITLES.get(row.model, row.model)}, {title} ({row.study})"
        cells = [network if row.model else f"all, {title}", row.lr_verdict]
        cells += [row.weight_decay_verdict, row.both, loss_text(row.loss_kept), row.good_kept]
        lines.append(f"| {' | '.join('–' if pd.isna(cell) else cell for cell in cells)} |")
    return lines


def counts(table: pd.DataFrame) -> list[str]:
    """Lines of limits: how many networks have which verdict today."""
    found = tally(table)
    return [
        f"| {words}, now | {found[f'{key}_keep']} | {found[f'{key}_retune']} "
        f"| {found[f'{key}_inconclusive']} |"
        for key, words in COUNTED.items()
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
