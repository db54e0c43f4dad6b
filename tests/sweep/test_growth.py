"""Grids grow until the region of interest is inside, whatever the order of the results."""

import math
import random

import pytest
import tiny

from hpstudy.config.grid import BASE, Extent, Grid, Point
from hpstudy.storage.store import Store
from hpstudy.sweep.growth import assess, grow
from hpstudy.sweep.plan import Plan

PRIOR = Point(lr=0.1, weight_decay=1e-4)


def steps(point):
    """Whole steps of 0.2 decades from the prior, as (lr, weight_decay)."""
    logs = math.log10(point.lr / PRIOR.lr), math.log10(point.weight_decay / PRIOR.weight_decay)
    return tuple(round(log / 0.2) for log in logs)


def bowl(lr, weight_decay, steepness=1.0):
    """Accuracies that fall off with the distance, in steps, from an optimum at (lr, weight_decay).

    The 1.0-ROI then holds what lies within sqrt(1 / steepness) steps of it.
    """

    def at(point):
        i, j = steps(point)
        return 90 - steepness * ((i - lr) ** 2 + (j - weight_decay) ** 2)

    return at


def measured(grid, extent, value):
    points = [point for level in grid.levels(PRIOR, extent) for point in level]
    return {(point.lr, point.weight_decay): value(point) for point in points}


def grown(optimum, extend=4, value=None, start=BASE, steepness=1.0):
    """Growth once everything that the grid asked for has been measured."""
    axis = {"points": 5, "step": 0.2, "extend": extend}
    grid = Grid(lr=axis, weight_decay=axis)
    value = value or bowl(*optimum, steepness)
    growth, rounds = grow(grid, PRIOR, {}, 1.0, start), 0
    while not growth.settled:
        growth = grow(grid, PRIOR, measured(grid, growth.extent, value), 1.0, start)
        rounds += 1
    return growth


@pytest.mark.parametrize(
    "optimum, extent",
    [
        ((0, 0), Extent()),  # two steps from every end, the region reaches one
        ((2, 0), Extent(lr=(0, 2))),  # region from 1 to 3, so that 4 is outside
        ((0, -3), Extent(weight_decay=(3, 0))),  # region from -4 to -2, and 5 bounds it
        ((-2, 2), Extent(lr=(2, 0), weight_decay=(0, 2))),
    ],
)
def test_grid_grows_until_the_region_of_interest_is_inside(optimum, extent):
    growth = grown(optimum)
    assert (growth.extent, growth.settled, growth.touched) == (extent, True, ())


def test_growth_is_bounded_and_names_the_touched_ends():
    growth = grown((9, -9), extend=2)
    assert growth.extent == Extent(lr=(0, 2), weight_decay=(2, 0))
    assert growth.touched == ("high lr", "low weight_decay")


def test_grid_without_extension_does_not_grow():
    growth = grown((9, 0), extend=0)
    assert growth.extent == BASE and growth.touched == ("high lr",)


def test_weight_decay_of_0_is_no_end_of_the_grid():
    """A region that reaches it touches no end, one at the lowest value above it does."""
    axis = {"points": 5, "step": 0.2, "extend": 2}
    grid = Grid(lr=axis, weight_decay=(0, 1e-5, 1e-4, 1e-3))

    def growth_with_best_at(decay):
        def value(point):
            return 90.0 if (point.lr, point.weight_decay) == (0.1, decay) else 80.0

        return grow(grid, PRIOR, measured(grid, BASE, value), 1.0)

    assert growth_with_best_at(0) == (BASE, True, ())
    assert growth_with_best_at(1e-4) == (BASE, True, ())
    assert growth_with_best_at(1e-5) == (BASE, True, ("low weight_decay",))
    assert growth_with_best_at(1e-3) == (BASE, True, ("high weight_decay",))


def test_diverged_runs_bound_the_region():
    def diverges_above(point):
        i, _ = steps(point)
        return math.nan if i > 2 else bowl(2, 0)(point)

    growth = grown(None, value=diverges_above)
    assert growth.extent == Extent(lr=(0, 1)) and growth.touched == ()


def test_grid_without_any_value_does_not_grow():
    growth = grown(None, value=lambda point: math.nan)
    assert (growth.extent, growth.settled) == (BASE, True)


