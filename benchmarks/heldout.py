"""Whether intervals hold runs that they have not seen: published tables, some repeats held out.

    python benchmarks/heldout.py [TABLE.csv ...]

Of every network half of the seeds are left out in turn, the surface is fitted to the rest, and the
mean of the runs left out at each setting is compared with its 95 % prediction interval: draws of
the noise-free landscape, a new effect of the seeds that all settings share, and the noise of the
runs. "Near the best" are settings whose fitted mean is at most 2 points below the best.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine, markdown

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.noise import RATIOS, Noise
from hpstudy.analysis.surrogate import Surrogate

TABLES = ("cpu-resnet20", "cpu-mobilenetv2", "small-resnet20")
DRAWS = 4000
NEAR = 2.0


def held_out(whole: Landscape, out: tuple[int, ...], runs: pd.DataFrame) -> Iterator[dict]:
    """One row for each setting that runs of the seeds left out were trained at."""
    fitted = landscapes(runs[~runs["seed"].isin(out)], dense=whole.variant)[whole.variant]
    unseen = runs[runs["seed"].isin(out)].groupby(["lr", "weight_decay"])["top1"]
    surrogate = Surrogate(fitted)
    drawn = surrogate.draws(DRAWS)
    means = drawn.mean(axis=0)
    settings = fitted.points[["lr", "weight_decay"]].itertuples(index=False, name=None)
    place = {at: k for k, at in enumerate(settings)}
    generator = np.random.default_rng(0)
    effect = new_effects(surrogate.noise_model, generator, surrogate.noise, len(out))
    for at, values in unseen:
        if at not in place or values.isna().any():
            continue
        row = place[at]
        deviation = surrogate.noise * surrogate.noise_model.scale[row] / len(values) ** 0.5
        predicted = drawn[:, row] + effect + deviation * generator.standard_normal(DRAWS)
        low, high = np.quantile(predicted, (0.025, 0.975))
        yield {
            "held": low <= values.mean() <= high,
            "near": means[row] >= means[np.isfinite(means)].max() - NEAR,
            "width": high - low,
        }


def new_effects(
    noise: Noise, generator: np.random.Generator, deviation: float, seeds: int
) -> np.ndarray:
    """Draws of the mean effect of so many seeds that were not seen."""
    if noise.seeds is None:
        return np.zeros(DRAWS)
    ratios = RATIOS[generator.choice(len(RATIOS), DRAWS, p=noise.seeds.weights)]
    return deviation * np.sqrt(ratios / seeds) * generator.standard_normal(DRAWS)


def main(words: list[str] | None = None) -> None:
    root = Path(__file__).resolve().parents[1] / "book" / "results"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", type=Path, default=[root / f"{x}.csv" for x in TABLES])
    given = parser.parse_args(words)
    table = []
    for path in given.tables:
        whole = pd.read_csv(path)
        rows = []
        for name, landscape in landscapes(whole).items():
            runs = whole[whole["variant"] == name]
            seeds = sorted(runs["seed"].unique())
            for out in combinations(seeds, len(seeds) // 2):
                rows += [{"variant": name, **row} for row in held_out(landscape, out, runs)]
        rows = pd.DataFrame(rows)
        near = rows[rows["near"]]
        table.append(
            {
                "table": path.stem,
                "predictions": len(rows),
                "held, %": f"{100 * rows['held'].mean():.1f}",
                "near the best": len(near),
                "held near the best, %": f"{100 * near['held'].mean():.1f}",
                "median width": f"{rows['width'].median():.2f}",
            }
        )
    print(machine() + "\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
