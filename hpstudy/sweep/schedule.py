"""Which of the missing runs may be trained now, and what each is raced against."""

from typing import NamedTuple

from hpstudy.config.grid import Point
from hpstudy.config.runspec import RunSpec
from hpstudy.sweep.growth import Progress
from hpstudy.sweep.plan import Plan
from hpstudy.training.early_stopping import Race


class Task(NamedTuple):
    """One run to train.

    Attributes
    ----------
    variant : str
    spec : RunSpec
    run_id : str
        The specification's, which takes its time to be computed.
    race : Race or None
        What may stop it early.
    """

    variant: str
    spec: RunSpec
    run_id: str
    race: Race | None = None


def tasks(plan: Plan) -> list[Task]:
    """Runs to train now, in this order; more come up as they end, until none is missing.

    Without racing these are all that are missing. In a race, a run meets what its network ended
    at on the coarser levels of the grid, and therefore waits until all of those have ended: it is
    stopped, or not, whatever the number of workers and whenever the sweep was interrupted.
    """
    missing = plan.wanted()
    if not plan.study.racing:
        return [Task(variant, spec, run_id) for run_id, (variant, spec) in missing.items()]
    progress = plan.progress()
    # A prior that is no grid point is trained for the ranking alone.
    ready: dict[str, Race | None] = {plan.prior.run_id: None}
    # Noise is measured on whole runs, of networks whose grids have ended.
    ready |= {run_id: None for _, run_id, *_ in plan.repeats(progress.replicates)}
    for variant, levels in plan.levels(progress.growths).items():
        for seed in plan.study.seeds:
            earlier: dict[str, Point] = {}
            for points in levels:
                level = dict(zip(plan.run_ids(variant, points, seed), points, strict=True))
                if waiting := missing.keys() & level.keys():
                    race = _race(plan, progress, earlier) if earlier else None
                    ready |= {id_: None if id_ in progress.spared else race for id_ in waiting}
                    break
                earlier |= level
    return [
        Task(variant, spec, run_id, ready[run_id])
        for run_id, (variant, spec) in missing.items()
        if run_id in ready
    ]


def _race(plan: Plan, progress: Progress, earlier: dict[str, Point]) -> Race:
    threshold = max(plan.study.roi)
    # One that was stopped and then trained after all would make the race depend on when.
    ids = sorted(earlier.keys() - plan.store.stopped(threshold) - progress.failed)
    curves = plan.store.curves(ids)
    return Race(
        points=tuple((earlier[id_].lr, earlier[id_].weight_decay) for id_ in ids),
        losses=tuple(tuple(curves[id_]["train_loss"]) for id_ in ids),
        accuracies=tuple(progress.ended[id_] for id_ in ids),
        threshold=threshold,
    )
