"""What rules of thumb lose, as tables of the terminal and the book."""

from collections.abc import Iterable, Mapping

import pandas as pd
from rich.table import Table

from hpstudy.analysis.comparison import Comparison
from hpstudy.analysis.intervals import Loss
from hpstudy.analysis.rules import rule_losses
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import TOLERABLE
from hpstudy.errors import printed
from hpstudy.plots.labels import TOP1, metric_of, short_title
from hpstudy.report.notebook import MISSING
from hpstudy.report.screen import dense_line
from hpstudy.report.terminal import show

TITLES = {
    "keep": "keep both",
    "half": "learning rate ×0.5",
    "fifth": "learning rate ×0.2",
    "tenth": "learning rate ×0.1",
    "double": "learning rate ×2",
    "timescale": "learning rate ×0.5, weight decay ×2",
}
OUTCOMES = (
    f"at most {TOLERABLE:g} points",
    f"more than {TOLERABLE:g} points",
    "inconclusive",
    "outside the grid",
)
HEADINGS = ("keep", "lr ×0.5", "lr ×0.2", "lr ×0.1", "lr ×2", "lr ×0.5, wd ×2")


def rule_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Losses in points by study, network and rule."""
    table = {
        (study.heading, short_title(name)): {
            TITLES[key]: MISSING if pd.isna(of.estimate) else TOP1.loss(of)
            for key, of in row.items()
        }
        for study in studies
        for name, row in rule_losses(study.analysis()).items()
    }
    frame = pd.DataFrame.from_dict(table, orient="index")
    return frame.rename_axis(["study", "network"])


def rule_counts(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Number of pruned networks by what each rule loses, by its one-sided 95 % bounds."""
    table = {title: dict.fromkeys(OUTCOMES, 0) for title in TITLES.values()}
    for study in studies:
        for row in rule_losses(study.analysis()).values():
            for key, of in row.items():
                table[TITLES[key]][_outcome(of)] += 1
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("rule")


def _outcome(loss: Loss) -> str:
    if pd.isna(loss.estimate):
        return OUTCOMES[3]
    return OUTCOMES[0 if loss.at_most <= TOLERABLE else 1 if loss.at_least > TOLERABLE else 2]


def show_rules(comparison: Comparison, losses: Mapping[str, Mapping[str, Loss]]) -> None:
    """Print what each rule loses in each network."""
    metric = metric_of(comparison.analysis.landscapes[comparison.analysis.dense])
    unit = "points" if metric.percent else metric.name
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", *HEADINGS):
        table.add_column(title, justify="right" if title else "left", no_wrap=bool(title))
    for name, of in losses.items():
        table.add_row(printed(short_title(name)), *(_cell(of[key]) for key in TITLES))
    show(
        dense_line(comparison),
        f"Loss of each rule from there, in {unit}, and one-sided 95 % bounds below it.",
        "A dash lies outside the grid. Most of these rules are meant for fine-tuning.",
        "",
        table,
    )


def _cell(loss: Loss) -> str:
    if pd.isna(loss.estimate):
        return MISSING
    return f"{loss.estimate:.2f}\n{loss.at_least:.2f}–{loss.at_most:.2f}"
