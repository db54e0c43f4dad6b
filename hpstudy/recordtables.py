"""What a study's record says, as tables: pruned networks, their widths, and how it was run."""

import math
from collections.abc import Iterable

import pandas as pd

from hpstudy.results import Results, variant_title


def certificates(results: Results) -> pd.DataFrame:
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


def widths(results: Results) -> pd.DataFrame:
    """Channels that each pruned layer keeps: a row a layer, a column a variant."""
    kept = {name: one["widths"] for name, one in results.record["certificates"].items()}
    frame = pd.DataFrame(kept).rename_axis("layer").reset_index()
    return frame.rename(columns={name: variant_title(name).removesuffix(" FLOPs") for name in kept})


def provenance(studies: Iterable[Results]) -> pd.DataFrame:
    """With what each study was run: a row a fact, a column a study."""
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
            **{key.replace("_", " "): _words(value) for key, value in record.items()},
        }
    return pd.DataFrame(columns).rename_axis("fact").reset_index()


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
