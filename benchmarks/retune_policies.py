"""Which training of a pruned network to ask for next: ours against other ways, on the same pairs.

OMP_NUM_THREADS=1 python benchmarks/retune_policies.py play [POLICY ...]   trainings one by one
OMP_NUM_THREADS=1 python benchmarks/retune_policies.py report              tables

Only the choice differs: every policy begins at the kept setting, and is judged by the model and
the rule of `retune`, which asks for a replicate; the fourth training is one where none was before.
The pairs are others than those of `retune.py`, which the calibration was fitted to. OptunaHub's
meta-learning TPE needs `pip install optunahub` and Optuna 4: play it on its own there.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from itertools import cycle, product
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
from common import machine, markdown
from retune import NOISE
from retune_pairs import GRID, MISLEADING, TICKS, Pair, simulated
from retune_report import ROOT, WORK
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hpstudy.analysis.pruned_landscape import Runs
from hpstudy.analysis.pruned_prior import Prior, fitted
from hpstudy.analysis.retune import BUDGET, _answer
from hpstudy.analysis.retune_task import LEAST, Belief, Look, Task
from hpstudy.config.grid import AXES

GAMES = WORK / "policies.csv"
MEASUREMENTS = ROOT / "book" / "measurements" / "retune_policies.json"
GAME = ["noise", "policy", "pair"]
# Those of retune.py are below.
FIRST, PAIRS = 1200, 84
TOLERABLE = 0.5
# Trainings after which the recommended setting is judged; games go on until the last.
JUDGED = (5, 10, 20)
# Best settings of the dense network that samplers without its landscape are given first.
GIVEN = 3
META = "samplers/meta_learn_tpe"
REGISTRY = "ee680199100edbd95e0000eb20696c3ec5505973"


class State(NamedTuple):
    """A game so far, and what is known of it."""

    task: Task
    look: Look
    beliefs: dict[str, Belief]
    rows: list[int]
    values: list[float]


Policy = Callable[[State], int]


# --- policies -------------------------------------------------------------------------------------


def ours(_: Pair, number: int) -> Policy:
    """What `retune` asks for."""
    return lambda state: state.task.next_rows(state.look, state.beliefs, 1)[0]


def ours_both(_: Pair, number: int) -> Policy:
    """The same, were it asked of nothing but both hyperparameters."""
    return lambda state: state.task.next_rows(state.look, {"both": state.beliefs["both"]}, 1)[0]


def random(_: Pair, number: int) -> Policy:
    """Any setting that was not trained."""
    order = np.random.default_rng([number, 11]).permutation(len(GRID))
    return lambda state: next(int(row) for row in order if row not in state.rows)


def climb(_: Pair, number: int) -> Policy:
    """A neighbour of the best; once all are trained, the best three again, fewest runs first."""
    generator = np.random.default_rng([number, 12])

    def choose(state: State) -> int:
        means = pd.Series(state.values).groupby(state.rows).mean().sort_values(ascending=False)
        near = np.abs(GRID - GRID[means.index[0]]).max(axis=1) < 1.5 * np.ptp(TICKS[:2])
        if new := sorted(set(np.flatnonzero(near)) - set(state.rows)):
            return int(generator.choice(new))
        return int(min(means.index[:3], key=state.rows.count))

    return choose


def own_improvement(_: Pair, number: int) -> Policy:
    """Expected improvement on the best expected setting, in our model's draws."""

    def choose(state: State) -> int:
        drawn = state.look.draws.values
        best = drawn.mean(axis=0)[state.rows].max()
        return int((drawn - best).clip(min=0).mean(axis=0).argmax())

    return choose


def improvement(_: Pair, number: int) -> Policy:
    """Expected improvement by a Gaussian process of the runs alone."""
    places = GRID / np.ptp(TICKS)

    def choose(state: State) -> int:
        kernel = ConstantKernel(1.0, (0.05, 20)) * Matern([0.4, 0.4], (0.1, 3), nu=2.5)
        kernel += WhiteKernel(0.2, (1e-3, 2))
        options = {"normalize_y": True, "n_restarts_optimizer": 1, "random_state": number}
        process = GaussianProcessRegressor(kernel, **options).fit(places[state.rows], state.values)
        mean, deviation = process.predict(places, return_std=True)
        noises = process.kernel_.k2.noise_level * np.var(state.values)
        deviation = np.sqrt((deviation**2 - noises).clip(min=1e-12))
        gain = mean - mean[state.rows].max()
        rate = gain / deviation
        return int((gain * norm.cdf(rate) + deviation * norm.pdf(rate)).argmax())

    return choose


