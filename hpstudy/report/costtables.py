"""What was paid for the published studies, and what the thesis's programme would cost."""

from collections.abc import Iterable

import pandas as pd

from hpstudy.analysis import thesis_tables
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import count

MACHINES = (1, 8, 64)
# Multiply-accumulates of a step, forward and backward, over those of one forward pass; and the
# floating-point operations of each.
PASSES, OPERATIONS = 3, 2
H100 = 989e12
"""bfloat16 operations per second, without sparsity, of the H100's data sheet."""


def costs(studies: Iterable[StudyResults]) -> dict[str, str]:
    """Phrases of the page of costs."""
    tables = [results.table for results in studies]
    return {
        "runs": f"{sum(map(len, tables)):,}",
        "hours": f"{sum(float(table['seconds'].sum()) for table in tables) / 3600:.1f}",
    }


def study_costs(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """What one run of each network took, as recorded.

    Returns
    -------
    DataFrame of shape (n_variants, 9)
        study, variant, runs, images (trained in one run), seconds (median per run), fastest,
        slowest, images_per_second (of one worker, median), hours (of all runs, in time of one
        worker). Runs that were stopped early count in `runs` and `hours` only.
    """
    rows = []
    for results in studies:
        table = results.table
        images = results.record["study"]["data"]["train"]
        for variant, runs in table.groupby("variant", sort=False):
            whole = runs[runs["top1"].notna()]
            rows.append(
                {
                    "study": results.name,
                    "variant": variant,
                    "runs": len(runs),
                    "images": int(whole["epochs"].max()) * images,
                    "seconds": float(whole["seconds"].median()),
                    "fastest": float(whole["seconds"].min()),
                    "slowest": float(whole["seconds"].max()),
                    "images_per_second": float(whole["images_per_second"].median()),
                    "hours": float(runs["seconds"].sum()) / 3600,
                }
            )
    return pd.DataFrame(rows)


def grid_point_costs(programme: list[dict]) -> pd.DataFrame:
    """What one training of the thesis's recipe takes on each machine that was measured.

    Parameters
    ----------
    programme : list of dict
        As `benchmarks/programme.py` writes it, one entry a machine.

    Returns
    -------
    DataFrame of shape (n_machines x n_variants, 7)
        machine, model, variant, arithmetic, hours (of the whole machine), floor_hours (the
        arithmetic alone on an H100) and published_hours (NaN where the thesis gives none).
    """
    published = thesis_tables.durations().set_index("model")["hours"]
    rows = [
        {
            "machine": _machine(entry),
            "model": model,
            "variant": variant,
            "arithmetic": study["arithmetic"],
            "hours": one["seconds_per_run"] / entry["workers"] / 3600,
            "floor_hours": OPERATIONS * PASSES * one["macs"] * study["images"] / H100 / 3600,
            "published_hours": float(published[model]) if variant == "unpruned" else float("nan"),
        }
        for entry in programme
        for model, study in entry["studies"].items()
        for variant, one in study["variants"].items()
    ]
    columns = ["machine", "model", "variant", "arithmetic", "hours", "floor_hours"]
    return pd.DataFrame(rows, columns=[*columns, "published_hours"])


def programme_costs(programme: list[dict]) -> pd.DataFrame:
    """What all of the thesis's runs take, on one machine and on several.

    Parameters
    ----------
    programme : list of dict
        As `benchmarks/programme.py` writes it, one entry a machine.

    Returns
    -------
    DataFrame of shape (n_machines x n_models, 7)
        machine, model, runs, one column of days for each number of `MACHINES`, and
        published_days (the runs by the thesis's duration of one, on one machine of its; NaN where
        it gives none). On more machines than runs, each has one at most.
    """
    published = thesis_tables.durations().set_index("model")["hours"]
    rows = []
    for entry in programme:
        for model, study in entry["studies"].items():
            variants = list(study["variants"].values())
            runs = sum(one["runs"] for one in variants)
            work = sum(one["runs"] * one["seconds_per_run"] for one in variants)
            longest = max(one["seconds_per_run"] for one in variants)
            days = {
                _days(number): max(work / number / entry["workers"], longest) / 86400
                for number in MACHINES
            }
            rows.append(
                {
                    "machine": _machine(entry),
                    "model": model,
                    "runs": runs,
                    **days,
                    "published_days": runs * float(published[model]) / 24,
                }
            )
    columns = ["machine", "model", "runs", *map(_days, MACHINES), "published_days"]
    return pd.DataFrame(rows, columns=columns)


def unmeasured(programme: list[dict]) -> str:
    """Sentence on what the tables of the programme do not hold, or blank."""
    if any(entry["device"] != "cpu" for entry in programme):
        return ""
    return (
        "**The thesis's recipe has not been priced on a GPU yet**; `python "
        "benchmarks/programme.py` on a machine with one adds its rows to these tables. "
        "`benchmarks/gpu.md` has what one did."
    )


def _days(machines: int) -> str:
    return f"days_on_{machines}"


def _machine(entry: dict) -> str:
    if entry["device"] != "cpu":
        return f"{entry['device']}, {entry['workers']} at once"
    return f"{count(entry['workers'], 'core')} of {entry['environment']['processor']}"
