"""What runs of a pruned network say so far, and which training would say most next."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from hpstudy.analysis.intervals import Array, Mask, Rows
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.pruned_landscape import Draws, PrunedLandscape, Runs
from hpstudy.analysis.pruned_prior import Prior, fitted
from hpstudy.analysis.surrogate import Surrogate
from hpstudy.analysis.verdict import Answer
from hpstudy.config.design import FEWEST
from hpstudy.errors import HpstudyError, count

NOISY = 0.2, 6.0
"""Noise over tolerable loss beyond which probabilities are recalibrated as at these ends."""
LEAST = 4
"""Trainings before the first verdict."""
SIMILAR = 0.5
"""Correlation over the settings below which the dense landscape says little of the pruned one."""

# Landscapes drawn for a verdict, and bins of what a training may show.
_DRAWS, _BINS = 2000, 8
# Settings that take part: the work grows with the cube of their number.
_MOST = 250
# Width of the step from good to bad in the linear rule, as a share of the tolerable loss.
_SOFT = 0.3


class Belief(NamedTuple):
    """Verdict on one question: its probability to be "keep", and the answer that it allows."""

    probability: float
    answer: Answer


@dataclass(frozen=True, eq=False)
class Look:
    """Draws of the pruned landscape, and what they say."""

    draws: Draws
    kept: int
    lines: tuple[Mask, ...]
    tolerable: float
    noise: float

    @cached_property
    def _top(self) -> Array:
        return np.asarray(self.draws.values.max(axis=1))

    @cached_property
    def loss(self) -> Array:
        """Loss of the kept setting, of shape (n_draws,)."""
        return np.asarray(self._top - self.draws.values[:, self.kept])

    @cached_property
    def best(self) -> int:
        """Row of the setting of the best expected value."""
        return int(self.draws.values.mean(axis=0).argmax())

    @cached_property
    def regrets(self) -> Array:
        """Loss of every setting, of shape (n_draws, n_settings)."""
        return np.asarray(self._top[:, None] - self.draws.values)

    @property
    def regret(self) -> Array:
        """Loss of the best expected setting, of shape (n_draws,)."""
        return np.asarray(self.regrets[:, self.best])

    def distrust(self, depth: Array) -> float:
        """Share of the draws that correlate with the dense landscape by less than `SIMILAR`."""
        values = self.draws.values - self.draws.values.mean(axis=1, keepdims=True)
        dense = depth.mean() - depth
        # A landscape that is flat at its ceiling correlates with none.
        with np.errstate(invalid="ignore"):
            along = values @ dense / np.sqrt((values**2).sum(axis=1) * (dense @ dense))
        return float((along < SIMILAR).mean())

    @cached_property
    def losses(self) -> dict[str, tuple[Array, float]]:
        """Loss in each draw by question, and how much of it is tolerable."""
        lines = [self._top - self.draws.values[:, line].max(axis=1) for line in self.lines]
        kept = [self.loss, *lines]
        names = ("both", "first", "second")
        return {
            **{name: (loss, self.tolerable) for name, loss in zip(names, kept, strict=False)},
            "found": (self.regret, self.tolerable),
        }

    @property
    def questions(self) -> list[str]:
        """Questions of which verdicts are given."""
        return [name for name in self.losses if name != "found"]

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """Recalibrated probability that each question's loss is tolerable."""
        shares = {name: (loss <= most).mean() for name, (loss, most) in self.losses.items()}
        return {name: recalibrated(share, name, self.noise) for name, share in shares.items()}


def recalibrated(share: float, question: str, noise: float) -> float:
    """Probability for a share of the draws, by logistic regression on pairs that were left out.

    `noise` is the deviation of a run over the tolerable loss: log odds weigh less where it is high.
    """
    offset, slope, bend = fitted()["calibration"][question]
    low, high = NOISY
    odds = logit(np.clip(share, 1 / _DRAWS, 1 - 1 / _DRAWS))
    return float(expit(offset + (slope + bend * np.log(np.clip(noise, low, high))) * odds))


