"""The arithmetic of a study that leaves it open: decided by a trial where the work is long."""

import logging
from typing import Any

from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors.base import Executor
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import calibrated_seconds, format_hours, hours_per_architecture

logger = logging.getLogger(__name__)

# Compiling takes about a minute for each network in each worker: of longer work it is little.
TRIAL_HOURS = 0.5
# A smaller gain would be within the noise of its measurement.
TRIAL_GAIN = 1.05


def decide_arithmetic(plan: Plan, executor: Executor, priced: dict[str, Any]) -> None:
    """Fix the arithmetic of a study that leaves it open, and say why; correct the price.

    Long work takes the arithmetic that a trial of the dense network's steps finds fastest; one
    that fails in the trial, as where there is no compiler, is said and left out.
    """
    if not plan.undecided:
        return
    name, chosen = plan.study.name, plan.arithmetic
    hours = hours_per_architecture(priced)
    if hours < TRIAL_HOURS:
        logger.info(
            f"{name}: {chosen}, no other tried, because {format_hours(hours)} of training per "
            f"network and worker are fewer than {format_hours(TRIAL_HOURS)}"
        )
        return plan.decide(chosen)
    seconds, said = {}, []
    for arithmetic in candidates(chosen):
        try:
            seconds[arithmetic] = calibrated_seconds(plan, DENSE, arithmetic, executor)
        except HpstudyError:
            raise
        except Exception as error:  # whatever a compiler may say
            said.append(f"{arithmetic} fails ({' '.join(str(error).split())[:200]})")
            continue
        said.append(f"{arithmetic} {seconds[plan.arithmetic] / seconds[arithmetic]:.2f}")
        if seconds[arithmetic] * TRIAL_GAIN < seconds[chosen]:
            chosen = arithmetic
    logger.info(f"{name}: {chosen}, after a trial of relative speed: {', '.join(said)}")
    gain = seconds[plan.arithmetic] / seconds[chosen]
    for entry in priced["variants"].values():
        entry["seconds_per_run"] /= gain
    priced["hours"] /= gain
    plan.decide(chosen)


def candidates(default: str) -> list[str]:
    """Arithmetics to try, the simplest first. Not every CPU is fast at bfloat16."""
    precisions = list(dict.fromkeys([default, "bfloat16"]))
    return precisions + [f"{name}-compiled" for name in precisions]