SPACE = dict.fromkeys(AXES, optuna.distributions.IntDistribution(0, len(TICKS) - 1))


def trials(rows: list[int], values: list[float]) -> list[optuna.trial.FrozenTrial]:
    """Runs at settings of the grid."""
    places = [dict(zip(SPACE, divmod(int(row), len(TICKS)), strict=True)) for row in rows]
    return [
        optuna.trial.create_trial(params=place, distributions=SPACE, value=float(value))
        for place, value in zip(places, values, strict=True)
    ]


def suggested(sampler: optuna.samplers.BaseSampler) -> Policy:
    """A sampler of Optuna over the indices of the grid."""
    study, asked = optuna.create_study(direction="maximize", sampler=sampler), []

    def choose(state: State) -> int:
        if asked:
            study.tell(asked.pop(), state.values[-1])
        else:
            study.add_trials(trials(state.rows, state.values))
        asked.append(study.ask())
        at = [asked[0].suggest_int(name, 0, len(TICKS) - 1) for name in SPACE]
        return at[0] * len(TICKS) + at[1]

    return choose


def tpe(_: Pair, number: int) -> Policy:
    """Optuna's tree-structured Parzen estimator."""
    options = {"multivariate": True, "n_startup_trials": LEAST}
    return suggested(optuna.samplers.TPESampler(seed=number, **options))


def gp(_: Pair, number: int) -> Policy:
    """Optuna's Gaussian process."""
    return suggested(optuna.samplers.GPSampler(seed=number, n_startup_trials=LEAST))


def meta(pair: Pair, number: int) -> Policy:
    """OptunaHub's meta-learning TPE, with the dense network's runs as its source."""
    optunahub = import_module("optunahub")

    source = optuna.create_study(direction="maximize")
    measured = pair.dense.points["value"].dropna()
    source.add_trials(trials(list(measured.index), list(measured)))
    sampler = optunahub.load_module(META, ref=REGISTRY).MetaLearnTPESampler
    return suggested(sampler(source_studies=[source], seed=number))


# Name, what makes it, and whether it is given the best dense settings first.
POLICIES: dict[str, tuple[Callable[[Pair, int], Policy], bool]] = {
    "ours": (ours, False),
    "ours, both alone": (ours_both, False),
    "random": (random, False),
    "climb": (climb, False),
    "EI, our model": (own_improvement, False),
    "EI, plain GP": (improvement, True),
    "Optuna TPE": (tpe, True),
    "Optuna GP": (gp, True),
    "OptunaHub meta TPE": (meta, True),
}


# --- play -----------------------------------------------------------------------------------------


def play(pair: Pair, task: Task, name: str, number: int) -> list[dict[str, object]]:
    """Look after each training, until the verdict and the last judgement, or to the budget."""
    make, informed = POLICIES[name]
    policy, losses = make(pair, number), pair.truth.max() - pair.truth
    best = [row for row in task.landscape.depth.argsort(kind="stable") if row != task.kept]
    given = [task.kept, *map(int, best)][: GIVEN if informed else 1]
    rows, values, looks, found, said = [], [], [], [], ""
    while True:
        seeds = [rows[:k].count(row) for k, row in enumerate(rows)]
        runs = Runs(np.array(rows, int), np.array(values), np.array(seeds, int), np.ones(len(rows)))
        now = replace(task, runs=runs)
        looks = [now.look(runs, TOLERABLE), *looks[:1]]
        early = len(rows) < LEAST or not now.replicated
        beliefs = {
            question: Belief(looks[0].probabilities[question], _answer(question, looks, early))
            for question in looks[0].questions
        }
        said = said or beliefs["both"].answer.replace("inconclusive", "")
        measured = losses[rows[int(np.argmax(values))]] if rows else np.nan
        found.append(
            {"n": len(rows), "said": said, "chance": round(beliefs["both"].probability, 4)}
            | {"row": rows[-1] if rows else -1, "loss": losses[task.kept]}
            | {"regret": losses[looks[0].best], "own": measured}
        )
        if len(rows) >= BUDGET or (said and len(rows) >= max(JUDGED)):
            return found
        state = State(now, looks[0], beliefs, rows, values)
        again = len(rows) >= LEAST - 1 and not now.replicated
        row = given[len(rows)] if len(rows) < len(given) else task.kept if again else policy(state)
        # The k-th run at a setting is the same whoever asks for it.
        values.append(float(pair.runs[row, rows.count(row) % pair.runs.shape[1]]))
        rows.append(row)


