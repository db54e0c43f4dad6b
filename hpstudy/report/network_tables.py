"""Tables of public networks that can be pruned, from the rows of `benchmarks/networks_any.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hpstudy.report.notebook import MISSING

Row = Mapping[str, Any]
# A target counts as reached within this share of the dense network's FLOPs.
TOLERANCE = 1e-3


def reach_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Exact groups, the smallest share of the FLOPs, and the shares reached, a row a network.

    Inside blocks, a share is the farther one of uniform and non-uniform pruning.
    """
    table = {}
    for row in rows:
        reached, floor = row.get("reached", {}), row.get("floor", {})
        exact = row.get("exact", {})
        table[_name(row)] = {
            ("channel groups", "inside"): exact.get("inside"),
            ("channel groups", "all"): sum(exact.values()) if exact else None,
            ("channel groups", "not pruned"): sum(n for n, _ in row.get("reasons", {}).values()),
            ("lowest", "inside"): _percent(floor.get("inside")),
            ("lowest", "all"): _percent(floor.get("all")),
            ("reached inside", "60 %"): _percent(_farther(reached, 0.6)),
            ("reached inside", "30 %"): _percent(_farther(reached, 0.3)),
            ("reached inside", "30 %, by 8"): _percent(_rounded(row, "inside")),
            ("reached, all", "30 %"): _percent(reached.get("all nonuniform 0.3")),
        }
    frame = pd.DataFrame.from_dict(table, orient="index")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return frame.rename_axis("network")


def checks_table(rows: Iterable[Row]) -> pd.DataFrame:
    """What comes of each pruned network: errors, rebuilding, training, export, and its time."""
    table = {}
    for row in rows:
        used = row.get("rounded", {})
        time = used.get("latency", {})
        table[_name(row)] = {
            "error in float64": _scientific(row.get("error")),
            "MACs as computed": row.get("macs"),
            "rebuilt": used.get("rebuilt"),
            "trains": used.get("trained"),
            "ONNX error": _scientific(used.get("onnx")),
            "FLOPs": _percent(used.get("reached")),
            "time": f"{time['ratio']:.2f} ({time['low']:.2f} to {time['high']:.2f})"
            if time
            else MISSING,
            "seconds": row["seconds"],
        }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("network")


def reason_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Why groups are not pruned: kind, their number, and one sentence, a row a network and kind."""
    found = [
        {"network": _name(row), "groups": number, "reason": kind, "for example": sentence}
        for row in rows
        for kind, (number, sentence) in row.get("reasons", {}).items()
    ]
    found += [
        {"network": _name(row), "groups": None, "reason": "refused", "for example": row["refused"]}
        for row in rows
        if "refused" in row
    ]
    columns = ["groups", "reason", "for example"]
    frame = pd.DataFrame(found, columns=["network", *columns]).set_index("network")
    return frame.astype({"groups": "Int64"})


def reach_counts(rows: Iterable[Row]) -> dict[str, int]:
    """Numbers of networks: all, those with exact groups, and those that reach a share."""
    rows = list(rows)

    def count(held: Iterable[bool]) -> int:
        return sum(held)

    return {
        "networks": len(rows),
        "prunable": count(bool(sum(row.get("exact", {}).values())) for row in rows),
        "groups": sum(sum(row.get("exact", {}).values()) for row in rows),
        "at_60": count(_reaches(row, 0.6) for row in rows),
        "at_30": count(_reaches(row, 0.3) for row in rows),
        "all_at_30": count(
            abs(row.get("reached", {}).get("all nonuniform 0.3", 1) - 0.3) <= TOLERANCE
            for row in rows
        ),
        "exported": count("onnx" in row.get("rounded", {}) for row in rows),
        "cut": count("rounded" in row for row in rows),
        "rebuilt": count(row.get("rounded", {}).get("rebuilt", False) for row in rows),
        "trained": count(row.get("rounded", {}).get("trained", False) for row in rows),
    }


def _name(row: Row) -> str:
    return f"{row['network'].rpartition(':')[2]}, {row['pixels']} px"


def _farther(reached: Mapping[str, float], ratio: float) -> float | None:
    shares = [reached.get(f"inside {method} {ratio}") for method in ("uniform", "nonuniform")]
    return max((x for x in shares if x is not None), key=lambda x: abs(x - ratio), default=None)


def _reaches(row: Row, ratio: float) -> bool:
    share = _farther(row.get("reached", {}), ratio)
    return share is not None and abs(share - ratio) <= TOLERANCE


def _rounded(row: Row, scope: str) -> float | None:
    used = row.get("rounded", {})
    share: float | None = used["reached"] if used.get("scope") == scope else None
    return share


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _scientific(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0e}".replace("e-", "e−")
