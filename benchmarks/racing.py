"""What racing would have saved on a complete published table, and what it would have cost.

    python benchmarks/racing.py book/results/STUDY.csv [--deviations 1 1.5 2]

Replays `hpstudy.training.early_stopping`, level by level, on runs that were all trained to the
end, and counts the images that it would have trained. Two other rules run on the same levels:
stopping the lower half of a level by accuracy halfway through, and successive halving (after 1, 2,
4, ... epochs the lower half). Both keep the settings of the dense network's region of interest.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine, markdown

from hpstudy.analysis.regions import fit_ellipse
from hpstudy.config.grid import Grid, Point
from hpstudy.training import early_stopping as racing
from hpstudy.training.early_stopping import Race

# Whether each of the raced runs of a level is stopped, and after how many epochs: rows by index.
Rule = Callable[[pd.DataFrame, pd.DataFrame, float], dict[int, int]]


def race(runs: pd.DataFrame, finished: pd.DataFrame, threshold: float) -> dict[int, int]:
    """What `hpstudy run` does with `racing: true`."""
    reference = Race(
        tuple(zip(finished["lr"], finished["weight_decay"], strict=True)),
        tuple(tuple(curve["train_loss"]) for curve in finished["curve"]),
        tuple(finished["value"]),
        threshold,
    )
    stopped = {}
    for run in runs.itertuples():
        losses = run.curve["train_loss"]
        for epoch in range(1, len(losses)):
            if reference.stop_reason(run.lr, run.weight_decay, losses[:epoch]):
                stopped[run.Index] = epoch
                break
    return stopped


def half_by_half(runs: pd.DataFrame, finished: pd.DataFrame, threshold: float) -> dict[int, int]:
    """Stop the lower half of the runs by accuracy after half of the epochs."""
    return _lower_half(runs, max(len(curve["top1"]) for curve in runs["curve"]) // 2)


def successive_halving(runs: pd.DataFrame, finished: pd.DataFrame, threshold: float):
    """Stop the lower half of those that are left after 1, 2, 4, ... epochs."""
    stopped, epoch = {}, 1
    while epoch < max(len(curve["top1"]) for curve in runs["curve"]):
        stopped |= _lower_half(runs.drop(index=list(stopped)), epoch)
        epoch *= 2
    return stopped


def _lower_half(runs: pd.DataFrame, epoch: int) -> dict[int, int]:
    now = runs["curve"].map(lambda curve: curve["top1"][min(epoch, len(curve["top1"])) - 1])
    return dict.fromkeys(now.sort_values(kind="stable").index[: len(now) // 2], epoch)


OTHERS: dict[str, Rule] = {
    "half the epochs, half the runs": half_by_half,
    "successive halving": successive_halving,
}


def levels(table: pd.DataFrame, prior: Point) -> list[list[tuple[float, float]]]:
    """Points of a table's grid, coarse to fine, as a sweep trains them."""
    axes = {name: tuple(sorted(table[name].unique())) for name in ("lr", "weight_decay")}
    return [
        [(point.lr, point.weight_decay) for point in level] for level in Grid(**axes).levels(prior)
    ]


def region(values: pd.Series, threshold: float) -> set:
    """Points of an x-ROI (equation 3.3)."""
    return set(values.index[values >= values.max() - threshold - 1e-9])


def replay(one: pd.DataFrame, order, exempt: set, rule: Rule, threshold: float) -> dict[int, int]:
    """Runs of one variant that would have been stopped, and after how many epochs."""
    stopped: dict[int, int] = {}
    keys = one.set_index(["lr", "weight_decay"]).index
    for number, points in enumerate(order):
        if number == 0:
            continue
        earlier = {point for level in order[:number] for point in level}
        finished = one[keys.isin(list(earlier)) & ~one.index.isin(list(stopped))]
        runs = one[keys.isin([point for point in points if point not in exempt])]
        if len(runs):
            stopped |= rule(runs, finished, threshold)
    return stopped


def compare(table: pd.DataFrame, prior: Point, threshold: float, rule: Rule) -> list[dict]:
    """Row of figures for each variant under one rule."""
    order, rows = levels(table, prior), []
    dense = table[table["variant"] == "unpruned"].set_index(["lr", "weight_decay"])["value"]
    for variant, one in table.groupby("variant", sort=False):
        exempt = region(dense, threshold) if variant != "unpruned" else set()
        stopped = replay(one, order, exempt, rule, threshold)
        epochs = one["curve"].map(lambda curve: len(curve["top1"]))
        trained = sum(stopped.get(index, count) for index, count in epochs.items())
        full = one.set_index(["lr", "weight_decay"])["value"]
        left = one.drop(index=list(stopped)).set_index(["lr", "weight_decay"])["value"]
        row = {
            "variant": variant,
            "runs": len(one),
            "stopped": len(stopped),
            "images": trained / epochs.sum(),
        }
        for width in sorted({0.5, 1.0, threshold}):
            true, found = region(full, width), region(left, width)
            row[f"{width}-ROI"] = f"{len(true)}, {len(true - found)} lost, {len(found - true)} new"
            row[f"same, {width}"] = 1 - len(true ^ found) / len(one)
        ends = [fit_ellipse(np.log10(list(region(v, 1.0)))) for v in (full, left)]
        row["centre moved"] = math.dist(ends[0].centre, ends[1].centre) if all(ends) else math.nan
        inside = list(region(dense, 0.5))
        risks = [v.max() - v.reindex(inside).mean() for v in (full, left)]
        row["risk changed"] = abs(risks[0] - risks[1])
        rows.append(row)
    return rows


def read(path: Path, metric: str) -> tuple[pd.DataFrame, Point]:
    """Table with its curves, and the prior, of the first seed of a published study."""
    table = pd.read_csv(path)
    table = table[table["seed"] == table["seed"].min()].reset_index(drop=True)
    table["curve"] = table["curve"].map(json.loads)
    prior = json.loads(path.with_suffix(".json").read_text())["study"]["prior"]
    return table.assign(value=table[metric]), Point(**prior)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--metric", default="top1")
    parser.add_argument("--threshold", type=float, default=1.0, help="of the region raced to")
    parser.add_argument("--deviations", nargs="+", type=float, default=[racing.DEVIATIONS])
    given = parser.parse_args()
    rows = []
    for path in given.tables:
        table, prior = read(path, given.metric)
        for deviations in given.deviations:
            racing.DEVIATIONS = deviations
            for row in compare(table, prior, given.threshold, race):
                rows.append({"table": path.stem, "rule": f"race, {deviations:g} SD", **row})
        for name, rule in OTHERS.items():
            for row in compare(table, prior, given.threshold, rule):
                rows.append({"table": path.stem, "rule": name, **row})
    print(machine(), "\n")
    print(markdown([{key: shown(key, value) for key, value in row.items()} for row in rows]))


def shown(key: str, value: object) -> object:
    """A cell in the form that suits its column."""
    if key == "images" or key.startswith("same"):
        return f"{value:.0%}"
    if isinstance(value, (float, np.floating)):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return value


if __name__ == "__main__":
    main()
