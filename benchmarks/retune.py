"""How few trainings a retuning takes, and how often it is wrong, on pairs of known truth.

python benchmarks/retune.py fit       the prior from measured pairs, without and with each study
python benchmarks/retune.py play KIND trainings one by one, each study by a prior of the others;
                                      KIND is measured, simulated, or fresh
python benchmarks/retune.py report    calibration, limits and tables
"""

import pickle
import sys
import time
from dataclasses import replace
from itertools import cycle

import numpy as np
import pandas as pd
from retune_pairs import (
    FRESH,
    MISLEADING,
    RESULTS,
    SETUPS,
    SMALL,
    WIDTHS,
    Pair,
    hpobench,
    simulated,
    tables,
)
from retune_report import WEIGHT, WORK, report
from scipy.special import logsumexp

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.pruned_landscape import Runs
from hpstudy.analysis.pruned_prior import NOISES, SCALES, SHIFTS, Prior
from hpstudy.analysis.retune import BUDGET
from hpstudy.analysis.retune_task import Belief, Task
from hpstudy.analysis.surrogate import Surrogate

TABLES = ["cpu-mobilenetv2", "cpu-resnet20", "small-resnet20"]
# Pairs that a study without any evidence of its own counts for.
STRENGTH = 2.0
NOISE = (0.15, 0.5, 1.0)


def measured(fit: bool) -> list[Pair]:
    """Measured pairs: some to fit the prior to, others of the same studies to be judged by."""
    published = [RESULTS / f"{name}.csv" for name in TABLES]
    own = sorted(SMALL.glob("*.csv"))
    half = slice(0, 3) if fit else slice(3, 6)
    return [*hpobench(SETUPS[half], WIDTHS), *tables(published + own)]


# --- prior ----------------------------------------------------------------------------------------


def likelihoods() -> list[tuple[str, bool, np.ndarray, np.ndarray]]:
    """Study, whether dense runs are replicated, and likelihoods of all runs of each pair to fit."""
    rows = []
    for pair in measured(fit=True):
        task = Task.of(pair.dense, None, Prior.vague())
        known = np.flatnonzero(~np.isnan(pair.runs).all(axis=1))
        each = (~np.isnan(pair.runs[known])).sum(axis=1).astype(float)
        runs = Runs(known, pair.truth[known], np.zeros(len(known), int), each)
        found = (f.astype(np.float32) for f in task.landscape.likelihood(runs))
        rows.append((pair.study, task.landscape.replicated, *found))
    return rows


def fit(rows: list[tuple[str, bool, np.ndarray, np.ndarray]], rounds: int = 40) -> Prior:
    """Empirical Bayes: expectation maximisation over the factors of the prior."""
    studies = pd.Series([study for study, *_ in rows])
    weights = (WEIGHT / studies.map(studies.value_counts())).to_numpy()
    vague = prior = Prior.vague()
    sizes = len(SCALES), len(SHIFTS), len(SHIFTS)
    for _ in range(rounds):
        kernel, noise = np.zeros(vague.kernel.size), np.zeros((2, len(NOISES)))
        means, own = np.zeros(sizes), np.zeros(vague.own_kernel.size)
        for weight, (_, replicated, transferred, alone) in zip(weights, rows, strict=True):
            logs = prior.logs(replicated)
            one, two = transferred + logs[0], alone + logs[1]
            total = np.logaddexp(logsumexp(one), logsumexp(two))
            one, two = weight * np.exp(one - total), weight * np.exp(two - total)
            kernel += one.sum(axis=(1, 2))
            noise[0 if replicated else 1] += one.sum(axis=(0, 2)) + two.sum(axis=0)
            means += one.sum(axis=(0, 1)).reshape(sizes)
            own += two.sum(axis=1)
        shifts = np.array([means.sum(axis=(0, 2)), means.sum(axis=(0, 1))])
        # Which direction a landscape moves in is not to be learnt from a few studies.
        shifts = (shifts + shifts[:, ::-1]) / 2

        def smooth(counts: np.ndarray, before: np.ndarray) -> np.ndarray:
            return (counts + STRENGTH * before) / (counts.sum() + STRENGTH)

        prior = Prior(
            kernel=smooth(kernel.reshape(vague.kernel.shape), vague.kernel),
            scale=smooth(means.sum(axis=(1, 2)), vague.scale),
            shift=np.array([smooth(*both) for both in zip(shifts, vague.shift, strict=True)]),
            noise=np.array([smooth(*both) for both in zip(noise, vague.noise, strict=True)]),
            own=max(float(own.sum() / weights.sum()), 0.05),
            own_kernel=smooth(own.reshape(vague.own_kernel.shape), vague.own_kernel),
        )
    return prior


def priors() -> None:
    """Fit and keep the priors: of all studies, and without each."""
    rows = likelihoods()
    found = {"": fit(rows)}
    for study in dict.fromkeys(study for study, *_ in rows):
        found[study] = fit([row for row in rows if row[0] != study])
        print(study, f"own {found[study].own:.3f}", flush=True)
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "priors.pkl").write_bytes(pickle.dumps(found))


# --- play -----------------------------------------------------------------------------------------


