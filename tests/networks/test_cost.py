"""The closed form of a network's cost against torch's own count of what runs."""

import numpy as np
import pytest
import torch
from test_models import counted_flops

from hpstudy.networks.flops import output_positions
from hpstudy.networks.models import MODELS, zeros


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [0, 1, "smallest"])
def test_cost_is_torchs_count_at_any_widths(name, seed, network):
    dense = network(name, 7, 40)
    widths = dict.fromkeys(dense.cost.widths, 1)
    if seed != "smallest":
        random = np.random.default_rng(seed)
        widths = {layer: int(random.integers(1, w + 1)) for layer, w in dense.cost.widths.items()}
    pruned = dense.at_widths(widths)
    assert 2 * dense.cost.macs(widths) == counted_flops(pruned, 40)
    assert dense.cost.params(widths) == sum(p.numel() for p in pruned.parameters())


def test_layers_left_out_keep_all_channels(network):
    cost = network("resnet56").cost
    assert cost.macs({}) == cost.macs(None) == cost.macs(cost.widths)
    # One channel less in the first block: a filter of 16 x 9 weights and its 9 weights in each of
    # the 16 filters that follow, at 32 x 32 places; and two parameters of its normalisation.
    widths = {"blocks.0.conv1": 15}
    assert cost.macs() - cost.macs(widths) == (16 * 9 + 16 * 9) * 32**2
    assert cost.params() - cost.params(widths) == 16 * 9 + 16 * 9 + 2


def test_expanded_channel_costs_expansion_filter_and_projection(network):
    cost = network("mobilenetv2").cost
    # Block 3 is the first of the 32-channel stage: 24 channels in, 32 out, at 32 x 32 places.
    widths = {"blocks.3.expand": 143}
    assert cost.macs() - cost.macs(widths) == (24 + 9 + 32) * 32**2
    assert cost.params() - cost.params(widths) == 24 + 9 + 32 + 2 + 2


def test_neighbouring_layers_shrink_each_others_cost(network):
    cost = network("resnet50", 7, 40).cost
    # The 3x3 convolution between two pruned layers: (64 - 10) x (64 - 20) filters of 9 weights.
    first, second = "layer1.1.conv1", "layer1.1.conv2"
    both = cost.params({first: 54, second: 44})
    one, other = cost.params({first: 54}), cost.params({second: 44})
    assert both - one - other + cost.params() == 10 * 20 * 9


def test_positions_are_output_pixels(network):
    model = network("mobilenetv2").model
    model.train()
    model.bn1.eval()
    before = model.bn1.running_mean.clone()
    positions = output_positions(model, zeros(32))
    assert positions["conv1"] == 32 * 32
    assert positions["blocks.6.depthwise"] == 16 * 16
    assert positions["conv2"] == 8 * 8
    assert positions["fc"] == 1
    assert model.training and not model.bn1.training and model.bn2.training
    assert torch.equal(model.bn1.running_mean, before)
    assert not any(module._forward_hooks for module in model.modules())
    model.train()
