"""`hpstudy.retune` as a sampler of Optuna."""

from typing import Any

import pandas as pd
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpstudy.analysis.landscape import Landscape, landscapes
from hpstudy.analysis.retune import BUDGET, Retuning, retune
from hpstudy.analysis.verdict import TOLERABLE
from hpstudy.errors import HpstudyError

ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)


class HpstudySampler(BaseSampler):
    """Sampler that asks `retune` for the next setting of a pruned network.

    It suggests the axes of the dense landscape, by their names, and draws other parameters at
    random. The trial's user attribute `seed` is the seed to train with: a setting that is asked for
    again wants another one. A trial that fails or is pruned counts as a run that diverged. The
    study stops with the verdict, or once the budget is spent.

    Parameters
    ----------
    dense : Landscape
        The dense network's landscape (`hpstudy.landscapes`); the study optimizes the same metric.
    tolerable : float, default 0.5
        Loss up to which settings are kept, in the metric's unit.
    budget : int, default 30
        Trainings of the pruned network in all.
    seed : int, optional
        Of the other parameters.
    """

    def __init__(
        self,
        dense: Landscape,
        *,
        tolerable: float = TOLERABLE,
        budget: int = BUDGET,
        seed: int | None = None,
    ) -> None:
        self.dense, self.tolerable, self.budget = dense, tolerable, budget
        self._other = RandomSampler(seed)
        self._asked: tuple[int, dict[str, float]] | None = None

    def answer(self, study: Study, batch: int = 1) -> Retuning:
        """Verdict as far as the trials that have ended show it, and what comes next.

        Raises HpstudyError if the study optimizes in the other direction.
        """
        trials = study.get_trials(False, ENDED)
        values = [t.value if t.state == TrialState.COMPLETE else None for t in trials]
        return self._answer(study, list(zip(trials, values, strict=True)), batch)

    def _answer(
        self, study: Study, ended: list[tuple[FrozenTrial, float | None]], batch: int
    ) -> Retuning:
        maximizes = study.direction == StudyDirection.MAXIMIZE
        if maximizes != (self.dense.goal == "maximize"):
            raise HpstudyError(
                f"the dense landscape's goal is to {self.dense.goal} {self.dense.metric}; create "
                f"the study with direction={self.dense.goal!r}."
            )
        axes = list(self.dense.axes)
        name = self.dense.metric
        rows = [
            {axis: trial.params[axis] for axis in axes}
            | {"seed": trial.user_attrs.get("seed", 0), name: value}
            for trial, value in ended
            if {*axes} <= {*trial.params}
        ]
        if not rows:
            return retune(self.dense, tolerable=self.tolerable, budget=self.budget, batch=batch)
        table = pd.DataFrame(rows).assign(variant="pruned").astype({name: float})
        limit = self.dense.sign * self.dense.ceiling
        found = landscapes(table, name, "pruned", tuple(axes), self.dense.goal, limit)
        options = {"tolerable": self.tolerable, "budget": self.budget, "batch": batch}
        return retune(self.dense, found["pruned"], **options)  # type: ignore[arg-type]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: parameters are suggested one by one."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """None, for the same reason."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Value of an axis at the next setting; of another parameter, one at random."""
        if param_name not in self.dense.axes:
            args = study, trial, param_name, param_distribution
            return self._other.sample_independent(*args)
        if self._asked is None or self._asked[0] != trial.number:
            # Trials that run at the same time each take another setting of the batch.
            running = len(study.get_trials(False, (TrialState.RUNNING,)))
            result = self.answer(study, max(running, 1))
            self._asked = trial.number, dict(result.next[-1] if result.next else result.setting)
            seed = int(self._asked[1].get("seed", 0))
            study._storage.set_trial_user_attr(trial._trial_id, "seed", seed)
        value = self._asked[1][param_name]
        if not param_distribution._contains(param_distribution.to_internal_repr(value)):
            raise HpstudyError(
                f"the next setting has {param_name} {value:g}, which {param_distribution} does not "
                "hold; suggest the whole range of the dense network's settings."
            )
        return value

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Stop the study once the answer is known.

        Raises HpstudyError if the trial did not suggest the axes.
        """
        if missing := [axis for axis in self.dense.axes if axis not in trial.params]:
            if state != TrialState.COMPLETE:
                return
            found, axes = ", ".join(trial.params) or "none", " and ".join(self.dense.axes)
            raise HpstudyError(
                f"the trial has no parameter {missing[0]}; suggest {axes}, as the dense landscape "
                f"names them. It has: {found}."
            )
        # This trial is recorded after this call only.
        before = study.get_trials(False, ENDED)
        ended = [(one, one.value if one.state == TrialState.COMPLETE else None) for one in before]
        value = values[0] if state == TrialState.COMPLETE and values else None
        if self._answer(study, [*ended, (trial, value)], 1).done:
            study.stop()
