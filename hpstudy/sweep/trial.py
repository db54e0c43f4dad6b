"""The trial before long work: which arithmetic, and how many workers, train most runs."""

import logging
from typing import Any, NamedTuple

from hpstudy.config.arithmetic import ARITHMETICS, COMPILED, PADDED, POPULATION
from hpstudy.config.study import DENSE
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.executors import CalibrationError, Executor
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import calibrated_seconds, wall_hours

logger = logging.getLogger(__name__)

# Hours per network and worker from which a trial pays: compiling takes a minute for each.
TRIAL_HOURS = 0.5
# A smaller gain is within the noise of the trial.
TRIAL_GAIN = 1.05


class Way(NamedTuple):
    """How to train: the arguments of `hpstudy.sweep.executors.Executor.adopt`."""

    arithmetic: str
    per_device: int | None

    def __str__(self) -> str:
        """Its name in a message."""
        if self.arithmetic == POPULATION and self.per_device:
            return f"{self.arithmetic} of {self.per_device}"
        several = f" by {self.per_device} workers a GPU" if (self.per_device or 1) > 1 else ""
        return self.arithmetic + several


def choose_fastest(plan: AnyPlan, executor: Executor, priced: dict[str, Any]) -> None:
    """Fix the arithmetic and the workers of a study that leaves them open; correct the price.

    Long work takes those that train most runs an hour in a trial of the dense network's steps,
    without those that fail, as where there is no compiler.
    """
    if not isinstance(plan, Plan) or not (plan.undecided or executor.counts):
        return
    networks = sum(entry["missing"] > 0 for entry in priced["variants"].values())
    if priced["hours"] / max(1, networks) < TRIAL_HOURS:
        if plan.undecided:
            short = "without a trial of others for so short work"
            logger.info("%s: %s, %s", plan.study.name, plan.precision, short)
        plan.decide(plan.precision)
        return executor.adopt(plan.precision)
    missing = sum(entry["missing"] for entry in priced["variants"].values())
    seconds: dict[Way, float] = {}
    speeds: dict[Way, float] = {}
    trials: list[str] = []
    first, *_ = ways = _ways(plan, executor)
    chosen = first
    for way in ways:
        executor.adopt(*way)
        try:
            seconds[way] = calibrated_seconds(plan, DENSE, way.arithmetic, executor)
        except CalibrationError as error:
            if way == first:
                raise
            trials.append(f"{way} fails ({error})")
            continue
        speeds[way] = min(executor.workers, missing) / seconds[way]
        trials.append(f"{way} {speeds[way] / speeds[first]:.2f}")
        if speeds[way] > TRIAL_GAIN * speeds[chosen]:
            chosen = way
    executor.adopt(*chosen)
    gains = dict.fromkeys(priced["variants"], seconds[first] / seconds[chosen])
    padded = chosen._replace(arithmetic=chosen.arithmetic + PADDED)
    if (gain := _gain_of_padding(plan, executor, priced, padded, trials)) > TRIAL_GAIN:
        chosen = padded
        gains |= {variant: gains[variant] * gain for variant in gains if variant != DENSE}
    logger.info("%s: %s; relative speed %s", plan.study.name, chosen, ", ".join(trials))
    for variant, entry in priced["variants"].items():
        entry["seconds_per_run"] /= gains[variant]
    plan.decide(chosen.arithmetic)
    # Another sweep may have decided first.
    executor.adopt(plan.precision, chosen.per_device)
    priced["workers"] = executor.workers
    priced["hours"] = wall_hours(priced["variants"], executor.workers)


def _ways(plan: Plan, executor: Executor) -> list[Way]:
    """Ways to try, the simpler ones first."""
    names = [plan.precision]
    if plan.undecided:
        simple = list(dict.fromkeys([plan.precision, "bfloat16"]))
        names = [*simple, *(f"{name}{COMPILED}" for name in simple)]
    ways = [Way(name, count) for count in executor.counts or (None,) for name in names]
    if plan.undecided and plan.study.can_be_population and executor.device.startswith("cuda"):
        ways += [Way(POPULATION, count) for count in executor.slots]
    return ways


def _gain_of_padding(
    plan: Plan, executor: Executor, priced: dict[str, Any], padded: Way, trials: list[str]
) -> float:
    """How much faster pruned networks train when they are padded; 1 where that is not offered.

    It loses on CPUs (`benchmarks/padded.py`), and the dense network has nothing to pad.
    """
    offered = plan.undecided and padded.arithmetic in ARITHMETICS and plan.study.can_be_padded
    if not (offered and executor.device.startswith(("cuda", "GPU"))):
        return 1.0
    missing = {name: one["missing"] for name, one in priced["variants"].items() if name != DENSE}
    variant = max(missing, key=missing.__getitem__)
    names = padded.arithmetic.removesuffix(PADDED), padded.arithmetic
    try:
        before, after = (calibrated_seconds(plan, variant, name, executor) for name in names)
    except CalibrationError as error:
        trials.append(f"{padded} fails ({error})")
        return 1.0
    trials.append(f"{padded} {before / after:.2f} for pruned networks")
    return before / after
