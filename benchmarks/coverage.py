"""How often the intervals hold the truth, on simulated landscapes of which it is known.

    python benchmarks/coverage.py [--simulations 400] [--threshold 1.0]

A simulation is a pair of noisy 9x9 grids a quarter of a decade apart: a dense network and a pruned
one whose landscape has the same shape, moved by 0, 0.2 or 0.5 decades. The pair is analysed as a
table of runs is, and each interval compared with the same quantity of the landscapes without noise.
"""

import argparse
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pandas as pd
from common import machine, markdown
from scipy.stats import spearmanr

from hpstudy.analysis import Analysis, best_row
from hpstudy.intervals import Interval
from hpstudy.landscape import Landscape, landscapes
from hpstudy.machine import cores
from hpstudy.risk import risk

POINTS, STEP = 9, 0.25
SHIFTS = (0.0, 0.2, 0.5)
THRESHOLD = 1.0
AXES = ("lr", "weight_decay")


class Setting(NamedTuple):
    """Runs of a simulated sweep: their noise, seeds everywhere, and more in the measured region."""

    noise: float
    seeds: int
    replicates: int

    def __str__(self) -> str:
        more = f" + {self.replicates} in the region" if self.replicates else ""
        return f"noise {self.noise:g}, seeds {self.seeds}{more}"


SETTINGS = (Setting(0.5, 1, 0), Setting(0.3, 1, 2), Setting(0.15, 2, 0))


# --- landscapes whose truth is known --------------------------------------------------------------

# Points lost at decades along and across the diagonals, the second of which is the inverse band.
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def quadratic_band(generator: np.random.Generator) -> Loss:
    steep, flat = generator.uniform(3, 12), generator.uniform(0.5, 2.5)
    return lambda across, along: steep * across**2 + flat * along**2


def skewed_band(generator: np.random.Generator) -> Loss:
    """Up to three times as steep on the side of large learning rates and weight decays."""
    steep, flat = generator.uniform(3, 12), generator.uniform(0.5, 2.5)
    return lambda across, along: steep * across**2 * (1 + np.tanh(2 * across) / 2) + flat * along**2


def rounded_cone(generator: np.random.Generator) -> Loss:
    """Straight slopes: as steep far away as near, which no quadratic is."""
    one, two = generator.uniform(4, 10), generator.uniform(2, 5)
    return lambda across, along: (
        0.3 * one * (np.hypot(1, across / 0.3) - 1) + 0.5 * two * (np.hypot(1, along / 0.5) - 1)
    )


FAMILIES = (quadratic_band, skewed_band, rounded_cone)


class World(NamedTuple):
    """A pair of landscapes: what is measured, and their values without noise, by variant."""

    measured: dict[str, Landscape]
    true: dict[str, Landscape]
    moved: float


def world(setting: Setting, generator: np.random.Generator, threshold: float) -> World:
    """Simulated pair; the grid is that of the dense network, as a study's is."""
    loss = FAMILIES[generator.integers(len(FAMILIES))](generator)
    centre, moved = generator.uniform(-0.3, 0.3, 2), float(generator.choice(SHIFTS))
    turn = generator.uniform(0, 2 * np.pi)
    other = centre + moved * np.array([np.cos(turn), np.sin(turn)])
    ticks = STEP * (np.arange(POINTS) - (POINTS - 1) / 2)
    logs = np.array(list(product(ticks, ticks)))
    rows, exact = [], {}
    for variant, top, middle in (("unpruned", 80.0, centre), ("uniform-0.5", 78.0, other)):
        first, second = (logs - middle).T
        values = top - loss((first + second) / math.sqrt(2), (first - second) / math.sqrt(2))
        runs = values + setting.noise * generator.standard_normal((setting.seeds, len(values)))
        means = runs.mean(axis=0)
        rows += _rows(variant, logs, np.arange(len(logs)), runs)
        again = np.flatnonzero(means >= means.max() - threshold)
        more = generator.standard_normal((setting.replicates, len(again)))
        rows += _rows(variant, logs, again, values[again] + setting.noise * more)
        exact[variant] = values
    measured = landscapes(pd.DataFrame(rows, columns=["variant", *AXES, "top1"]))
    true = {
        name: Landscape(name, "top1", one.points.assign(value=exact[name]))
        for name, one in measured.items()
    }
    return World(measured, true, moved)


def _rows(variant: str, logs: np.ndarray, points: np.ndarray, runs: np.ndarray) -> list[tuple]:
    return [
        (variant, *10 ** logs[point], value)
        for seed in runs
        for point, value in zip(points, seed, strict=True)
    ]


# --- quantities -----------------------------------------------------------------------------------


