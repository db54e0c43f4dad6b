"""What faults, large clusters, repeated runs and the whole recipe were seen to do."""

from collections import Counter
from statistics import median
from typing import Any, NamedTuple

import pandas as pd

from hpstudy.analysis.study_results import MODEL_TITLES
from hpstudy.analysis.thesis_tables import table_3_4
from hpstudy.config.words import list_text
from hpstudy.errors import count

# Evidence by the name of its file, and what writes it.
COMMANDS = {
    "refusals": "python benchmarks/badinput.py",
    "soak": "python benchmarks/soak.py --output book/measurements/soak.json",
    "cluster": "python benchmarks/cluster.py --output book/measurements/cluster.json",
    "scaling": "python benchmarks/scaling.py --million --output book/measurements/scaling.json",
    "reruns": "python benchmarks/rerun.py TABLE.csv --output book/measurements/reruns.json",
    "recipe": "python benchmarks/gpu.py accuracy --epochs 180 --output book/measurements/recipe.json",
}
# Below this share of the GPUs' time a cluster is not used well; a driver that is at work for more
# than this share of the time, or a store that gets more than this share of the rows that it takes,
# is the reason.
ENOUGH, BUSY = 0.8, 0.5


class Bottleneck(NamedTuple):
    """Cluster whose GPUs wait for the process that hands out the runs and records them.

    Attributes
    ----------
    gpus : int
        The fewest that were seen to wait.
    efficiency : float
        Share of the GPUs' time that became recorded runs, in [0, 1].
    driver : float
        Share of the time that the driver was at work, in [0, 1].
    rows : float
        Rows that were recorded in a second.
    store : float
        The same over what the store takes when nothing else is done.
    """

    gpus: int
    efficiency: float
    driver: float
    rows: float
    store: float


def withstood(measured: dict[str, Any]) -> dict[str, str]:
    """Phrases of the pages on faults and on runs; blank where nothing has been measured.

    Parameters
    ----------
    measured : dict
        As `hpstudy.analysis.study_results.read_evidence` returns it.

    Returns
    -------
    dict of str to str
        Name of the evidence -> sentences.
    """
    say = {
        "refusals": _refused,
        "soak": _killed,
        "cluster": _nodes_lost,
        "scaling": _scaled,
        "reruns": _rerun,
        "recipe": _recipe,
    }
    return {name: say[name](found) if (found := measured[name]) else "" for name in COMMANDS}


def unmeasured(name: str) -> str:
    """Sentence in Markdown that says which command measures evidence that is not there."""
    return f"**Not measured yet.** `{COMMANDS[name]}` writes it."


def refusal_tables(refusals: list[dict[str, str]]) -> dict[str, pd.DataFrame]:
    """Bad inputs and the sentences that they are refused with.

    Parameters
    ----------
    refusals : list of dict
        As `benchmarks/badinput.py` writes them.

    Returns
    -------
    dict of str to DataFrame
        Kind of input, in the order in which they come -> columns input and refused_with.
    """
    frame = pd.DataFrame(refusals).rename(columns={"sentence": "refused_with"})
    return {
        str(kind): some[["input", "refused_with"]]
        for kind, some in frame.groupby("kind", sort=False)
    }


def kills(soak: dict[str, Any]) -> pd.DataFrame:
    """What was killed and what that changed, a row a victim (`benchmarks/soak.py`)."""
    return pd.DataFrame(soak["rows"])


def cluster_log(cluster: dict[str, Any]) -> pd.DataFrame:
    """What happened on a cluster: seconds and event (`benchmarks/cluster.py`)."""
    return pd.DataFrame(cluster["events"])[["seconds", "event"]]


def scaling_table(scaling: dict[str, Any]) -> pd.DataFrame:
    """Simulated clusters, by the length of their runs and their size (`benchmarks/scaling.py`).

    Returns
    -------
    DataFrame of shape (n_points, 8)
        run_seconds, gpus, runs, makespan_hours, efficiency and driver_busy (shares, in [0, 1]),
        rows_per_second (over the makespan) and lost (attempts that ended with their node).
    """
    frame = pd.DataFrame(scaling["points"]).sort_values(["run_seconds", "gpus", "runs"])
    frame["makespan_hours"] = frame["makespan_seconds"] / 3600
    columns = ["run_seconds", "gpus", "runs", "makespan_hours", "efficiency", "driver_busy"]
    return frame[[*columns, "rows_per_second", "lost"]]


def store_rates(scaling: dict[str, Any]) -> pd.DataFrame:
    """Rows that a store takes in a second, by how many are recorded at once.

    Returns
    -------
    DataFrame of shape (n_batches, 5)
        batch (rows in one transaction), n, rows_per_second (median), slowest_rate, fastest_rate.
    """
    rows = [
        {
            "batch": one["batch"],
            "n": len(one["rows_per_second"]),
            "rows_per_second": float(median(one["rows_per_second"])),
            "slowest_rate": float(min(one["rows_per_second"])),
            "fastest_rate": float(max(one["rows_per_second"])),
        }
        for one in scaling["store"]
    ]
    return pd.DataFrame(rows)