@dataclass(frozen=True, eq=False)
class Task:
    """Settings of both networks, and the runs of the pruned one; `points` has the axes."""

    points: pd.DataFrame
    landscape: PrunedLandscape
    runs: Runs
    kept: int

    @classmethod
    def of(
        cls,
        dense: Landscape,
        pruned: Landscape | None,
        prior: Prior,
        kept_at: Sequence[float] | None = None,
    ) -> "Task":
        """Task of two landscapes; the pruned one may be missing."""
        dense = with_diverged(dense)
        surrogate = Surrogate(dense)
        if (number := int(surrogate.used.sum())) < FEWEST:
            raise HpstudyError(
                f"{dense.variant!r} has {count(number, 'setting')} with a value above 0 on all "
                f"axes; retuning needs at least {FEWEST}."
            )
        worst = float(dense.points["value"].min())
        nets = [dense] if pruned is None else [dense, with_diverged(pruned, worst)]
        if len({net.axes for net in nets}) > 1:
            raise HpstudyError("the dense and the pruned network lie over different axes.")
        points = pd.concat([net.points[list(dense.axes)][net.placed] for net in nets])
        logs = np.concatenate([net.logs[net.placed] for net in nets])
        keys = pd.MultiIndex.from_arrays(np.round(logs, 6).T)
        first = np.flatnonzero(~keys.duplicated())
        points, logs, keys = points.iloc[first].reset_index(drop=True), logs[first], keys[first]
        runs = _runs(nets[1], keys) if pruned is not None else _NO_RUNS
        landscape = PrunedLandscape(surrogate, logs, prior)
        measured = np.isin(np.arange(len(logs)), keys.get_indexer(_keys(dense, surrogate.used)))
        kept = int(np.where(measured, landscape.depth, np.inf).argmin())
        if kept_at is not None:
            kept = _row_of(points, kept_at)
        if len(logs) > _MOST:
            order = np.argsort(landscape.depth, kind="stable")[:_MOST]
            chosen = np.unique(np.r_[kept, runs.rows, order])
            runs = runs._replace(rows=np.searchsorted(chosen, runs.rows))
            points = points.iloc[chosen].reset_index(drop=True)
            kept = int(np.searchsorted(chosen, kept))
            landscape = PrunedLandscape(surrogate, logs[chosen], prior)
        return cls(points, landscape, runs, kept)

    @property
    def replicated(self) -> bool:
        """Whether runs of either network that differ by seed alone show how noisy one is."""
        return self.landscape.replicated or len(np.unique(self.runs.rows)) < self.runs.each.sum()

    def look(self, runs: Runs, tolerable: float) -> Look:
        """What some of the runs say; the same each time."""
        generator = np.random.default_rng(len(runs.rows))
        first = self.points.to_numpy(float)
        lines = tuple(np.isclose(first[:, k], first[self.kept, k]) for k in range(first.shape[1]))
        draws = self.landscape.draws(runs, _DRAWS, generator)
        return Look(draws, self.kept, lines, tolerable, self.landscape.dense.noise / tolerable)

    def next_rows(self, look: Look, beliefs: dict[str, Belief], number: int) -> list[int]:
        """Rows of the settings to train next.

        Without any replicate, the kept setting comes again before the first verdict. Else the first
        is the one after whose training the open verdicts are expected to have the least entropy:
        draws are sorted into bins of what it may show, and each bin has its own shares. The others
        take most of the variance of the verdicts that is then left, by a linear rule.
        """
        generator = np.random.default_rng([len(self.runs.rows), 1])
        open_ = [name for name, belief in beliefs.items() if belief.answer == "inconclusive"]
        names = open_ or ["found"]
        ended = len(self.runs.rows)
        if not ended or (ended >= LEAST - 1 and not self.replicated):
            first = self.kept
        else:
            tolerated = np.array([look.losses[name][0] <= look.losses[name][1] for name in names])
            first = int(_entropies(look.draws, tolerated, generator).argmin())
        if number == 1:
            return [first]
        soft = [
            expit((loss - most) / (_SOFT * look.tolerable))
            for loss, most in (look.losses[name] for name in names)
        ]
        return _spread(look.draws, np.array(soft).T, first, number)

    def setting(self, row: int) -> dict[str, float]:
        """Values of the axes."""
        return {str(axis): float(value) for axis, value in self.points.iloc[row].items()}

    def named(self, rows: list[int]) -> list[dict[str, float]]:
        """Settings to train, each with the first seed that it was not trained with."""
        result, had = [], np.repeat(self.runs.rows, self.runs.each.astype(int)).tolist()
        for row in rows:
            result.append(self.setting(row) | {"seed": had.count(row)})
            had.append(row)
        return result


