"""What the missing runs of a study cost on this machine, and the precision that is fastest."""

import logging
import math
from statistics import mean
from typing import Any

from hpstudy.config.study import DENSE
from hpstudy.storage.schema import run_widths
from hpstudy.sweep.executors import CalibrationError, Executor, open_executor
from hpstudy.sweep.growth import assess, points_of
from hpstudy.sweep.plan import Plan

logger = logging.getLogger(__name__)

# Finished runs whose median replaces a calibration.
_ENOUGH = 3
# Seconds of calibration, for training and again for evaluation.
_SECONDS = 0.5
# Hours per network and worker from which a trial pays: compiling takes a minute for each.
TRIAL_HOURS = 0.5
# A smaller gain is within the noise of the trial.
TRIAL_GAIN = 1.05


def price(plan: Plan, workers: int | None = None, address: str | None = None) -> dict[str, Any]:
    """Price of a study's missing runs (see `price_on` and `open_executor`)."""
    with open_executor(plan, workers, address, train=False) as executor:
        return price_on(executor, plan)


def price_on(executor: Executor, plan: Plan) -> dict[str, Any]:
    """Price of a study's missing runs on an idle executor.

    Networks without a ranking are approximated by untrained ones.

    Returns
    -------
    dict
        `variants`: counts, `macs`, `params` and `seconds_per_run` of each. The latter's `source` is
        "measured" (median of three or more finished runs, or of all there will be) or "calibrated"
        (a few steps, by several workers at once). `hours` of wall time, without the runs of
        `grid_to_come` (most) and `replicates_to_come` (fewest and most).

    Raises
    ------
    CalibrationError
        If the steps fail.
    """
    table = plan.table()
    whole = table[~table["stopped"].astype(bool)]
    variants: dict[str, dict[str, Any]] = {}
    for variant, counts in plan.counts().iterrows():
        macs, params = plan.network.size(_widths(plan, variant))
        entry = {**counts.to_dict(), "macs": macs, "params": params}
        finished = whole.loc[whole["variant"] == variant, "seconds"]
        if len(finished) >= _ENOUGH or not entry["missing"]:
            entry |= {"seconds_per_run": float(finished.median()), "source": "measured"}
        else:
            seconds = calibrated_seconds(plan, variant, plan.precision, executor)
            entry |= {"seconds_per_run": seconds, "source": "calibrated"}
        variants[variant] = entry
    total = sum(entry["missing"] * entry["seconds_per_run"] for entry in variants.values())
    return {
        "study": plan.study.name,
        "variants": variants,
        "hours": total / executor.workers / 3600,
        "workers": executor.workers,
        "device": executor.device,
        "arithmetic": plan.precision,
        "grid_to_come": grid_to_come(plan),
        "replicates_to_come": replicates_to_come(plan),
    }


def grid_to_come(plan: Plan) -> int:
    """Most runs by which the grids of a study may still grow."""
    growths, study = assess(plan).growths.values(), plan.study
    if all(growth.settled for growth in growths):
        return 0
    sizes = [len(points_of(study, growth.extent)) for growth in growths]
    return (len(sizes) * study.grid.most_points() - sum(sizes)) * len(study.seeds)


def replicates_to_come(plan: Plan) -> tuple[int, int]:
    """Fewest and most runs with further seeds whose points are not chosen yet."""
    progress, replicates = assess(plan), plan.study.replicates
    if replicates is None:
        return 0, 0
    waiting = progress.growths.keys() - progress.replicates.keys()
    sizes = [len(points_of(plan.study, progress.growths[name].extent)) for name in waiting]
    fewest = sum(min(size, 1 + replicates.random) for size in sizes)
    most = len(sizes) * plan.study.grid.most_points() if grid_to_come(plan) else sum(sizes)
    return fewest * len(replicates.seeds), most * len(replicates.seeds)


def format_hours(hours: float) -> str:
    """A duration in the unit that suits it: "36.0 s", "30.0 min", "12.0 h", "3.0 days"."""
    units = {"days": 24 if hours >= 48 else math.inf, "h": 1, "min": 1 / 60, "s": 1 / 3600}
    unit = next((unit for unit, size in units.items() if hours >= size), "s")
    return f"{hours / units[unit]:,.1f} {unit}"


def _widths(plan: Plan, variant: str) -> dict[str, int] | None:
    if variant == DENSE:
        return None
    if variant in plan.certificates:
        return run_widths(plan.certificates[variant])
    return plan.network.widths_for(plan.study, variant)


def calibrated_seconds(plan: Plan, variant: str, precision: str, executor: Executor) -> float:
    """Seconds per run, from a few steps that several workers take at once."""
    spec = plan.prior.model_copy(update={"widths": _widths(plan, variant), "arithmetic": precision})
    size, epochs = plan.size, plan.study.recipe.epochs
    measured = executor.calibrate(spec, size.classes, (size.train, size.test), _SECONDS)
    training = mean(seconds for seconds, _ in measured)
    evaluation = mean(seconds for _, seconds in measured)
    return epochs * (size.train * training + size.test * evaluation)


def choose_precision(plan: Plan, executor: Executor, priced: dict[str, Any]) -> None:
    """Fix the precision of a study that leaves it open, and correct the price.

    Long work takes the precision that a trial of the dense network's steps finds fastest, without
    those that fail, as where there is no compiler.
    """
    if not plan.undecided:
        return
    chosen = plan.precision
    networks = sum(entry["missing"] > 0 for entry in priced["variants"].values())
    if priced["hours"] / max(1, networks) < TRIAL_HOURS:
        logger.info("%s: %s, without a trial of others for so short work", plan.study.name, chosen)
        return plan.decide(chosen)
    seconds, trials = {}, []
    simple = list(dict.fromkeys([chosen, "bfloat16"]))
    for precision in [*simple, *(f"{name}-compiled" for name in simple)]:
        try:
            seconds[precision] = calibrated_seconds(plan, DENSE, precision, executor)
        except CalibrationError as error:
            trials.append(f"{precision} fails ({error})")
            continue
        trials.append(f"{precision} {seconds[plan.precision] / seconds[precision]:.2f}")
        if seconds[precision] * TRIAL_GAIN < seconds[chosen]:
            chosen = precision
    logger.info("%s: %s; relative speed %s", plan.study.name, chosen, ", ".join(trials))
    gain = seconds[plan.precision] / seconds[chosen]
    for entry in priced["variants"].values():
        entry["seconds_per_run"] /= gain
    priced["hours"] /= gain
    plan.decide(chosen)