def games(names: list[str]) -> None:
    """Play all pairs by each policy; resumes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    WORK.mkdir(parents=True, exist_ok=True)
    had = set()
    if GAMES.exists():
        had = set(pd.read_csv(GAMES)[GAME].itertuples(index=False, name=None))
    families = [family for one in MISLEADING for family in ("own", one)]
    pairs = zip(range(FIRST, FIRST + PAIRS), cycle(families), strict=False)
    for (number, family), noise in product(pairs, NOISE):
        if not (left := [name for name in names if (noise, name, number) not in had]):
            continue
        pair = simulated(number, noise, family)
        task = Task.of(pair.dense, None, Prior.of(fitted()["prior"]))
        for name in left:
            began = time.time()
            same = {"policy": name, "pair": number, "family": family, "noise": noise}
            rows = pd.DataFrame(play(pair, task, name, number)).assign(**same)
            rows["optuna"], rows["seconds"] = optuna.__version__, round(time.time() - began, 2)
            rows.to_csv(GAMES, mode="a", header=not GAMES.exists(), index=False)
        print(number, noise, flush=True)


# --- report ---------------------------------------------------------------------------------------


def outcomes(looks: pd.DataFrame) -> pd.DataFrame:
    """Verdict of each game, when it came, and losses of the recommended settings."""
    looks = looks.set_index(GAME).sort_index()
    found = looks.groupby(GAME)[["said", "loss"]].last()
    found["at"] = looks[looks["said"] != ""].groupby(GAME)["n"].min()
    answer = np.where(found["loss"] <= TOLERABLE, "keep", "retune")
    found["wrong"] = (found["said"] != "") & (found["said"] != answer)
    for number in JUDGED:
        of = looks[looks["n"] == number]
        found[f"regret_{number}"], found[f"measured_{number}"] = of["regret"], of["own"]
    return found.fillna({"at": np.inf})


def report() -> None:
    """Write the measurements; only pairs that all policies played count."""
    looks = pd.read_csv(GAMES, keep_default_na=False, na_values={"own": ""})
    played = looks.groupby(["noise", "pair"])["policy"].transform("nunique")
    looks = looks[played == looks["policy"].nunique()]
    found, rows = outcomes(looks), []
    for noise in NOISE:
        reference = found.loc[noise, "ours"]["at"]
        for name in (name for name in POLICIES if name in set(looks["policy"])):
            own = found.loc[noise, name]
            at = np.sort(own["at"])[[int(np.ceil(of * len(own))) - 1 for of in (0.5, 0.9)]]
            half, most = (int(number) if np.isfinite(number) else None for number in at)
            mean = own.filter(regex="regret|measured").mean().round(3)
            # The last two are pairs on which ours has its verdict first, and last.
            rows.append(
                {"noise": noise, "policy": name, "pairs": len(own), "median": half, "most": most}
                | {"inconclusive": round(float((own["said"] == "").mean()), 3)}
                | {"wrong": int(own["wrong"].sum()), **mean.to_dict()}
                | {"ours_sooner": int((reference < own["at"]).sum())}
                | {"ours_later": int((reference > own["at"]).sum())}
            )
    optunas = looks[looks["policy"].str.contains("Optuna")].groupby("policy")["optuna"]
    packages = {**optunas.unique().map(", ".join), "scikit-learn": version("scikit-learn")}
    content = {"machine": machine(), "packages": packages, "policies": rows}
    MEASUREMENTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(markdown(rows), packages, sep="\n\n")


if __name__ == "__main__":
    games(sys.argv[2:] or list(POLICIES)) if sys.argv[1] == "play" else report()