def reruns_table(reruns: dict[str, Any]) -> pd.DataFrame:
    """Rows of published tables that were trained again (`benchmarks/rerun.py`).

    Returns
    -------
    DataFrame of shape (n_rows, 9)
        study, run_id, variant, lr, weight_decay, seed, top1 (as published, percent), again (the
        same of the repeated run) and equal ("yes" or "no": whether all results are).
    """
    return pd.DataFrame(reruns["rows"])


def recipe_table(recipe: dict[str, Any]) -> pd.DataFrame:
    """Trainings at the thesis's prior beside Table 3.4 (`benchmarks/gpu.py accuracy`).

    Returns
    -------
    DataFrame
        model, epochs, arithmetic, seed, lr, weight_decay, top1 (percent, after the last epoch),
        best_top1 (of any epoch), seconds, and published_top1.
    """
    frame = pd.DataFrame(recipe["rows"])
    columns = ["model", "epochs", "arithmetic", "seed", "lr", "weight_decay"]
    frame = frame[[*columns, "top1", "best_top1", "seconds"]]
    published = table_3_4()[["model", "top1"]].rename(columns={"top1": "published_top1"})
    return frame.merge(published, on="model", how="left")


def bottlenecks(scaling: dict[str, Any]) -> dict[float, Bottleneck | None]:
    """Where clusters begin to wait for their driver, which also writes the store.

    Parameters
    ----------
    scaling : dict
        As `benchmarks/scaling.py` writes it.

    Returns
    -------
    dict of float to Bottleneck or None
        Seconds of a run -> the smallest cluster of less than `ENOUGH` efficiency whose driver was
        at work for more than `BUSY` of the time, or None.
    """
    highest = store_rates(scaling)["rows_per_second"].max()
    found: dict[float, Bottleneck | None] = {}
    for one in scaling_table(scaling).itertuples():
        if found.setdefault(one.run_seconds) is None and one.efficiency < ENOUGH:
            if one.driver_busy > BUSY:
                rows = one.rows_per_second
                found[one.run_seconds] = Bottleneck(
                    one.gpus, one.efficiency, one.driver_busy, rows, rows / highest
                )
    return found


def _refused(refusals: list[dict[str, str]]) -> str:
    counts = Counter(one["kind"] for one in refusals)
    kinds = list_text(f"{kind} {number:,}" for kind, number in counts.items())
    return f"{len(refusals):,} bad inputs, each refused with one sentence ({kinds})."


def _killed(soak: dict[str, Any]) -> str:
    total = kills(soak)[["kills", "rows that differ", "runs trained again"]].sum()
    number, differ, again = (int(value) for value in total)
    return (
        f"{count(number, 'kill')} at random moments; rows that differ from an undisturbed "
        f"sweep's: {differ:,}; recorded runs that were trained again: {again:,}."
    )


def _nodes_lost(cluster: dict[str, Any]) -> str:
    said = cluster["summary"]
    return (
        "A sweep on a Ray cluster that lost a node, and was then killed itself, ended with "
        f"{count(said['rows'], 'row')}; rows that differ from a local sweep's: "
        f"{said['differences']:,}; recorded runs that were trained again: "
        f"{said['trained_twice']:,}."
    )


def _scaled(scaling: dict[str, Any]) -> str:
    found = bottlenecks(scaling)
    sentences = [_waiting(seconds, one) for seconds, one in found.items() if one is not None]
    without = [_length(seconds) for seconds, one in found.items() if one is None]
    if without:
        most = max(one["gpus"] for one in scaling["points"])
        sentences.append(
            f"With runs of {list_text(without)}, GPUs wait for neither driver nor store on any "
            f"cluster that was simulated, up to {count(most, 'GPU')}."
        )
    return " ".join(sentences)


def _rerun(reruns: dict[str, Any]) -> str:
    table = reruns_table(reruns)
    return (
        f"{count(len(table), 'row')}, drawn at random from {list_text(table['study'].unique())} "
        f"and trained again: {(table['equal'] == 'yes').sum():,} came out equal in every digit of "
        "every result."
    )


def _recipe(recipe: dict[str, Any]) -> str:
    table = recipe_table(recipe)
    first, top1 = table.iloc[0], table["top1"].mean()
    gap = top1 - first["published_top1"]
    return (
        f"By the thesis's recipe, {first['epochs']} epochs at its prior, "
        f"{MODEL_TITLES[first['model']]} came to {top1:.2f}\N{NO-BREAK SPACE}% "
        f"({count(len(table), 'training')}), {abs(gap):.2f} points "
        f"{'below' if gap < 0 else 'above'} the single one of Table 3.4."
    )


def _waiting(seconds: float, found: Bottleneck) -> str:
    what = "the store" if found.store > BUSY else "the scheduler"
    return (
        f"With runs of {_length(seconds)}, GPUs wait for {what} on clusters of {found.gpus:,} and "
        f"more: {_percent(found.efficiency)} of their time is used while the driver is at work "
        f"for {_percent(found.driver)} of the time, and records {found.rows:,.0f} rows a second, "
        f"{_percent(found.store)} of what the store takes when nothing else is done."
    )


def _length(seconds: float) -> str:
    return f"{seconds:g}\N{NO-BREAK SPACE}s"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
