"""Which channels go: scores, order, and the FLOPs ratio that is met."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from test_models import counted_flops

from hpstudy.config.study import CRITERIA, METHODS
from hpstudy.networks.flops import Channels, CostModel, Layer
from hpstudy.networks.models import build_model
from hpstudy.networks.pruning import choose_channels, filter_scores

# Every pruned network of the thesis (section 3.2.4), at the sizes of Table 3.2.
TARGETS = [
    ("resnet56", "uniform", 0.6),
    ("resnet56", "uniform", 0.2),
    ("resnet56", "nonuniform", 0.6),
    ("resnet56", "nonuniform", 0.2),
    ("mobilenetv2", "uniform", 0.6),
    ("mobilenetv2", "uniform", 0.4),
    ("mobilenetv2", "nonuniform", 0.6),
    ("mobilenetv2", "nonuniform", 0.4),
    ("resnet50", "nonuniform", 0.4),
]
SIZES = {"resnet56": (10, 32), "mobilenetv2": (10, 32), "resnet50": (1000, 224)}


def spread_weights(model, seed=0):
    """He weights whose filters differ in norm, within and between layers, as trained ones do."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 4:
                norms = random.lognormal(random.normal(0, 0.3), 0.5, len(parameter))
                parameter *= torch.from_numpy(norms).float()[:, None, None, None]
    return model


@pytest.fixture(scope="module")
def dense(network):
    """Network, model with spread weights, and scores, by name."""
    made = {}

    def dense(name):
        if name not in made:
            whole = network(name, *SIZES[name])
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = spread_weights(build_model(name, SIZES[name][0]))
            made[name] = whole, model, filter_scores(model, whole.prunable)
        return made[name]

    return dense


@pytest.fixture(scope="module")
def chosen(dense):
    """Kept channels of a network with spread weights."""

    @cache
    def chosen(name, method, ratio, criterion):
        network, _, scores = dense(name)
        return choose_channels(network.cost, scores, method, ratio, criterion)

    return chosen


def widths_of(kept):
    return {layer: len(channels) for layer, channels in kept.items()}


# --- the target -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name, method, ratio", TARGETS)
def test_target_is_met_within_a_thousandth_of_the_dense_flops(
    name, method, ratio, criterion, dense, chosen
):
    network, model, _ = dense(name)
    kept = chosen(name, method, ratio, criterion)
    flops = counted_flops(network.cut(model, kept), SIZES[name][1])
    assert flops / counted_flops(model, SIZES[name][1]) == pytest.approx(ratio, abs=1e-3)
    assert all(1 <= len(channels) for channels in kept.values())


@pytest.mark.slow
def test_any_ranking_meets_the_target(dense):
    cost = dense("resnet56")[0].cost
    for seed in range(30):
        random = np.random.default_rng(seed)
        scores = {layer: random.lognormal(size=width) for layer, width in cost.widths.items()}
        for ratio in (0.2, 0.6):
            kept = choose_channels(cost, scores, "nonuniform", ratio, "l1-normalised")
            assert cost.macs(widths_of(kept)) / cost.macs() == pytest.approx(ratio, abs=1e-3), seed


@pytest.mark.parametrize("method", METHODS)
def test_ratio_of_one_keeps_every_channel(method, dense):
    network, _, scores = dense("resnet56")
    kept = choose_channels(network.cost, scores, method, 1.0, "l1")
    assert widths_of(kept) == network.cost.widths


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_lowest_ratio_leaves_the_best_channel_of_every_layer(method, dense):
    network, model, scores = dense("resnet56")
    narrow = network.at_widths(dict.fromkeys(network.cost.widths, 1))
    low = counted_flops(narrow, 32) / counted_flops(model, 32)
    kept = choose_channels(network.cost, scores, method, low, "l1")
    assert kept == {layer: [int(np.argmax(values))] for layer, values in scores.items()}


@pytest.mark.parametrize("ratio", [0.0, -0.5, 0.03, 1.01, 60, float("nan"), float("inf")])
def test_ratio_out_of_reach_is_refused_with_the_range(ratio, dense, refused):
    network, _, scores = dense("resnet56")
    words = refused(choose_channels, network.cost, scores, "uniform", ratio, "l1")
    assert str(ratio) in words and "0.0401 to 1.0" in words


