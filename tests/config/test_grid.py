"""The points of a grid, coarse to fine."""

import math

from hpstudy.config.grid import Extent, Grid, Point

PRIOR = Point(lr=0.1, weight_decay=1e-4)
NINE = {"points": 9, "step": 0.2}


def decades(points):
    """Whole steps of 0.2 decades from the prior, as (lr, weight_decay)."""
    return [
        (
            round(math.log10(point.lr / PRIOR.lr) / 0.2),
            round(math.log10(point.weight_decay / PRIOR.weight_decay) / 0.2),
        )
        for point in points
    ]


def grid(lr=None, weight_decay=None):
    return Grid(lr=lr or NINE, weight_decay=weight_decay or NINE)


# --- coarse to fine -------------------------------------------------------------------------------


def test_the_first_level_of_nine_by_nine_is_every_fourth_value_the_second_every_second():
    levels = [decades(level) for level in grid().levels(PRIOR)]
    assert sorted(levels[0]) == [(i, j) for i in (-4, 0, 4) for j in (-4, 0, 4)]
    every_second = {(i, j) for i in range(-4, 5, 2) for j in range(-4, 5, 2)}
    assert set(levels[1]) == every_second - set(levels[0])
    # The level after the last is for the points of an extension.
    assert [len(level) for level in levels] == [9, 16, 56, 0]
    assert len(set().union(*levels)) == 81


def test_within_a_level_the_nearest_to_the_prior_is_first():
    for level in grid().levels(PRIOR):
        distances = [math.hypot(*steps) for steps in decades(level)]
        assert distances == sorted(distances)
    assert decades(grid().levels(PRIOR)[0])[0] == (0, 0)


def test_three_by_three_has_one_level():
    three = {"points": 3, "step": 0.4}
    assert [len(level) for level in grid(three, three).levels(PRIOR)] == [9, 0]


def test_listed_values_are_levelled_around_the_one_nearest_to_the_prior():
    """Of five learning rates 0.12 is the nearest to 0.1: it and every second from it come first."""
    listed = grid((0.01, 0.03, 0.12, 0.3, 1.0), (1e-4,))
    levels = [[point.lr for point in level] for level in listed.levels(PRIOR)]
    assert levels == [[0.12, 0.01, 1.0], [0.3, 0.03], []]


def test_points_of_an_extension_leave_the_levels_of_the_others_as_they_were():
    axis = {**NINE, "extend": 3}
    base = grid(axis, axis).levels(PRIOR)
    extended = grid(axis, axis).levels(PRIOR, Extent(lr=(3, 0), weight_decay=(0, 1)))
    assert extended[:-1] == base[:-1] and base[-1] == []
    assert len(extended) == len(base) == 4
    assert set(decades(extended[-1])) == {
        (i, j) for i in range(-7, 5) for j in range(-4, 6) if i < -4 or j > 4
    }


def test_points_without_weight_decay_stand_in_the_level_of_their_learning_rate():
    """And leave the levels of all others as they were without them."""
    decays = (1e-5, 1e-4, 1e-3)
    with_zero = grid(weight_decay=(0, *decays)).levels(PRIOR)
    without = grid(weight_decay=decays).levels(PRIOR)
    for some, others in zip(with_zero, without, strict=True):
        assert [point for point in some if point.weight_decay] == others
        # Last of their level, the nearest to the learning rate of the prior first.
        assert all(point.weight_decay == 0 for point in some[len(others) :])
    steps = [
        [round(math.log10(point.lr / 0.1) / 0.2) for point in level if not point.weight_decay]
        for level in with_zero
    ]
    assert steps == [[0, -4, 4], [-2, 2], [-1, 1, -3, 3], []]


def test_a_grid_may_have_no_weight_decay_at_all():
    levels = grid((0.01, 0.1, 1.0), (0,)).levels(PRIOR)
    assert [(point.lr, point.weight_decay) for point in levels[0]] == [(0.1, 0), (0.01, 0), (1, 0)]
