"""Tables of the page on retuning, from the rows of `benchmarks/retune.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hpstudy.analysis.retune import retune
from hpstudy.analysis.study_results import StudyResults
from hpstudy.config.design import RETUNE, Design
from hpstudy.plots.labels import setting_text, short_title
from hpstudy.report.notebook import MISSING

QUESTIONS = {"both": "both", "first": "learning rate", "second": "weight decay"}
RIVALS = {
    "ours": "retune",
    "ours, both alone": "retune, asked about both only",
    "climb": "climbing",
    "EI, our model": "expected improvement, retune's model",
    "EI, plain GP": "expected improvement, plain Gaussian process",
    "Optuna TPE": "Optuna's TPE",
    "Optuna GP": "Optuna's GPSampler",
    "OptunaHub meta TPE": "OptunaHub's meta-learning TPE",
}
RANKS = {"half answered": 0, "inconclusive": 1, "loss after ten": 2}
SOURCES = {"hpobench": "perceptrons", "table": "our networks", "simulated": "simulated"}


def retuned_tables(study: StudyResults) -> dict[str, pd.DataFrame]:
    """Answers of a study that retunes, a row a pruned network; empty for another study."""
    design = Design.model_validate(study.record["study"].get("design", {}))
    if design.name != RETUNE:
        return {}
    dense, *pruned = study.landscapes().values()
    table = {}
    for network in pruned:
        limit, batch = min(study.thresholds), design.batch
        result = retune(dense, network, tolerable=limit, batch=batch, budget=design.budget)
        beliefs = {"both": result.both} | result.axes
        table[short_title(network.variant)] = {
            "trainings": result.runs,
            **{
                title: f"{beliefs[name].answer} ({beliefs[name].probability:.2f})"
                for name, title in zip(beliefs, QUESTIONS.values(), strict=True)
            },
            "setting to use": ", ".join(map(setting_text, result.setting.values())),
        }
    frame = pd.DataFrame.from_dict(table, orient="index").rename_axis("network")
    return {"": frame} if table else {}


def headline(rows: Iterable[Mapping[str, Any]]) -> dict[str, str | int]:
    """Counts of the answers on both hyperparameters, for the page's text.

    Those of the fresh pairs, which nothing was chosen by, have names that begin so.
    """
    found = {
        row["group"]: row for row in rows if row["question"] == "both" and not row["simulated"]
    }
    texts: dict[str, str | int] = {}
    for group, prefix in (("all", ""), ("fresh", "fresh_")):
        row = found[group]
        texts |= {
            f"{prefix}pairs": row["pairs"],
            f"{prefix}given": row["keep"] + row["retune"],
            f"{prefix}wrong": row["wrong_keep"] + row["wrong_retune"],
            f"{prefix}clearly": row["clearly_wrong"],
            f"{prefix}open": f"{100 * row['inconclusive']:.0f} %",
        }
    return texts


def policy_table(rows: Iterable[Mapping[str, Any]], simulated: bool) -> pd.DataFrame:
    """Answers given, wrong ones among them, and trainings, by question and group of pairs.

    Groups are shown of the answers on both hyperparameters only.
    """
    table = {}
    for row in rows:
        grouped = row["group"] not in ("all", "fresh") and row["question"] != "both"
        if row["simulated"] != simulated or grouped:
            continue
        name = row["group"].replace("noise ", "noise/loss ").replace("to 100", "and more")
        table[QUESTIONS[row["question"]], name] = {
            ("", "pairs"): row["pairs"],
            ("keep", "said"): row["keep"],
            ("keep", "wrong"): row["wrong_keep"],
            ("retune", "said"): row["retune"],
            ("retune", "wrong"): row["wrong_retune"],
            ("", "inconclusive"): f"{100 * row['inconclusive']:.0f} %",
            ("trainings", "half"): MISSING if row["median"] is None else row["median"],
            ("trainings", "90 %"): MISSING if row["most"] is None else row["most"],
        }
    frame = pd.DataFrame.from_dict(table, orient="index")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return frame.rename_axis(["question", "pairs of networks"])


def calibration_data(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of the calibration with the questions' titles, for `plot_calibration`."""
    frame = pd.DataFrame(rows)
    return frame.assign(question=frame["question"].map(QUESTIONS))


def rival_table(rows: Iterable[Mapping[str, Any]], tolerable: float = 0.5) -> pd.DataFrame:
    """Trainings and settings of the ways to choose the next training, a row a way.

    Columns are noise over tolerable loss: half of the pairs answered, share that is inconclusive,
    and the loss of the recommended setting after ten trainings, in points.
    """
    table: dict[str, dict[tuple[str, str], Any]] = {}
    for row in rows:
        noise = f"{row['noise'] / tolerable:g}"
        half = MISSING if row["median"] is None else row["median"]
        table.setdefault(RIVALS.get(row["policy"], row["policy"]), {}).update(
            {
                ("half answered", noise): half,
                ("inconclusive", noise): f"{100 * row['inconclusive']:.0f} %",
                ("loss after ten", noise): row["regret_10"],
            }
        )
    frame = pd.DataFrame.from_dict(table, orient="index").sort_index(
        axis=1, level=0, key=lambda of: of.map(RANKS.get), sort_remaining=False
    )
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return frame.rename_axis("next training by")


def regret_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Mean loss of the recommended setting in points, by trainings, a row a kind of pairs."""
    frame = pd.DataFrame(rows)
    frame["source"] = frame["source"].map(SOURCES)
    table = frame.pivot(index="source", columns="trainings", values="regret")
    return table.rename_axis(index="pairs of networks", columns=None)
