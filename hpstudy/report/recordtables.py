"""What a study's record says, as tables: pruned networks, their widths, and how it was run."""

import math
from collections.abc import Iterable

import pandas as pd

from hpstudy.analysis.study_results import StudyResults
from hpstudy.config.words import list_text, number_text
from hpstudy.plots.labels import variant_title

# Facts of the machine that wrote the table, which need not be one that trained.
_PUBLISHER = (
    "workers",
    "python",
    "torchvision",
    "torch_pruning",
    "platform",
    "processor",
    "cores",
)


def certificates(results: StudyResults) -> pd.DataFrame:
    """Outcome of the pruning, a row a variant.

    Returns
    -------
    DataFrame of shape (n_pruned, 9)
        variant, criterion, target and achieved FLOPs ratio (share that remains),
        achieved_torch_pruning (the ratio by that library's counter, which counts batch norm too),
        macs, params, smallest_layer and smallest_width (channels).
    """
    rows = [
        {
            "variant": name,
            "criterion": one["criterion"],
            "target": one["target"],
            "achieved": one["achieved"],
            "achieved_torch_pruning": one.get("achieved_torch_pruning", math.nan),
            "macs": one["macs"],
            "params": one["params"],
            "smallest_layer": one["smallest"]["layer"],
            "smallest_width": one["smallest"]["width"],
        }
        for name, one in results.record["certificates"].items()
    ]
    return pd.DataFrame(rows)


def widths(results: StudyResults) -> pd.DataFrame:
    """Channels that each pruned layer keeps: a row a layer, a column a variant."""
    kept = {name: one["widths"] for name, one in results.record["certificates"].items()}
    frame = pd.DataFrame(kept).rename_axis("layer").reset_index()
    return frame.rename(columns={name: variant_title(name).removesuffix(" FLOPs") for name in kept})


def provenance(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """With what each study was run: a row a fact, a column a study.

    What a record knows only of the machine that published it is marked so.
    """
    columns = {}
    for results in studies:
        record, study = results.record["record"], results.record["study"]
        columns[results.name] = {
            "network": results.title,
            "data": results.scale,
            "holdout": _words(study["data"].get("holdout")),
            "recipe": ", ".join(f"{key} {_words(value)}" for key, value in study["recipe"].items()),
            "prior": ", ".join(f"{key} {_words(value)}" for key, value in study["prior"].items()),
            "learning rates": _words(study["grid"]["lr"]),
            "weight decays": _words(study["grid"]["weight_decay"]),
            "seeds": _words(study["seeds"]),
            "variants": _words(study["variants"]),
            "criterion": _words(study["criterion"]),
            **{_fact(key): _words(value) for key, value in record.items()},
        }
    return pd.DataFrame(columns).rename_axis("fact").reset_index()


def tables(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Published tables, a row each: how much training is in them, and their checksums.

    Returns
    -------
    DataFrame of shape (n_studies, 5)
        study, runs, device ("cpu", or a GPU's name), hours (of all runs, in time of one worker)
        and sha256 of the file.
    """
    rows = [
        {
            "study": one.name,
            "runs": len(one.table),
            "device": list_text(sorted(one.table["device"].unique())),
            "hours": float(one.table["seconds"].sum()) / 3600,
            "sha256": one.checksum,
        }
        for one in studies
    ]
    return pd.DataFrame(rows)


def spent(studies: Iterable[StudyResults]) -> str:
    """Training in all of the studies, by device, in time of one worker, as a phrase."""
    hours = tables(studies).groupby("device", sort=False)["hours"].sum()
    places = {"cpu": "one core of a CPU"}
    return list_text(
        f"{number_text(time, 1)} hours of {places.get(name, f'one worker on a GPU ({name})')}"
        for name, time in hours.items()
    )


def _fact(key: str) -> str:
    return key.replace("_", " ") + ", where published" * (key in _PUBLISHER)


def _words(value: object) -> str:
    """Value of a record as text: lists with commas, numbers short."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else str(value)
