"""How often the intervals hold the truth, on simulated landscapes of which it is known.

    python benchmarks/coverage.py [--simulations 60] [--only PART] [--output FILE.csv]

A simulation is a pair of noisy sweeps over two decades of learning rate and of weight decay: a
dense network and a pruned one whose landscape has the same shape, moved by 0, 0.2 or 0.5 decades;
or no shape at all (flat). The pair is analysed as a table of runs is, and each interval compared
with the same quantity of the landscapes without noise. A setting is a number of seeds, a steepness,
a number of settings, and a grid (shared by both networks) or two random searches (not shared).
"""

import argparse
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from common import machine, markdown

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.regions import fit_ellipses, roi
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.training.device import cores

SHIFTS = (0.0, 0.2, 0.5)
THRESHOLD = 1.0
HALF = 1.0
"""Decades from the middle of either axis to its ends."""


class Setting(NamedTuple):
    """A simulated sweep; the noise of a run is 1 point at the middle of the learning rates."""

    slope: str
    seeds: int
    points: int
    design: str
    growth: float = 0.0
    shared: float = 0.0

    def __str__(self) -> str:
        more = f", noise x 10^({self.growth:g} log lr)" if self.growth else ""
        more += f", seeds share {self.shared:.0%}" if self.shared else ""
        return f"{self.slope}, {self.seeds} seeds, {self.points} {self.design}{more}"


SLOPES = {"flat": (0.0, 0.0), "moderate": (2.0, 1.0), "steep": (8.0, 2.0)}
MAIN = tuple(
    Setting(slope, seeds, points, design)
    for slope, points, design, seeds in product(
        SLOPES, (25, 81, 300), ("grid", "random"), (1, 2, 5, 10, 20)
    )
)
PARTS = {
    "main": MAIN,
    # What a test of seconds goes through.
    "short": (
        Setting("flat", 5, 25, "grid"),
        Setting("flat", 1, 49, "random"),
        Setting("moderate", 2, 49, "grid"),
        Setting("moderate", 1, 49, "random"),
        Setting("steep", 1, 81, "grid"),
        Setting("steep", 2, 49, "random"),
    ),
    # What published tables show: noise that grows, and seeds that share a third.
    "noise": tuple(
        Setting(slope, seeds, 81, "grid", growth, shared)
        for slope, seeds, (growth, shared) in product(
            ("moderate", "steep"), (1, 2, 5, 10), ((0.4, 0.0), (0.0, 0.3), (0.4, 0.8))
        )
    ),
}

# What the tables of each part have a row for.
TABLES = {
    "main": (["slope", "seeds"], ["points", "design"]),
    "short": (["slope", "seeds", "points", "design"],),
    "noise": (["slope", "seeds", "growth", "shared"],),
}


# --- landscapes whose truth is known --------------------------------------------------------------

# Points lost at decades across and along the inverse band.
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def quadratic_band(steep: float, flat: float) -> Loss:
    return lambda across, along: steep * across**2 + flat * along**2


def skewed_band(steep: float, flat: float) -> Loss:
    """Up to three times as steep on the side of large learning rates and weight decays."""
    return lambda across, along: steep * across**2 * (1 + np.tanh(2 * across) / 2) + flat * along**2


def rounded_cone(steep: float, flat: float) -> Loss:
    """Straight slopes: as steep far away as near, which no quadratic is."""
    return lambda across, along: (
        steep * 0.3 * (np.hypot(1, across / 0.3) - 1) + flat * 0.5 * (np.hypot(1, along / 0.5) - 1)
    )


FAMILIES = (quadratic_band, skewed_band, rounded_cone)


class World(NamedTuple):
    """A pair of sweeps, and the noise-free landscape of each network."""

    table: pd.DataFrame
    truths: tuple[Callable[[np.ndarray], np.ndarray], ...]


def world(setting: Setting, generator: np.random.Generator) -> World:
    """Simulated pair of sweeps."""
    family = FAMILIES[generator.integers(len(FAMILIES))]
    factor = generator.uniform(0.7, 1.4)
    loss = family(*(factor * x for x in SLOPES[setting.slope]))
    centre, moved = generator.uniform(-0.3, 0.3, 2), float(generator.choice(SHIFTS))
    turn = generator.uniform(0, 2 * np.pi)
    other = centre + moved * np.array([np.cos(turn), np.sin(turn)])
    rows, truths = [], []
    for variant, top, middle in (("unpruned", 80.0, centre), ("uniform-0.5", 78.0, other)):

        def truth(logs: np.ndarray, top: float = top, middle: np.ndarray = middle) -> np.ndarray:
            x, y = (logs - middle).T
            return top - loss((x + y) / math.sqrt(2), (x - y) / math.sqrt(2))

        truths.append(truth)
        logs = places(setting, generator)
        own = math.sqrt(1 - setting.shared) * 10 ** (setting.growth * logs[:, 0])
        for seed in range(setting.seeds):
            together = math.sqrt(setting.shared) * generator.standard_normal()
            values = truth(logs) + together + own * generator.standard_normal(len(logs))
            rows += [
                (variant, *10**at, seed, value) for at, value in zip(logs, values, strict=True)
            ]
    columns = ["variant", "lr", "weight_decay", "seed", "top1"]
    return World(pd.DataFrame(rows, columns=columns), tuple(truths))


