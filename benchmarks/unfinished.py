"""Whether the curves of unfinished runs say more per image than whole runs do.

python benchmarks/unfinished.py

What a setting is worth is predicted by one run: whole, or cut off after some epochs, each by the
line that fits best over a network's settings near its best. A run leaves a variance of what it
predicts; what it says is the precision that it adds. The ratio is that of a run cut off over that
of a whole one, per image.
"""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from common import markdown

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
TABLES = ("cpu-mobilenetv2", "cpu-resnet20", "small-resnet20")
# Points below the best within which a setting counts: what retuning decides among.
NEAR = 6.0
SHARES = (0.25, 0.5, 0.75, 1.0)


def pairs_of(runs: pd.DataFrame, share: float) -> np.ndarray:
    """Accuracies (early one, other seed's last one) of all pairs of seeds of a setting."""
    found = []
    for _, own in runs.groupby(["lr", "weight_decay"]):
        for (_, one), (_, other) in permutations(own.iterrows(), 2):
            curve = one["curve"]
            found.append((curve[max(round(share * len(curve)) - 1, 0)], other["top1"]))
    return np.array(found)


def rows() -> list[dict[str, object]]:
    """What a run that is cut off says per image, over what a whole one does."""
    table = []
    for name in TABLES:
        runs = pd.read_csv(RESULTS / f"{name}.csv").dropna(subset="top1")
        runs["curve"] = [json.loads(curve)["top1"] for curve in runs["curve"]]
        for variant, own in runs.groupby("variant"):
            means = own.groupby(["lr", "weight_decay"])["top1"].transform("mean")
            near = own[means >= means.max() - NEAR]
            groups = near.groupby(["lr", "weight_decay"])["top1"]
            noise = float(groups.var().dropna().mean())
            said = {}
            for share in SHARES:
                early, last = pairs_of(near, share).T
                before = last.var(ddof=1) - noise
                left = last - np.polyval(np.polyfit(early, last, 1), early)
                said[share] = 1 / max(left.var(ddof=2) - noise, 1e-9) - 1 / before
            for share in SHARES[:-1]:
                table.append(
                    {"study": name, "network": variant, "share of epochs": share}
                    | {"pairs": len(early), "ratio": said[share] / said[1.0] / share}
                )
    return table


if __name__ == "__main__":
    found = pd.DataFrame(rows())
    print(markdown(found.round(2).to_dict("records")))
    print(found.groupby("share of epochs")["ratio"].describe().round(2))