def values(pair: dict[str, Landscape], threshold: float) -> dict[str, float]:
    """Every quantity of two landscapes, by the definitions of the thesis; NaN for what is not."""
    dense, other = pair.values()
    shapes = [one.ellipse(threshold) for one in (dense, other)]
    lost = risk(dense, other, threshold)
    found = {
        "d_mean": lost.mean,
        "d_std": lost.std,
        "relative d_mean": lost.relative_mean,
        "relative d_std": lost.relative_std,
        "Spearman": spearmanr(dense.points["value"], other.points["value"]).statistic,
    }
    if shapes[0]:
        found |= {
            "length": shapes[0].length,
            "width": shapes[0].width,
            "angle": shapes[0].angle,
            "centre, lr": shapes[0].centre[0],
            "centre, weight_decay": shapes[0].centre[1],
            "band b": -math.tan(shapes[0].angle),
        }
    if all(shapes):
        shift = np.subtract(shapes[1].centre, shapes[0].centre)
        found |= {
            "shift, lr": shift[0],
            "shift, weight_decay": shift[1],
            "shift, distance": math.hypot(*shift),
        }
    return found


def intervals(analysis: Analysis, threshold: float) -> dict[str, Interval]:
    """The same quantities with their intervals, as the report states them."""
    other = analysis.pruned[0]
    shape, lost = analysis.shape(analysis.dense, threshold), analysis.risk(other, threshold)
    moved = analysis.movement(other, threshold)
    return {
        "length": shape.length,
        "width": shape.width,
        "angle": shape.angle,
        "centre, lr": shape.first,
        "centre, weight_decay": shape.second,
        "band b": shape.band.b,
        "shift, lr": moved.shift.first,
        "shift, weight_decay": moved.shift.second,
        "shift, distance": moved.shift.distance,
        "d_mean": lost.mean,
        "d_std": lost.std,
        "relative d_mean": lost.relative_mean,
        "relative d_std": lost.relative_std,
        "value at the measured best": analysis.best(analysis.dense).corrected,
        "risk of the dense optimum": analysis.keeping(other)[1],
        "Spearman": moved.spearman_interval,
    }


def simulate(number: int, setting: Setting, threshold: float = THRESHOLD) -> Iterator[dict]:
    """One row for each quantity of simulation `number`: interval, truth and measured value."""
    pair = world(setting, np.random.default_rng([number, setting.seeds]), threshold)
    analysis = Analysis(pair.measured)
    true, measured = (values(one, threshold) for one in (pair.true, pair.measured))
    dense, other = pair.true.values()
    kept = best_row(pair.measured["unpruned"])
    true["value at the measured best"] = dense.points["value"].iloc[kept]
    measured["value at the measured best"] = pair.measured["unpruned"].best
    true["risk of the dense optimum"] = other.best - other.points["value"].iloc[kept]
    measured["risk of the dense optimum"] = analysis.keeping(analysis.pruned[0])[0]
    for quantity, found in intervals(analysis, threshold).items():
        pair_of_values = [one.get(quantity, math.nan) for one in (true, measured)]
        if quantity == "angle":
            # An axis has no direction: of its two angles the one beside the estimate.
            pair_of_values = [
                found.estimate + (value - found.estimate + math.pi / 2) % math.pi - math.pi / 2
                for value in pair_of_values
            ]
        row = dict(zip(("true", "measured"), pair_of_values, strict=True)) | found._asdict()
        yield {"quantity": quantity, **row}
        # Both lie at the end of their scale where nothing moved.
        if quantity in ("shift, distance", "Spearman") and pair.moved == 0:
            yield {"quantity": f"{quantity}, of no shift", **row}


def covered(rows: pd.DataFrame) -> pd.Series:
    """Whether each interval holds its truth; equal numbers may differ in the last bits."""
    return (rows["low"] <= rows["true"] + 1e-9) & (rows["true"] <= rows["high"] + 1e-9)


def summary(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Row of the table for each quantity; errors are over the simulations where both exist."""
    rows = rows.dropna(subset=["true", "low", "high"])
    for quantity, some in rows.groupby("quantity", sort=False):
        errors, both = {}, some.dropna()
        for name in ("estimate", "measured"):
            error = math.sqrt(((both[name] - both["true"]) ** 2).mean())
            # A slope that may be infinite has no mean square.
            errors[name] = "–" if quantity == "band b" else f"{error:.3g}"
        yield {
            "quantity": quantity,
            "n": len(some),
            "coverage, %": f"{100 * covered(some).mean():.1f}",
            "median width": f"{(some['high'] - some['low']).median():.3g}",
            "RMSE of the estimate": errors["estimate"],
            "RMSE of the measured": errors["measured"],
        }


def rows_of(number: int, setting: Setting, threshold: float) -> list[dict]:
    return list(simulate(number, setting, threshold))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=400, help="of each setting")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="of the regions")
    given = parser.parse_args(words)
    table = []
    # One thread a process, before the processes begin: small products gain nothing from more.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        for setting in SETTINGS:
            one = partial(rows_of, setting=setting, threshold=given.threshold)
            found = pool.map(one, range(given.simulations))
            rows = pd.DataFrame([row for rows in found for row in rows])
            table += [{"setting": str(setting), **row} for row in summary(rows)]
    print(f"{machine()}; {given.simulations} pairs a setting, threshold {given.threshold:g}\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
