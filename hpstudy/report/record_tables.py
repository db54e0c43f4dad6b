"""Tables of how the studies were run: records, pruned networks, costs and measurements."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from hpstudy.analysis import thesis_tables as thesis
from hpstudy.analysis.study_results import MODEL_TITLES, StudyResults
from hpstudy.config.study import CRITERIA, DENSE
from hpstudy.errors import HpstudyError
from hpstudy.plots.labels import short_title
from hpstudy.report.tables import indexed

MACHINES = (1, 8, 64)
# Multiply-accumulates of a step, forward and backward, over those of one forward pass; and the
# floating-point operations of each.
PASSES, OPERATIONS = 3, 2
H100 = 989e12
"""bfloat16 operations per second, without sparsity, of the H100's data sheet."""


def provenance_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Params and record of each study: a row a key, a column a study."""
    columns = {}
    for study in studies:
        parts = {"study": study.record["study"], "record": study.record["record"]}
        facts = pd.json_normalize(parts).iloc[0]
        columns[study.name] = {key.partition(".")[2]: _listed(facts[key]) for key in facts.index}
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
    return indexed(rows, ["study", "variant"])


def width_table(study: StudyResults) -> pd.DataFrame:
    """Channels that each pruned layer keeps: a row a layer, a column a variant."""
    made = study.record["certificates"]
    return pd.DataFrame({short_title(name): made[name]["widths"] for name in made})


def ranking_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Widths of each non-uniformly pruned network, by either ranking of its filters.

    Returns
    -------
    DataFrame
        "Channels" is blank where a ranking does not reach the share of FLOPs. Studies whose records
        hold no ranking have no rows.

    References
    ----------
    Thesis, section 3.2.3, which does not say by which of them it pruned.
    """
    # Torch takes seconds to import, and no other table needs it.
    from hpstudy.networks.dependency import PrunableNetwork
    from hpstudy.networks.pruning import choose_channels

    rows = []
    for study in studies:
        size, ranking = study.record["study"]["data"]["image_size"], study.record.get("ranking")
        for variant, made in study.record["certificates"].items() if ranking else ():
            if made["method"] != "nonuniform":
                continue
            network = PrunableNetwork(study.model, made["classes"], size)
            for criterion in reversed(CRITERIA):
                try:
                    kept = choose_channels(
                        network.cost, ranking["scores"], "nonuniform", made["target"], criterion
                    )
                except HpstudyError:
                    kept = {}
                widths = [len(channels) for channels in kept.values()]
                rows.append(
                    {
                        "study": study.name,
                        "variant": short_title(variant),
                        "criterion": criterion,
                        "channels": ", ".join(map(str, widths)),
                        "layers with one": widths.count(1),
                    }
                )
    return indexed(rows, ["study", "variant", "criterion"])


def study_cost_table(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Time of one run of each network, as recorded.

    Returns
    -------
    DataFrame
        Seconds of a worker and images per second over the runs that were trained to the end;
        "runs" and "hours" count the others too.
    """
    rows = []
    for study in studies:
        images = study.record["study"]["data"]["train"]
        for variant, runs in study.table.groupby("variant", sort=False):
            whole = runs[runs["top1"].notna()]
            rows.append(
                {
                    "study": study.name,
                    "variant": short_title(str(variant)),
                    "runs": len(runs),
                    "images per run": int(whole["epochs"].max()) * images,
                    "median (s)": float(whole["seconds"].median()),
                    "fastest (s)": float(whole["seconds"].min()),
                    "slowest (s)": float(whole["seconds"].max()),
                    "images/s": round(whole["images_per_second"].median()),
                    "hours of all": float(runs["seconds"].sum()) / 3600,
                }
            )
    return indexed(rows, ["study", "variant"])


def grid_point_cost_table(programme: list[dict[str, Any]]) -> pd.DataFrame:
    """Hours of one training by the thesis's recipe, on a whole machine.

    Parameters
    ----------
    programme : list of dict
        Measurement "programme" (`benchmarks/programme.py`), one entry a machine.

    Returns
    -------
    DataFrame
        Beside the measured hours: the arithmetic alone on an H100, and the thesis's own hours.
    """
    published = thesis.durations().set_index("model")["hours"]
    rows = [
        {
            "machine": _machine(entry),
            "network": MODEL_TITLES[model],
            "variant": short_title(variant),
            "arithmetic": study["arithmetic"],
            "hours": cost["seconds_per_run"] / entry["workers"] / 3600,
            "H100, arithmetic alone (s)": OPERATIONS
            * PASSES
            * cost["macs"]
            * study["images"]
            / H100,
            "thesis (hours)": published[model] if variant == DENSE else None,
        }
        for entry in programme
        for model, study in entry["studies"].items()
        for variant, cost in study["variants"].items()
    ]
    return indexed(rows, ["machine", "network", "variant"])


def programme_cost_table(programme: list[dict[str, Any]]) -> pd.DataFrame:
    """Days of all of the thesis's runs, on one machine and on several.

    Parameters
    ----------
    programme : list of dict
        As for `grid_point_cost_table`.

    Returns
    -------
    DataFrame
        On more machines than runs each has one at most. The thesis's days are its runs by its
        hours of one.
    """
    published = thesis.durations().set_index("model")["hours"]
    rows = []
    for entry in programme:
        for model, study in entry["studies"].items():
            variants = list(study["variants"].values())
            runs = sum(cost["runs"] for cost in variants)
            work = sum(cost["runs"] * cost["seconds_per_run"] for cost in variants)
            longest = max(cost["seconds_per_run"] for cost in variants)
            days = {n: max(work / n / entry["workers"], longest) / 86400 for n in MACHINES}
            rows.append(
                {
                    "machine": _machine(entry),
                    "network": MODEL_TITLES[model],
                    "runs": runs,
                    **{f"days on {n}": value for n, value in days.items()},
                    "thesis (days on one)": runs * published[model] / 24,
                }
            )
    return indexed(rows, ["machine", "network"])


def measurement_table(rows: list[dict[str, Any]], headings: dict[str, str]) -> pd.DataFrame:
    """Rows of a measurement: the named keys, in their order, under their headings."""
    return pd.DataFrame(rows)[list(headings)].rename(columns=headings)


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _machine(entry: dict[str, Any]) -> str:
    device = entry["environment"]["processor"] if entry["device"] == "cpu" else entry["device"]
    return f"{device}, {entry['workers']} workers"