def _entropies(draws: Draws, tolerated: Mask, generator: np.random.Generator) -> Array:
    """Entropy of the verdicts to expect after a training at each setting, of shape (n_settings,).

    `tolerated` is of shape (n_questions, n_draws).
    """
    shown = draws.values + draws.noise * generator.standard_normal(draws.values.shape)
    order = shown.argsort(axis=0).reshape(_BINS, -1, shown.shape[1])
    share = tolerated[:, order].mean(axis=2).clip(1e-3, 1 - 1e-3)
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    return np.asarray(entropy.mean(axis=1).sum(axis=0))


def _spread(draws: Draws, targets: Array, first: int, number: int) -> list[int]:
    """Rows that take most variance of the targets (n_draws, n_targets) one after the other."""
    values, targets = draws.values - draws.values.mean(axis=0), targets - targets.mean(axis=0)
    among, across = values.T @ values / len(values), values.T @ targets / len(values)
    noise, rows = (draws.noise**2).mean(axis=0), [first]
    for _ in range(number - 1):
        last = rows[-1]
        scale = among[last, last] + noise[last]
        across = across - np.outer(among[:, last], across[last]) / scale
        among = among - np.outer(among[:, last], among[last]) / scale
        rows.append(int(((across**2).sum(axis=1) / (np.diag(among) + noise)).argmax()))
    return rows


_NO_RUNS = Runs(np.empty(0, int), np.empty(0), np.empty(0, int), np.empty(0))


def with_diverged(landscape: Landscape, worst: float = np.inf) -> Landscape:
    """The landscape whose settings at which a run diverged have the worst value of all."""
    points = landscape.points
    lost = points["value"].isna() & (points["diverged"] > 0)
    worst = float(np.nanmin([*points["value"], worst]))
    points = points.assign(value=points["value"].mask(lost, worst))
    names = ("variant", "metric", "axes", "goal", "ceiling", "singles")
    rest = {name: getattr(landscape, name) for name in names}
    return Landscape(points=points, **rest)


def _row_of(points: pd.DataFrame, setting: Sequence[float]) -> int:
    """Row of a setting; refuses one that is not there, with the nearest that is."""
    values = points.to_numpy(float)
    text = ", ".join(f"{value:g}" for value in setting)
    if len(setting) != values.shape[1] or not min(setting) > 0:
        axes = " and ".join(map(str, points))
        raise HpstudyError(f"the setting to keep must have a value above 0 of {axes}; not {text}.")
    apart = np.abs(np.log(values / np.array(setting))).sum(axis=1)
    row = int(apart.argmin())
    if apart[row] > 0.01:
        near = ", ".join(f"{value:g}" for value in values[row])
        raise HpstudyError(
            f"the setting to keep, {text}, is in neither table; the nearest is {near}."
        )
    return row


def _keys(landscape: Landscape, some: Mask) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays(np.round(landscape.logs[some], 6).T)


def _runs(pruned: Landscape, keys: pd.MultiIndex) -> Runs:
    """Runs of the pruned network at the settings `keys`, in the order of its table."""
    points = pruned.points
    rows = np.full(len(points), -1)
    known = pruned.placed & points["value"].notna().to_numpy()
    rows[known] = keys.get_indexer(_keys(pruned, known))
    if pruned.singles is None:
        at, values = np.flatnonzero(rows >= 0), points["value"].to_numpy(float)
        each = points["seeds"].to_numpy(float)[at]
        return Runs(rows[at], values[at], np.zeros(len(at), int), each)
    lost = points[known & (points["diverged"] > 0).to_numpy()]
    lost = lost.loc[~lost.index.isin(pruned.singles["point"])]
    more = lost[["value"]].assign(point=lost.index, seed=-1, each=lost["seeds"].astype(float))
    singles = pruned.singles.assign(each=1.0)
    singles = pd.concat([singles, more]) if len(more) else singles
    singles = singles[rows[singles["point"].to_numpy()] >= 0]
    seeds: Rows = pd.factorize(singles["seed"])[0]
    values, each = (singles[name].to_numpy(float) for name in ("value", "each"))
    return Runs(rows[singles["point"].to_numpy()], values, seeds, each)