def test_unknown_method_and_criterion_are_refused_with_the_nearest(dense, refused):
    network, _, scores = dense("resnet56")
    words = refused(choose_channels, network.cost, scores, "unifrom", 0.6, "l1")
    assert "'unifrom'" in words and "did you mean 'uniform'?" in words
    words = refused(choose_channels, network.cost, scores, "uniform", 0.6, "l1-normalized")
    assert "'l1-normalized'" in words and "did you mean 'l1-normalised'?" in words


# --- by hand --------------------------------------------------------------------------------------

# Two layers on one input channel: four channels that cost 10 each, and two that cost 30 each.
BY_HAND = CostModel(
    (
        Layer(Channels(1, {}), Channels(4, {"a": 1}), 1, 10, 0),
        Layer(Channels(1, {}), Channels(2, {"b": 1}), 1, 30, 0),
    ),
    {"a": 4, "b": 2},
)
SCORES = {"a": [2.0, 1.0, 4.0, 3.0], "b": [10.0, 5.0]}


@pytest.mark.parametrize(
    "method, criterion, ratio, kept",
    [
        # Raw norms: all of a but its best go before anything of b.
        ("nonuniform", "l1", 0.9, {"a": [0, 2, 3], "b": [0, 1]}),
        ("nonuniform", "l1", 0.7, {"a": [2], "b": [0, 1]}),
        ("nonuniform", "l1", 0.4, {"a": [2], "b": [0]}),
        # Over their means, 2.5 and 7.5: 0.4 in a, 0.67 in b, 0.8 in a, 1.2 in a.
        ("nonuniform", "l1-normalised", 0.9, {"a": [0, 2, 3], "b": [0, 1]}),
        ("nonuniform", "l1-normalised", 0.6, {"a": [0, 2, 3], "b": [0]}),
        ("nonuniform", "l1-normalised", 0.5, {"a": [2, 3], "b": [0]}),
        # One keep factor: half of both layers is 20 + 30.
        ("uniform", "l1", 0.5, {"a": [2, 3], "b": [0]}),
        ("uniform", "l1-normalised", 0.5, {"a": [2, 3], "b": [0]}),
    ],
)
def test_choice_of_channels_by_hand(method, criterion, ratio, kept):
    assert choose_channels(BY_HAND, SCORES, method, ratio, criterion) == kept


def test_ratio_between_two_networks_is_refused_with_the_nearest(refused):
    # 0.9 of the FLOPs, 0.8 with one more of a; the next, one of b, would leave 0.5.
    words = refused(choose_channels, BY_HAND, SCORES, "uniform", 0.72, "l1")
    assert "0.72" in words and "0.80000" in words


def test_gap_is_filled_with_a_later_and_cheaper_channel():
    # In order: a's worst (90), b's worst (60). For 0.8 the second of a goes instead.
    kept = choose_channels(BY_HAND, SCORES, "nonuniform", 0.8, "l1-normalised")
    assert kept == {"a": [2, 3], "b": [0, 1]}


def test_layer_gives_at_most_one_channel_to_fill_a_gap(refused):
    """Two layers of eight channels that cost 5 and of two that cost 30; half of b is too much."""
    layers = (
        Layer(Channels(1, {}), Channels(8, {"a": 1}), 1, 5, 0),
        Layer(Channels(1, {}), Channels(2, {"b": 1}), 1, 30, 0),
    )
    cost = CostModel(layers, {"a": 8, "b": 2})
    scores = {"a": [float(k) for k in range(8)], "b": [1.0, 2.0]}
    kept = choose_channels(cost, scores, "uniform", 0.85, "l1")
    assert kept == {"a": [3, 4, 5, 6, 7], "b": [0, 1]}
    # 0.8 would take half of a and nothing of b, which is not uniform.
    words = refused(choose_channels, cost, scores, "uniform", 0.8, "l1")
    assert "0.85000" in words


