"""Whether a pruned network may keep the dense one's settings, decided in few trainings.

Stateless: every call computes all from the runs there are, so that it may be asked again at any
time. The verdicts are probabilities in draws of the pruned landscape (`PrunedLandscape`),
recalibrated on measured pairs of networks that the prior was not fitted to.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.pruned_prior import Prior, fitted
from hpstudy.analysis.retune_task import LEAST, Belief, Look, Task
from hpstudy.analysis.verdict import TOLERABLE, Answer
from hpstudy.errors import HpstudyError

BUDGET = 30
"""Trainings of the pruned network after which it is asked for no more."""
QUIET = 2.5
"""Noise over tolerable loss beyond which nothing is said to be kept: 30 runs cannot show it."""

# Settings that a replay asks for at once.
_AHEAD = 20
# Looks at a verdict that must agree, each after another batch.
_LOOKS = 2


Waits = Literal["trainings", "replicate", "batch", ""]


class Retuning(NamedTuple):
    """What is known of a pruned network, and what to train next.

    Attributes
    ----------
    both : Belief
        Whether the dense network's setting loses at most the tolerable loss.
    axes : dict of str to Belief
        Whether one hyperparameter may stay if the other is tuned.
    kept : dict of str to float
        The dense network's setting: the best expected one of those that were measured.
    loss : tuple of float
        Loss of the kept setting: 2.5 % quantile, median and 97.5 % quantile, in the metric's unit.
    setting : dict of str to float
        Setting of the best expected value of the pruned network, and so recommended.
    regret : float
        Expected loss of the recommended setting.
    found : float
        Probability that the recommended setting loses at most the tolerable loss.
    distrust : float
        Probability that the two landscapes correlate by less than `SIMILAR`.
    noise : float
        Deviation of a run over the tolerable loss.
    runs : int
        Trainings of the pruned network so far.
    next : list of dict
        Settings to train next, each with a `seed`; empty when `done`.
    done : bool
        Whether more trainings would not change the answer, or the budget is spent.
    waits : str
        What answers wait for: "trainings" (of which there are fewer than `LEAST`), "replicate" (no
        setting was trained twice), "batch" (one does not hold without the last batch); or "".
    settings : DataFrame of shape (n_settings, n_columns)
        All settings: the axes, `loss` (expected), `good` (share of the draws in which it is
        tolerable) and `runs`.
    """

    both: Belief
    axes: dict[str, Belief]
    kept: dict[str, float]
    loss: tuple[float, ...]
    setting: dict[str, float]
    regret: float
    found: float
    distrust: float
    noise: float
    runs: int
    next: list[dict[str, float]]
    done: bool
    waits: Waits
    settings: pd.DataFrame


def retune(
    dense: Landscape,
    pruned: Landscape | None = None,
    *,
    tolerable: float = TOLERABLE,
    batch: int = 1,
    budget: int = BUDGET,
    kept: Sequence[float] | None = None,
    prior: Prior | None = None,
) -> Retuning:
    """Settings of a pruned network to train next, or the verdict.

    Train what it asks for, add the runs to the table, and call it again. The first training is at
    the dense network's setting; the others are those from which the open verdicts are expected to
    become clearest (`next_rows`).

    Parameters
    ----------
    dense : Landscape
        The dense network over two hyperparameters or one.
    pruned : Landscape, optional
        The pruned network as far as it is trained. A setting at which a run diverged counts as the
        worst of both networks; runs that were stopped, and values of 0, are left out. Of more than
        250 settings the best of the dense network take part.
    tolerable : float, default 0.5
        Loss up to which settings are kept, in the metric's unit.
    batch : int, default 1
        Settings to ask for at once.
    budget : int, default 30
        Trainings of the pruned network in all.
    kept : sequence of float, optional
        Setting that may be kept, in the order of the axes; by default the best expected one of the
        dense network.
    prior : Prior, optional
        By default that fitted on measured pairs of networks.

    Raises
    ------
    HpstudyError
        If the dense network has fewer than `FEWEST` settings with a value, the networks lie over
        different axes, a number is out of range, or the setting to keep is in neither table.
    """
    if not (tolerable > 0 and batch >= 1 and budget >= 1):
        raise HpstudyError(
            "a retuning needs a tolerable loss above 0, and a batch and a budget of 1 or more; "
            f"not {tolerable:g}, {batch} and {budget}."
        )
    task = Task.of(dense, pruned, prior or Prior.of(fitted()["prior"]), kept)
    runs, number = task.runs, len(task.runs.rows)
    looks = [
        task.look(runs.first(some), tolerable)
        for some in dict.fromkeys(max(number - back * batch, 0) for back in range(_LOOKS))
    ]
    now = looks[0]
    trainings = int(runs.each.sum())
    early = trainings < LEAST or len(looks) < _LOOKS or not task.replicated
    beliefs = {
        question: Belief(float(now.probabilities[question]), _answer(question, looks, early))
        for question in now.questions
    }
    both, *axes = beliefs.values()
    found = float(now.probabilities["found"])
    settled = both.answer == "keep" or (both.answer == "retune" and now.regret.mean() <= tolerable)
    done = trainings >= budget or (settled and not early)
    wanted = [] if done else task.next_rows(now, beliefs, min(batch, budget - trainings))
    return Retuning(
        both=both,
        axes=dict(zip(dense.axes, axes, strict=True)),
        kept=task.setting(task.kept),
        loss=tuple(float(np.quantile(now.loss, q)) for q in (0.025, 0.5, 0.975)),
        setting=task.setting(now.best),
        regret=float(now.regret.mean()),
        found=found,
        distrust=now.distrust(task.landscape.depth),
        noise=now.noise,
        runs=trainings,
        next=task.named(wanted),
        done=done,
        waits=_waits(trainings, task, beliefs),
        settings=task.points.assign(
            loss=now.regrets.mean(axis=0),
            good=(now.regrets <= tolerable).mean(axis=0),
            runs=np.bincount(runs.rows, runs.each, len(task.points)).astype(int),
        ),
    )


def replay(dense: Landscape, pruned: Landscape, **options: float) -> list[Retuning]:
    """Answers of `retune` after 0, 1, 2, ... runs of a network that is trained already.

    Each training that is asked for is answered by the next run that the network has at that
    setting; of the settings that would be asked for at once, the first with a run left is taken.
    `options` are those of `retune` but `batch`.

    Raises
    ------
    HpstudyError
        If the pruned network's single runs are not known.
    """
    if pruned.singles is None:
        raise HpstudyError(f"{pruned.variant!r} has no single runs to be replayed.")
    axes = list(pruned.axes)
    runs = pruned.singles.join(pruned.points[axes], on="point").rename(columns={"value": "top1"})
    runs = runs.assign(variant=pruned.variant, top1=pruned.sign * runs["top1"])
    taken: list[int] = []
    answers = []
    while True:
        table = runs.loc[taken]
        now = None
        if taken:
            found = landscapes(table, "top1", pruned.variant, pruned.axes, pruned.goal)
            now = replace(found[pruned.variant], ceiling=pruned.ceiling, metric=pruned.metric)
        answers.append(retune(dense, now, batch=1, **options))  # type: ignore[arg-type]
        if answers[-1].done:
            return answers
        left = runs.drop(index=taken)
        if not (free := _free(left, axes, answers[-1])):
            free = _free(left, axes, retune(dense, now, batch=_AHEAD, **options))  # type: ignore[arg-type]
        if not free:
            return answers
        taken.append(free[0])


def _free(left: pd.DataFrame, axes: list[str], asked: Retuning) -> list[int]:
    """Index of the first run that is left at each setting that is asked for."""
    return [
        at.index[0]
        for setting in asked.next
        if len(at := left[np.isclose(left[axes], [setting[axis] for axis in axes]).all(axis=1)])
    ]


def _waits(trainings: int, task: Task, beliefs: dict[str, Belief]) -> Waits:
    if trainings < LEAST:
        return "trainings"
    if not task.replicated:
        return "replicate"
    for question, (chance, answer) in beliefs.items():
        low, high = limits(question)
        if answer == "inconclusive" and not low < chance < high:
            return "batch"
    return ""


def limits(question: str) -> tuple[float, float]:
    """Probabilities up to which it is "retune", and from which "keep"."""
    low, high = fitted()["limits"][question]
    return low, high


def _answer(question: str, looks: list[Look], early: bool) -> Answer:
    low, high = limits(question)
    found = [look.probabilities[question] for look in looks]
    if early:
        return "inconclusive"
    if min(found) >= high and looks[0].noise <= QUIET:
        return "keep"
    return "retune" if max(found) <= low else "inconclusive"
