"""Tables of how the studies were run: records, pruned networks, costs and measurements."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hpstudy.analysis import thesis_data as thesis
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.config.study import DENSE
from hpstudy.plots.labels import short_title
from hpstudy.report.tables import KEYS, indexed

MACHINES = (1, 8, 64)
# Passes of a step in units of one forward pass, and operations of a multiply-accumulate.
PASSES, OPERATIONS = 3, 2
H100 = 989e12
"""bfloat16 operations per second, without sparsity, of the H100's data sheet."""


def provenance_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Params and record of each study: a row a key, a column a study."""
    columns = {}
    for study in studies:
        parts = {name: study.record[name] for name in ("study", "record")}
        facts = pd.json_normalize(parts).iloc[0].dropna()
        columns[study.name] = {key.partition(".")[2]: _text(facts[key]) for key in facts.index}
    return pd.DataFrame(columns, dtype=object).rename_axis("key")


def published_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Runs, hours of one worker and checksum of each published table."""
    rows = [
        {
            "study": study.name,
            "runs": len(study.table),
            "device": ", ".join(sorted(study.table["device"].unique())),
            "hours": float(study.table["seconds"].sum()) / 3600,
            "SHA-256": study.checksum,
        }
        for study in studies
    ]
    return indexed(rows, ["study"])


def certificate_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Share of FLOPs that remains in each pruned network: target, reached, by torch-pruning."""
    rows = [
        {
            "study": study.name,
            "variant": short_title(name),
            "criterion": made["criterion"],
            "target": made["target"],
            "reached": made["achieved"],
            "by torch-pruning": made.get("achieved_torch_pruning"),
            "MACs": made["macs"],
            "parameters": made["params"],
            "narrowest layer": made["smallest"]["layer"],
            "its channels": made["smallest"]["width"],
        }
        for study in studies
        for name, made in study.record["certificates"].items()
    ]
    return indexed(rows, KEYS)


def width_tables(studies: Iterable[StudyResults]) -> dict[str, pd.DataFrame]:
    """Channels of each layer that may be pruned, a column a network, by study."""
    return {
        study.name: pd.DataFrame(study.widths).rename_axis("layer").rename(columns=short_title)
        for study in studies
    }


def grid_point_cost_table(programme: list[dict[str, Any]]) -> pd.DataFrame:
    """Hours of one training by the thesis's recipe, on a whole machine and for the thesis.

    `programme` is the measurement of that name (`benchmarks/programme.py`), one entry a machine.
    """
    costs = _programme(programme).set_index(["machine", "network", "variant"])
    published = costs["thesis (hours)"].where(costs["dense"])
    costs = costs.assign(**{"hours": costs["seconds"] / 3600, "thesis (hours)": published})
    return costs[["arithmetic", "hours", "H100, arithmetic alone (s)", "thesis (hours)"]]


def programme_cost_table(programme: list[dict[str, Any]]) -> pd.DataFrame:
    """Days of all of the thesis's runs, on one machine and on several that share the runs.

    The thesis's days are its runs by its hours of one.
    """
    costs = _programme(programme)
    costs["work"] = costs["runs"] * costs["seconds"]
    costs["longest"] = costs["seconds"] * costs["workers"]
    groups = costs.groupby(["machine", "network"], sort=False)
    table = groups[["runs"]].sum()
    for machines in MACHINES:
        seconds = (groups["work"].sum() / machines).combine(groups["longest"].max(), max)
        table[f"days on {machines}"] = seconds / 86400
    return table.assign(
        **{"thesis (days on one)": table["runs"] * groups["thesis (hours)"].max() / 24}
    )


def gpu_cost_table(
    measured: Mapping[str, Any], population: Mapping[str, Any], runs: int
) -> pd.DataFrame:
    """Seconds of a grid point of ResNet-56 on one GPU, and hours of `runs` of them.

    `measured` and `population` are the measurements `gpu` and `population`: the latter are
    predictions from counts of instructions (`benchmarks/population.py`).
    """
    rows = [
        {"way": row["way"], "basis": f"measured, n = {row['n']}", "seconds": row["seconds"]}
        for row in measured["rows"]
    ]
    rows += [
        {
            "way": f"population, {row['network']} network",
            "basis": f"predicted at {row['instructions a cycle']:g} instructions a cycle",
            "seconds": row["s a grid point"],
        }
        for row in population["predicted"]
        if row["network"] == "dense"
    ]
    table = pd.DataFrame(rows)
    base = table["seconds"].iloc[0]
    table["times the default loop"] = base / table["seconds"]
    table[f"hours for {runs} runs"] = runs * table["seconds"] / 3600
    return table.set_index(["way", "basis"])


def latency_table(measured: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Time of public networks, and of pruned ones as a share of it, a row a network.

    `measured` are the rows of `benchmarks/latency.py`; targets out of reach have no time.
    """
    table: dict[str, dict[tuple[str, str], float | None]] = {}
    for row in measured:
        name = f"{row['network'].rpartition(':')[2]}, {row['pixels']} px"
        line = table.setdefault(name, {("dense", "ms"): 1e3 * row["dense_seconds"]})
        widths = f"multiples of {row['round_to']}" if row["round_to"] else "any widths"
        line[widths, f"{row['flops_ratio']:.0%}"] = row.get("ratio")
    frame = pd.DataFrame.from_dict(table, orient="index")
    # Those of one kind of widths beside each other.
    order = sorted(frame.columns, key=lambda column: (column[0] != "dense", column[0]))
    frame = frame[order].set_axis(pd.MultiIndex.from_tuples(order), axis=1)
    return frame.rename_axis("network")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _programme(programme: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a machine, network and variant; "seconds" are those of a run of a whole machine."""
    published = thesis.durations().set_index("model")["hours"]
    rows = []
    for entry in programme:
        device = entry["environment"]["processor"] if entry["device"] == "cpu" else entry["device"]
        for model, study in entry["studies"].items():
            for variant, cost in study["variants"].items():
                operations = OPERATIONS * PASSES * cost["macs"] * study["images"]
                row = {
                    "machine": f"{device}, {entry['workers']} workers",
                    "network": MODEL_TITLES[model],
                    "variant": short_title(variant),
                    "dense": variant == DENSE,
                    "arithmetic": study["arithmetic"],
                    "runs": cost["runs"],
                    "workers": entry["workers"],
                    "seconds": cost["seconds_per_run"] / entry["workers"],
                    "H100, arithmetic alone (s)": operations / H100,
                    "thesis (hours)": published[model],
                }
                rows.append(row)
    return pd.DataFrame(rows)


def level_set_table(rows: Iterable[Mapping[str, Any]], settings: int = 40) -> pd.DataFrame:
    """What a level set trains of grids of so many settings, and what it misses, a row a network.

    Memberships of the two regions are those that the whole grid has. `d_mean` is the difference of
    the mean risk, in points; the centre moves by so much of half its own 95 % interval.
    """
    return indexed(
        [
            {
                "study": row["table"],
                "variant": short_title(row["network"]),
                "settings": row["n"],
                "trained": f"{100 * row['images']:.0f} %",
                "same in 0.5-ROI": f"{100 * row['same 0.5']:.0f} %",
                "same in 1.0-ROI": f"{100 * row['same 1.0']:.0f} %",
                "missed": f"{round(row['lost'] * row['ROI'])} of {row['ROI']}",
                "change of mean risk": row["d_mean"],
                "move of centre": row["centre"],
            }
            for row in rows
            if row["n"] >= settings
        ],
        KEYS,
    )