def test_grid_with_a_missing_result_does_not_grow():
    axis = {"points": 5, "step": 0.2, "extend": 4}
    grid = Grid(lr=axis, weight_decay=axis)
    results = measured(grid, BASE, bowl(2, 0))
    results.popitem()
    assert grow(grid, PRIOR, results, 1.0) == (BASE, False, ())


def test_results_outside_a_grid_do_not_change_its_growth():
    """So that the extent does not depend on what other sweeps have put into the store."""
    axis = {"points": 5, "step": 0.2, "extend": 4}
    grid = Grid(lr=axis, weight_decay=axis)
    everything = list(measured(grid, grid.largest, bowl(0, 0)).items())
    random.Random(1).shuffle(everything)
    assert grow(grid, PRIOR, dict(everything), 1.0) == (BASE, True, ())


def test_grid_of_a_pruned_network_starts_with_the_dense_one():
    start = Extent(lr=(0, 2))
    assert grown((0, 0), start=start).extent == start
    assert grown((-2, 0), start=start).extent == Extent(lr=(2, 2))


# --- in a plan ------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path):
    lr = {"points": 3, "step": 0.3, "extend": 2}
    changes = {"model": "resnet20", "grid.lr": lr, "seeds": [0, 1]}
    return Plan.open(tiny.study(changes), Store.open(tmp_path / "store.sqlite"))


def train(plan, value):
    """Record every missing run with an accuracy of its variant and steps of 0.3 decades."""
    widths = plan.network.cost.widths
    ranking = {
        "weights_sha256": "0" * 64,
        "scores": {layer: list(range(1, width + 1)) for layer, width in widths.items()},
    }
    for variant, _, spec, *_ in plan.missing():
        step = round(math.log10(spec.lr / 0.01) / 0.3)
        kept = ranking if spec == plan.prior else None
        tiny.record(plan.store, spec, tiny.result(top1=value(variant, step)), kept)
    plan.prune()


def test_grids_of_all_networks_grow_to_one_extent(plan):
    def value(variant, step):
        return 90 - 2 * abs(step - (1 if variant == "unpruned" else -1))

    while plan.missing():
        train(plan, value)
    extents = {name: growth.extent.lr for name, growth in assess(plan).growths.items()}
    assert extents == {"unpruned": (1, 1), "uniform-0.2": (1, 1)}
    trained = {
        variant: sorted({round(math.log10(lr / 0.01) / 0.3) for lr in rows["lr"]})
        for variant, rows in plan.table().groupby("variant")
    }
    assert trained == dict.fromkeys(("unpruned", "uniform-0.2"), [-2, -1, 0, 1, 2])
    assert plan.counts()["total"].to_dict() == {"unpruned": 10, "uniform-0.2": 10}


def test_point_has_a_result_once_all_its_seeds_have(plan):
    train(plan, lambda variant, step: 90 - 2 * abs(step - 1))
    before = assess(plan).growths["unpruned"]
    assert before.extent.lr == (0, 1) and not before.settled
    (first, *_) = [job.spec for job in plan.missing() if job.spec.lr > 0.02]
    tiny.record(plan.store, first, tiny.result(top1=50.0))
    assert assess(plan).growths["unpruned"] == before


def test_variants_take_turns_by_level_and_seed(tmp_path):
    lr = {"points": 5, "step": 0.3}
    changes = {"model": "resnet20", "grid.lr": lr, "seeds": [0, 1]}
    plan = Plan.open(tiny.study(changes), Store.open(tmp_path / "store.sqlite"))
    train(plan, lambda variant, step: 90.0)
    order = [
        (spec.seed, labels["variant"], round(math.log10(spec.lr / 0.01) / 0.3))
        for labels, spec in plan.runs()
    ]
    one_seed = [
        *(("unpruned", 0), ("unpruned", -2), ("unpruned", 2)),
        *(("uniform-0.2", 0), ("uniform-0.2", -2), ("uniform-0.2", 2)),
        *(("unpruned", -1), ("unpruned", 1), ("uniform-0.2", -1), ("uniform-0.2", 1)),
    ]
    assert order == [(seed, *run) for seed in (0, 1) for run in one_seed]