def places(setting: Setting, generator: np.random.Generator) -> np.ndarray:
    """Settings of one network as log10, of shape (n_points, 2)."""
    if setting.design == "random":
        return generator.uniform(-HALF, HALF, (setting.points, 2))
    first = math.isqrt(setting.points)
    ticks = [np.linspace(-HALF, HALF, n) for n in (first, setting.points // first)]
    return np.array(list(product(*ticks)))


# --- quantities -----------------------------------------------------------------------------------


def simulate(number: int, setting: Setting, threshold: float = THRESHOLD) -> Iterator[dict]:
    """One row for each quantity of simulation `number`: the interval and the truth."""
    pair = world(setting, np.random.default_rng([number, *map(ord, str(setting))]))
    analysis = StudyAnalysis(landscapes(pair.table))
    dense, other = analysis.landscapes.values()
    true = [truth(one.logs) for truth, one in zip(pair.truths, (dense, other), strict=True)]
    drawn = analysis.draws(dense.variant)
    ends = np.quantile(drawn, (0.025, 0.975), axis=0)
    yield row(
        "every point", np.mean((ends[0] <= true[0]) & (true[0] <= ends[1])), *np.nan * ends[:, 0]
    )

    kept = dense.best_row
    yield row("value at the measured best", true[0][kept], *ends[:, kept])
    loss = analysis.transfer_regret(other.variant)
    at_kept = float(pair.truths[1](dense.logs[[kept]])[0])
    yield row("loss of keeping, at most", max(true[1].max() - at_kept, 0), 0.0, loss.at_most)
    yield row("loss of keeping, at least", max(true[1].max() - at_kept, 0), loss.at_least, np.inf)

    shape = analysis.shape(dense.variant, threshold)
    exact = fit_ellipses(dense.logs, roi(true[0][None], threshold))
    yield row("length", exact.length[0], *shape.length[1:])
    yield row("width", exact.width[0], *shape.width[1:])
    yield row("centre, lr", exact.first[0], *shape.first[1:])
    yield row("centre, weight decay", exact.second[0], *shape.second[1:])

    both = analysis.pair(other.variant)
    here, there = (truth(both.logs) for truth in pair.truths)
    centres = [fit_ellipses(both.logs, roi(one[None], threshold)) for one in (here, there)]
    shift = analysis.shift(other.variant, threshold).shift_components
    yield row("shift, lr", centres[1].first[0] - centres[0].first[0], *shift[0][1:])
    wd = centres[1].second[0] - centres[0].second[0]
    yield row("shift, weight decay", wd, *shift[1][1:])
    inside = roi(here[None], threshold)[0]
    mean = float((there.max() - there[inside]).mean())
    risk = analysis.risk(other.variant, threshold).mean
    yield row("mean risk, at most", mean, 0.0, risk.high)


def row(quantity: str, true: float, low: float, high: float) -> dict:
    return {"quantity": quantity, "true": true, "low": low, "high": high}


def covered(rows: pd.DataFrame) -> pd.Series:
    """Whether each interval holds its truth; equal numbers may differ in the last bits."""
    inside = (rows["low"] <= rows["true"] + 1e-9) & (rows["true"] <= rows["high"] + 1e-9)
    return inside.astype(float).where(rows["quantity"] != "every point", rows["true"])


def summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Coverage in percent of each quantity (columns) in groups of simulations (rows)."""
    known = rows["true"].notna() & (rows["low"].notna() | (rows["quantity"] == "every point"))
    rows = rows[known].assign(covered=lambda all_rows: 100 * covered(all_rows))
    order = list(dict.fromkeys(rows["quantity"]))
    return rows.pivot_table("covered", by, "quantity", sort=False)[order]


def rows_of(job: tuple[int, Setting]) -> list[dict]:
    number, setting = job
    return [{**setting._asdict(), "simulation": number, **one} for one in simulate(*job)]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=60, help="of each setting")
    parser.add_argument("--only", choices=PARTS, default="main", help="which settings")
    parser.add_argument("--output", type=Path, help="CSV of every interval; gone on with")
    parser.add_argument("--workers", type=int, default=cores())
    given = parser.parse_args(words)
    jobs = [(k, one) for k in range(given.simulations) for one in PARTS[given.only]]
    rows: list[dict] = []
    # One thread a process, before the processes begin: small products gain nothing from more.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for k, found in enumerate(pool.map(rows_of, jobs, chunksize=4)):
            rows += found
            if given.output and k % 100 == 99:
                pd.DataFrame(rows).to_csv(given.output, index=False)
    table = pd.DataFrame(rows)
    if given.output:
        table.to_csv(given.output, index=False)
    print(f"{machine()}; {given.simulations} pairs a setting, regions of {THRESHOLD:g} point\n")
    for by in TABLES[given.only]:
        found = summary(table, by).map("{:.0f}".format).reset_index()
        print(markdown(found.astype(str).to_dict("records")) + "\n")


if __name__ == "__main__":
    main()
