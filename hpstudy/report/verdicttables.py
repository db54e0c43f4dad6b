"""Table of the verdicts: whether each pruned network may keep the dense one's settings."""

from collections.abc import Iterable
from typing import get_args

import pandas as pd

from hpstudy.analysis.intervals import UNKNOWN
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import Answer, Pooled, pooled_verdict, verdict
from hpstudy.config.grid import AXES


def verdicts(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Verdicts by hyperparameter, network by network, then pooled by study and over all studies.

    The good regions are those of the widest threshold that a study names.

    Returns
    -------
    DataFrame of shape (n_rows, 12)
        study, model, variant; lr_verdict, weight_decay_verdict and both ("keep", "retune" or
        "inconclusive"; "*" where the good region of either network reaches the end of the grid,
        "~" where shift or loss is read off surfaces between the settings); loss_kept and
        loss_second (`hpstudy.analysis.intervals.Loss` in percentage points, at the dense network's best
        setting and at its second best); good_kept (how many of its good settings stay good: "7 of
        8"); runs; lr_shift and weight_decay_shift (of the good region's centre, `Interval` in
        decades).
        Pooled rows name in `variant` how many networks have a shift; their both, loss_second and
        good_kept are missing, and their loss_kept is a mean.
    """
    studies = list(studies)
    rows, pools = [], []
    for results in studies:
        analysis, threshold = results.analysis(), max(results.thresholds)
        rows += [_row(results, analysis, name, threshold) for name in analysis.pruned]
        pools.append((analysis, threshold))
        if len(analysis.pruned) > 1:
            keys = {"study": results.name, "model": results.model}
            own = rows[-len(analysis.pruned) :]
            rows.append(keys | _pooled(pools[-1:], own, len(results.table)))
    if len(studies) > 1:
        runs = sum(len(results.table) for results in studies)
        rows.append({"study": "all", "model": ""} | _pooled(pools, rows, runs))
    return pd.DataFrame(rows, dtype=object)


def tally(table: pd.DataFrame) -> dict[str, str]:
    """How many networks of a table of `verdicts` have which verdict.

    Returns
    -------
    dict of str to str
        "table_networks", and by column and verdict, as "lr_keep" or "both_retune": a number.
    """
    own = table[table["both"].notna()]
    columns = {"lr": "lr_verdict", "weight_decay": "weight_decay_verdict", "both": "both"}
    found = {
        f"{key}_{answer}": f"{(own[column].str.rstrip('*~') == answer).sum()}"
        for key, column in columns.items()
        for answer in get_args(Answer)
    }
    return {"table_networks": f"{len(own)}"} | found


def _row(results: StudyResults, analysis: StudyAnalysis, name: str, threshold: float) -> dict:
    found = verdict(analysis, name, threshold)
    row: dict = {"study": results.name, "model": results.model, "variant": name}
    for axis, shift in found.axes.items():
        marks = "*" * bool(shift.at_end) + "~" * shift.interpolated
        row[f"{axis}_verdict"] = shift.answer + marks
    still, good = found.kept
    return row | {
        "both": found.both + "~" * found.interpolated,
        "loss_kept": found.loss,
        "loss_second": found.second,
        "good_kept": f"{still} of {good}",
        "runs": analysis.landscapes[name].runs,
        **{f"{axis}_shift": shift.shift for axis, shift in found.axes.items()},
    }


def _pooled(pools: list[tuple[StudyAnalysis, float]], rows: list[dict], runs: int) -> dict:
    """Row of all networks of some studies, with their marks."""
    found: Pooled | None = pooled_verdict(pools)
    every = sum(len(analysis.pruned) for analysis, _ in pools)
    row: dict = {"variant": f"pooled, {found.networks if found else 0} of {every}"}
    for axis in AXES:
        key = f"{axis}_verdict"
        marks = "*" * any("*" in (one[key] or "") for one in rows)
        row[key] = found.answers[axis] + marks if found else None
        row[f"{axis}_shift"] = found.axes[axis] if found else UNKNOWN
    loss = found.loss if found else None
    return row | {"both": None, "loss_kept": loss, "runs": runs}
