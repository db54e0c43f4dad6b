"""What a study's missing runs will take on this machine, from a calibration of seconds."""

from collections.abc import Iterable
from statistics import mean
from typing import Any

from hpstudy.config.study import DENSE, parse_variant
from hpstudy.errors import count
from hpstudy.networks.pruning import choose_channels, filter_scores
from hpstudy.sweep.executors.base import Executor
from hpstudy.sweep.executors.factory import open_executor
from hpstudy.sweep.plan import Plan

# Finished runs whose median is trusted more than a calibration.
_ENOUGH = 3
# Of steps, for training and again for evaluation.
_SECONDS = 1.0


def price(plan: Plan, workers: int | None = None, address: str | None = None) -> dict[str, Any]:
    """Missing runs of a study and the time that they will take (see `price_on`).

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Runs trained at once; one per core or GPU by default.
    address : str, optional
        Of the Ray cluster, for a study with `executor: ray`.

    Raises
    ------
    HpstudyError
        As `hpstudy.sweep.executors.factory.open_executor`, or if a worker ends.
    """
    with open_executor(plan, workers, address, train=False) as executor:
        return price_on(executor, plan)


def price_on(executor: Executor, plan: Plan) -> dict[str, Any]:
    """Missing runs of a study and the time that they will take here.

    Parameters
    ----------
    executor : Executor
        At nothing else.
    plan : Plan

    Returns
    -------
    dict
        `variants`: per variant `total`, `done`, `failed`, `missing`, `macs`, `params`,
        `seconds_per_run` and `source` of the latter ("measured" on three or more finished runs, or
        on all there are to be, else "calibrated" on a few steps that several workers take at once);
        `hours` of wall time for all that is missing; `workers`; `device`; `arithmetic`;
        `grid_to_come`: the most runs by which the grids may still grow; `replicates_to_come`: the
        fewest and the most runs of points to train again, which are not chosen yet. Neither is in
        the hours. The networks of variants whose ranking is not
        there yet are approximated by untrained ones.

    Raises
    ------
    HpstudyError
        If a worker ends.
    """
    table = plan.table()
    whole = table[~table["stopped"].astype(bool)]
    cost = plan.network.cost
    variants: dict[str, dict[str, Any]] = {}
    for variant, counts in plan.counts().iterrows():
        widths = _widths(plan, variant)
        variants[variant] = {
            **{key: int(value) for key, value in counts.items()},
            "macs": cost.macs(widths),
            "params": cost.params(widths),
        }
        finished = whole[whole["variant"] == variant]["seconds"]
        if len(finished) >= _ENOUGH or not variants[variant]["missing"]:
            seconds, source = float(finished.median()), "measured"
            variants[variant] |= {"seconds_per_run": seconds, "source": source}
    for name, entry in variants.items():
        if "source" not in entry:
            seconds = calibrated_seconds(plan, name, plan.arithmetic, executor)
            entry |= {"seconds_per_run": seconds, "source": "calibrated"}
    total = sum(entry["missing"] * entry["seconds_per_run"] for entry in variants.values())
    return {
        "study": plan.study.name,
        "variants": variants,
        "hours": total / executor.workers / 3600,
        "workers": executor.workers,
        "device": executor.device,
        "arithmetic": plan.arithmetic,
        "grid_to_come": plan.grid_to_come(),
        "replicates_to_come": plan.replicates_to_come(),
    }


def format_price(price: dict[str, Any]) -> str:
    """The price as lines of text for a terminal."""
    head = ("variant", "total", "done", "missing", "MMACs", "kparams", "s/run", "source")
    rows: list[Iterable[str]] = [head]
    for name, entry in price["variants"].items():
        numbers = [entry["total"], entry["done"], entry["missing"]]
        rows.append(
            (
                name,
                *map(str, numbers),
                f"{entry['macs'] / 1e6:.1f}",
                f"{entry['params'] / 1e3:.0f}",
                f"{entry['seconds_per_run']:,.1f}",
                entry["source"],
            )
        )
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, columns, strict=True)) for row in rows]
    missing, failed = (
        sum(entry[key] for entry in price["variants"].values()) for key in ("missing", "failed")
    )
    if failed:
        lines.append(f"{count(failed, 'run')} failed, left out here; --retry-failed trains again")
    lines.append(
        f"{price['study']}: {count(missing, 'missing run')}, about {format_hours(price['hours'])} "
        f"with {count(price['workers'], 'worker')} on {price['device']}, {price['arithmetic']}"
        f"{format_to_come(price)}"
    )
    return "\n".join(line.rstrip() for line in lines)


def format_to_come(price: dict[str, Any]) -> str:
    """The end of a sentence about the runs that are not priced; nothing if there are none."""
    grid, (fewest, most) = price["grid_to_come"], price["replicates_to_come"]
    said = f"; up to {grid} more where a region touches the end of a grid" if grid else ""
    if most:
        said += f"; then {fewest} to {most} replicates, once the grids have ended"
    return said


def format_hours(hours: float) -> str:
    """A duration in the unit that suits it."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.1f} min"
    return f"{hours:,.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def _widths(plan: Plan, variant: str) -> dict[str, int] | None:
    if variant == DENSE:
        return None
    if variant in plan.certificates:
        return plan.certificates[variant]["widths"]
    scores = filter_scores(plan.network.model, plan.network.prunable)
    method, ratio = parse_variant(variant)
    kept = choose_channels(plan.network.cost, scores, method, ratio, plan.study.criterion)
    return {layer: len(channels) for layer, channels in kept.items()}


def calibrated_seconds(plan: Plan, variant: str, arithmetic: str, executor: Executor) -> float:
    """Seconds per run, from a few steps that several workers take at once, as when they train."""
    spec = plan.prior.model_copy(
        update={"widths": _widths(plan, variant), "arithmetic": arithmetic}
    )
    size, recipe = plan.size, plan.study.recipe
    measured = executor.calibrate(spec, size.classes, (size.train, size.test), _SECONDS)
    training, evaluation = map(mean, zip(*measured, strict=True))
    return recipe.epochs * (size.train * training + size.test * evaluation)


def hours_per_architecture(priced: dict[str, Any]) -> float:
    """Mean time that a worker spends on the missing runs of one network."""
    missing = [entry for entry in priced["variants"].values() if entry["missing"]]
    return priced["hours"] / max(1, len(missing))