def test_equal_scores_leave_by_index():
    scores = {"a": [1.0] * 4, "b": [1.0] * 2}
    kept = choose_channels(BY_HAND, scores, "uniform", 0.5, "l1")
    assert kept == {"a": [2, 3], "b": [1]}


def test_score_is_the_sum_of_the_absolute_weights_of_a_filter(dense):
    network, model, scores = dense("resnet50")
    for layer in network.prunable:
        weight = model.get_submodule(layer).weight.detach().numpy().astype(np.float64)
        assert scores[layer] == pytest.approx([np.abs(w).sum() for w in weight], rel=1e-12)


# --- the order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name, method, ratio", TARGETS)
def test_no_removed_channel_of_a_layer_scores_above_a_kept_one(
    name, method, ratio, criterion, dense, chosen
):
    kept = chosen(name, method, ratio, criterion)
    _, _, scores = dense(name)
    for layer, values in scores.items():
        removed = [v for channel, v in enumerate(values) if channel not in set(kept[layer])]
        assert kept[layer] == sorted(set(kept[layer]))
        assert max(removed, default=0) <= min(values[channel] for channel in kept[layer])


@pytest.mark.parametrize("name, ratio", [("resnet56", 0.6), ("resnet56", 0.2), ("resnet50", 0.4)])
def test_uniform_keeps_the_same_share_of_every_layer_within_one_channel(
    name, ratio, network, chosen
):
    network = network(name, *SIZES[name])
    widths = widths_of(chosen(name, "uniform", ratio, "l1"))
    wide = network.cost.widths
    lowest = max((widths[layer] - 1) / wide[layer] for layer in wide)
    highest = min((widths[layer] + 1) / wide[layer] for layer in wide)
    assert lowest <= highest
    for size in set(wide.values()):
        equals = [widths[layer] for layer in wide if wide[layer] == size]
        assert max(equals) - min(equals) <= 1


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name, ratio", [("resnet56", 0.6), ("mobilenetv2", 0.4)])
def test_nonuniform_removes_the_lowest_scores_of_all_layers(name, ratio, criterion, dense, chosen):
    """But for one trimmed channel per layer, and the best of each layer, which always stays."""
    kept = chosen(name, "nonuniform", ratio, criterion)
    _, _, scores = dense(name)
    gone, stay = [], []
    for layer, values in scores.items():
        scale = np.mean(values) if criterion == "l1-normalised" else 1.0
        ascending = np.sort(np.array(values) / scale)
        removed = len(values) - len(kept[layer])
        gone += [*ascending[: max(removed - 1, 0)]]
        stay += [*ascending[removed:-1]]
    assert max(gone) <= min(stay)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["resnet56", "mobilenetv2"])
def test_channels_kept_at_a_lower_ratio_are_kept_at_a_higher_one(name, method, criterion, chosen):
    high, middle, low = (chosen(name, method, ratio, criterion) for ratio in (0.6, 0.4, 0.2))
    assert all(set(low[layer]) <= set(middle[layer]) <= set(high[layer]) for layer in high)
    assert sum(map(len, low.values())) < sum(map(len, middle.values()))


def test_normalisation_matters_to_nonuniform_pruning_only(dense):
    network, _, scores = dense("resnet56")

    def kept(method, criterion, scores=scores):
        return choose_channels(network.cost, scores, method, 0.6, criterion)

    assert kept("uniform", "l1") == kept("uniform", "l1-normalised")
    assert kept("nonuniform", "l1") != kept("nonuniform", "l1-normalised")
    # A layer ten times as heavy is ranked as it was, unless norms are compared raw.
    heavier = copy.deepcopy(scores)
    heavier["blocks.13.conv1"] = [10 * value for value in scores["blocks.13.conv1"]]
    same = kept("nonuniform", "l1-normalised", heavier)
    assert same == kept("nonuniform", "l1-normalised")
    assert len(kept("nonuniform", "l1", heavier)["blocks.13.conv1"]) == 32


def test_uniform_and_nonuniform_choose_different_widths(chosen):
    uniform, nonuniform = (
        widths_of(chosen("resnet56", method, 0.6, "l1-normalised")) for method in METHODS
    )
    assert len(set(uniform.values())) < len(set(nonuniform.values()))