def play(pair: Pair, prior: Prior, tolerable: float, number: int) -> list[dict]:
    """Look after each training of one pair; seeds come in the same order at every setting."""
    generator = np.random.default_rng(number)
    task = Task.of(pair.dense, None, prior)
    order = generator.permutation(pair.runs.shape[1])
    points, kept = task.points.to_numpy(float), task.kept
    truth = pair.truth
    lines = [np.isclose(points[:, k], points[kept, k]) for k in (0, 1)]
    true = {
        "both": truth.max() - truth[kept],
        **{
            name: truth.max() - truth[line].max()
            for name, line in zip(("first", "second"), lines, strict=True)
        },
    }
    known = certainties(pair, points, lines, kept, tolerable)
    worst = np.nanmin(pair.runs)
    had: list[int] = []
    values: list[float] = []
    seeds: list[int] = []
    rows = []
    while True:
        each = np.ones(len(had))
        runs = Runs(np.array(had, int), np.array(values), np.array(seeds, int), each)
        look = replace(task, runs=runs).look(runs, tolerable)
        shares = {name: (loss <= most).mean() for name, (loss, most) in look.losses.items()}
        row = {
            **{"study": pair.study, "pair": pair.name, "tolerable": tolerable, "n": len(had)},
            **{f"p_{name}": share for name, share in shares.items()},
            **{f"true_{name}": loss for name, loss in true.items()},
            "true_found": truth.max() - truth[look.best],
            "noise": task.landscape.dense.noise / tolerable,
            "distrust": look.distrust(task.landscape.depth),
            "low": np.quantile(look.loss, 0.025),
            "high": np.quantile(look.loss, 0.975),
        }
        rows.append(row | known | pair.info)
        if len(had) >= BUDGET:
            return rows
        beliefs = {
            name: Belief(p, "inconclusive" if 0.02 < p < 0.98 else "keep")
            for name, p in shares.items()
            if name != "found"
        }
        row = replace(task, runs=runs).next_rows(look, beliefs, 1)[0]
        left = [column for column in order if not np.isnan(pair.runs[row, column])]
        again = had.count(row)
        if left and again >= len(left):
            # All of its seeds were used; the next best setting that has one stands in.
            for row in np.argsort(-look.draws.values.mean(axis=0)):
                left = [column for column in order if not np.isnan(pair.runs[row, column])]
                if had.count(row) < len(left):
                    break
            again = had.count(row)
        had.append(int(row))
        values.append(pair.runs[row, left[again]] if left else worst)
        seeds.append(int(left[again]) if left else 0)


def certainties(
    pair: Pair, points: np.ndarray, lines: list[np.ndarray], kept: int, tolerable: float
) -> dict[str, float]:
    """Probability of each true answer "keep", given all runs of the pair and no dense landscape."""
    if pair.info["source"] == "simulated":
        return {}
    rows = [
        {
            "variant": "unpruned",
            **dict(zip(pair.dense.axes, at, strict=True)),
            "seed": seed,
            "top1": of,
        }
        for at, values in zip(points, pair.runs, strict=True)
        for seed, of in enumerate(values)
        if not np.isnan(of)
    ]
    full = landscapes(pd.DataFrame(rows), axes=pair.dense.axes)["unpruned"]
    drawn = np.full((2000, len(points)), -np.inf)
    drawn[:, ~np.isnan(pair.runs).all(axis=1)] = Surrogate(full).draws(2000)
    top = drawn.max(axis=1)
    kept_lines = {"both": np.arange(len(points)) == kept, "first": lines[0], "second": lines[1]}
    return {
        f"known_{name}": float((top - drawn[:, line].max(axis=1) <= tolerable).mean())
        for name, line in kept_lines.items()
    }


def games() -> None:
    """Play all pairs; resumes."""
    found = pickle.loads((WORK / "priors.pkl").read_bytes())
    path = WORK / f"games-{sys.argv[2]}.csv"
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["study", "pair"])
    had = set(zip(done["study"], done["pair"].astype(str), strict=True))
    if sys.argv[2] == "simulated":
        # Half of them are of the kind that the prior expects.
        families = [family for one in MISLEADING for family in ("own", one)]
        pairs = (
            simulated(number, noise, family)
            for number, family in zip(range(120), cycle(families), strict=False)
            for noise in NOISE
        )
    elif sys.argv[2] == "fresh":
        own = hpobench(FRESH, WIDTHS)
        pairs = (replace(pair, info=pair.info | {"source": "fresh"}) for pair in own)
    else:
        pairs = iter(measured(fit=False))
    began = time.time()
    for number, pair in enumerate(pairs):
        if (pair.study, pair.name) in had:
            continue
        tolerable = 0.5 if pair.info["source"] == "simulated" else (0.5, 1.0)[number % 2]
        rows = pd.DataFrame(play(pair, found.get(pair.study, found[""]), tolerable, number))
        rows.to_csv(path, mode="a", header=not path.exists(), index=False)
        if number % 20 == 0:
            print(number, pair.study, pair.name, f"{time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    {"fit": priors, "play": games, "report": report}[sys.argv[1]]()
