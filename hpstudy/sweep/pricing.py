"""What the missing runs of a study cost on this machine."""

import math
from collections.abc import Mapping
from statistics import mean
from typing import Any

from hpstudy.config.study import DENSE
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.executors import Executor, open_executor
from hpstudy.sweep.growth import assess, points_of
from hpstudy.sweep.plan import Plan

# Finished runs whose median replaces a calibration.
_ENOUGH = 3
# Seconds of calibration, for training and again for evaluation.
_SECONDS = 0.5


def price(plan: AnyPlan, workers: int | None = None, address: str | None = None) -> dict[str, Any]:
    """Price of a study's missing runs (see `price_on` and `open_executor`)."""
    with open_executor(plan, workers, address, train=False) as executor:
        return price_on(executor, plan)


def price_on(executor: Executor, plan: AnyPlan) -> dict[str, Any]:
    """Price of a study's missing runs on an idle executor.

    Networks without a ranking are approximated by untrained ones.

    Returns
    -------
    dict
        `variants`: counts, `macs`, `params` and `seconds_per_run` of each. The latter's `source` is
        "measured" (median of three or more finished runs, or of all there will be) or "calibrated"
        (a few steps, by several workers at once); for a command without a finished run it is None
        and "unknown". `hours` of wall time (None where no run is known), without the runs of
        `grid_to_come` and `trainings_to_come` (most) and `replicates_to_come` (fewest and most).

    Raises
    ------
    CalibrationError
        If the steps fail.
    """
    table = plan.table()
    variants: dict[str, dict[str, Any]] = {}
    for variant, counts in plan.counts().iterrows():
        entry = {**counts.to_dict(), **plan.size_of(str(variant))}
        finished = table.loc[table["variant"] == variant, "seconds"]
        if len(finished) >= _ENOUGH or (len(finished) and not entry["missing"]):
            entry |= {"seconds_per_run": float(finished.median()), "source": "measured"}
        elif not isinstance(plan, Plan):
            # A command has no steps to time: its first runs are the measurement.
            known = None if finished.empty else float(finished.median())
            source = "unknown" if known is None else "measured"
            entry |= {"seconds_per_run": known, "source": source}
        else:
            seconds = calibrated_seconds(plan, variant, plan.precision, executor)
            entry |= {"seconds_per_run": seconds, "source": "calibrated"}
        variants[variant] = entry
    return {
        "study": plan.study.name,
        "variants": variants,
        "hours": wall_hours(variants, executor.workers),
        "workers": executor.workers,
        "device": executor.device,
        "arithmetic": plan.precision,
        "grid_to_come": grid_to_come(plan),
        "replicates_to_come": replicates_to_come(plan),
        "trainings_to_come": trainings_to_come(plan),
    }


def wall_hours(variants: Mapping[str, Mapping[str, Any]], workers: int) -> float | None:
    """Hours of the missing runs of `variants`, as `price_on` has them; None where none is timed."""
    rows = variants.values()
    timed = [row["seconds_per_run"] for row in rows if row["seconds_per_run"] is not None]
    if not timed:
        return None
    # A network without a run of its own is taken to be as slow as the slowest.
    total: float = sum(row["missing"] * (row["seconds_per_run"] or max(timed)) for row in rows)
    return total / workers / 3600


def grid_to_come(plan: AnyPlan) -> int:
    """Most runs by which the grids of a study may still grow."""
    growths, study = assess(plan).growths.values(), plan.study
    if all(growth.settled for growth in growths):
        return 0
    sizes = [len(points_of(study, growth.extent)) for growth in growths]
    to_come: int = len(sizes) * study.grid.most_points() - sum(sizes)
    return to_come * len(study.seeds)


def replicates_to_come(plan: AnyPlan) -> tuple[int, int]:
    """Fewest and most runs with further seeds whose points are not chosen yet."""
    progress, replicates = assess(plan), plan.study.replicates
    if replicates is None:
        return 0, 0
    replicated = {DENSE} if plan.retunes else progress.growths.keys()
    waiting = replicated - progress.replicates.keys()
    sizes = [len(points_of(plan.study, progress.growths[name].extent)) for name in waiting]
    fewest = sum(min(size, 1 + replicates.random) for size in sizes)
    most = len(sizes) * plan.study.grid.most_points() if grid_to_come(plan) else sum(sizes)
    return fewest * len(replicates.seeds), most * len(replicates.seeds)


def trainings_to_come(plan: AnyPlan) -> int:
    """Most further trainings of a study whose design asks for them as it goes."""
    if not (plan.retunes or plan.skips):
        return 0
    progress, study, most = assess(plan), plan.study, 0
    for variant in study.variants[1:] if plan.retunes else study.variants:
        if plan.skips:
            growth = progress.growths[variant]
            known = len(progress.chosen.get(variant, ()))
            open_ = len(points_of(study, growth.extent)) - known
            most += 0 if growth.settled else open_ * len(study.seeds)
            continue
        runs = progress.retuned.get(variant)
        # Once all that was asked for has ended, the verdict stands.
        if runs is None or any(run_id not in progress.ended for _, run_id, *_ in runs):
            most += max(study.design.budget - len(runs or ()), 0)
    return most


def format_hours(hours: float | None) -> str:
    """A duration in the unit that suits it: "36.0 s", "30.0 min", "12.0 h", "3.0 days"."""
    if hours is None:
        return "as long as its first runs will show"
    units = {"days": 24 if hours >= 48 else math.inf, "h": 1, "min": 1 / 60, "s": 1 / 3600}
    unit = next((unit for unit, size in units.items() if hours >= size), "s")
    return f"{hours / units[unit]:,.1f} {unit}"


def calibrated_seconds(plan: Plan, variant: str, precision: str, executor: Executor) -> float:
    """Seconds per run, from a few steps that several workers take at once."""
    spec = plan.prior.model_copy(
        update={"widths": plan.widths_of(variant), "arithmetic": precision}
    )
    size, epochs = plan.size, plan.study.recipe.epochs
    measured = executor.calibrate(spec, size.classes, (size.train, size.test), _SECONDS)
    training = mean(seconds for seconds, _ in measured)
    evaluation = mean(seconds for _, seconds in measured)
    return epochs * (size.train * training + size.test * evaluation)
