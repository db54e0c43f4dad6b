"""Which settings of a grid are trained in a study that skips the others (`next_settings`)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.level_set import next_settings
from hpstudy.config.grid import Point
from hpstudy.sweep.measured import measured

if TYPE_CHECKING:
    from hpstudy.sweep.any_plan import AnyPlan


class Chosen(NamedTuple):
    """Points of a grid whose runs have all ended, and those to train next: none when it is done."""

    trained: list[Point]
    asked: list[Point]

    @property
    def points(self) -> list[Point]:
        """All points that are trained."""
        return [*self.trained, *self.asked]


def choose(
    plan: "AnyPlan",
    variant: str,
    points: Sequence[Point],
    ended: Mapping[str, float],
    dense: Landscape | None,
) -> Chosen:
    """Points of a network's grid that are trained, and those that a level set asks for next.

    Batches are asked for one after the other, each when the one before has ended: what is trained
    depends neither on the order in which runs end, nor on interruptions. Then all points count
    that other studies have trained. `ended` are the runs that ended, and `dense` is the dense
    network's landscape.
    """
    study, values = plan.study, plan.values()
    by_seed = [plan.run_ids(variant, points, seed) for seed in study.seeds]
    ids = dict(zip(points, zip(*by_seed, strict=True), strict=True))
    places = {(point.lr, point.weight_decay): point for point in points}
    trained = {point: None for point in points if ended.keys() >= set(ids[point])}
    about = None if dense is None else dense.values.tobytes()

    def wanted(had: Sequence[Point]) -> list[Point]:
        # A failed run that is trained again has another result.
        runs_had = sorted((id_, id_ in values) for point in had for id_ in ids[point])
        key = variant, len(points), about, *runs_had
        if key not in plan.asked:
            runs = [
                (variant, run_id, point, seed)
                for point in had
                for run_id, seed in zip(ids[point], study.seeds, strict=True)
            ]
            own = measured(plan, runs, values)[variant] if runs else None
            batch, widest = study.design.batch, max(study.roi)
            plan.asked[key] = next_settings(own, places, widest, batch, dense)
        return [places[setting] for setting in plan.asked[key]]

    had: list[Point] = []
    while asked := wanted(had) or (wanted([*trained]) if len(trained) > len(had) else []):
        if missing := [point for point in asked if point not in trained]:
            return Chosen([*trained], missing)
        had += asked
    return Chosen([*trained], [])
