"""Networks of torchvision and timm: pruned, against the dense one, rebuilt and trained."""

import copy
import json
import warnings

import pytest
import torch
from test_any_network import outputs, relative_gap, silenced, spread
from timm.layers import ScaledStdConv2d
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hpstudy.networks import groups, prune, rebuild
from hpstudy.networks.sources import build_network

# Name, pixels, arguments, and the exact groups inside blocks, of the residual stream and of the
# stem, with those that are not pruned. What each is there for stands beside it.
NETWORKS = {
    "torchvision:resnet18": (32, {}, (8, 4, 0), 0),
    "torchvision:resnext50_32x4d": (32, {}, (32, 4, 1), 0),  # grouped convolutions
    "torchvision:regnet_x_400mf": (32, {}, (44, 4, 1), 0),  # grouped, of unequal sizes
    "torchvision:mobilenet_v2": (32, {}, (19, 5, 1), 0),  # depthwise
    "torchvision:mobilenet_v3_small": (32, {}, (22, 4, 1), 0),  # squeeze and excitation
    "torchvision:shufflenet_v2_x0_5": (32, {}, (17, 0, 1), 21),  # a shuffle, not understood
    "torchvision:squeezenet1_1": (32, {}, (24, 0, 1), 0),  # concatenations
    "torchvision:googlenet": (32, {"init_weights": False}, (56, 0, 1), 4),  # auxiliary heads
    "torchvision:vit_b_16": (32, {"image_size": 32, "num_classes": 5}, (12, 0, 0), 1),  # attention
    "torchvision:convnext_tiny": (32, {}, (18, 0, 0), 4),  # layer norms
    "timm:ghostnet_050": (32, {}, (25, 6, 0), 0),  # tied channels
    "timm:repvgg_a0": (32, {}, (0, 5, 0), 0),  # branches that are added
    "timm:resnest14d": (32, {}, (10, 4, 1), 4),  # grouped, with split attention
    "timm:lcnet_050": (32, {}, (16, 0, 1), 0),
}


def opened(name):
    size, arguments, *_ = NETWORKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spread(build_network(name, arguments)), torch.rand(1, 3, size, size).double()


def counted_macs(model, image):
    counter = FlopCounterMode(display=False)
    torch.backends.mha.set_fastpath_enabled(False)
    with counter, torch.no_grad():
        model(image)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_pruned_public_network(name):
    model, image = opened(name)
    dense = outputs(model, image)
    small, report = prune(model, image, 0.5, scope="all", spare=("output",))
    _, _, exact, others = NETWORKS[name]
    scopes = [group.scope for group in report.groups if group.status == "exact"]
    assert tuple(map(scopes.count, ("inside", "residual", "stem"))) == exact
    assert sum(group.status in ("refused", "inexact") for group in report.groups) == others
    expected = outputs(silenced(model, report), image)
    assert relative_gap(outputs(small, image), expected) < 1e-9 < relative_gap(dense, expected)
    assert report.achieved == pytest.approx(0.5, abs=1e-3)
    assert report.macs == counted_macs(small, image)
    assert report.macs_dense == counted_macs(model, image)
    # Rebuilt from JSON and the weights, and trained.
    again = rebuild(
        json.loads(report.model_dump_json()),
        small.state_dict(),
        lambda: copy.deepcopy(model),
    )
    assert torch.equal(outputs(again.eval(), image), outputs(small, image))
    found = small.train()(torch.rand(2, 3, *image.shape[2:]).double())
    parts = found if isinstance(found, tuple) else (found,)
    sum(part.square().mean() for part in parts).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in small.parameters())


@pytest.mark.slow
def test_network_by_name_is_rebuilt_by_its_report_alone():
    image = torch.zeros(1, 3, 32, 32)
    small, report = prune("torchvision:resnet18", image, arguments={"num_classes": 7})
    again = rebuild(report.model_dump(), small.state_dict())
    assert again.fc.out_features == 7
    values = zip(again.state_dict().values(), small.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in values)
    assert report.versions.keys() >= {"torch", "torchvision", "torch-pruning", "hpstudy"}


@pytest.mark.slow
def test_grouped_network_reaches_widths_of_multiples_of_eight():
    """One channel of each of 13 or 55 groups leaves no multiple of 8; whole groups do."""
    name, image = "torchvision:regnet_y_400mf", torch.rand(1, 3, 32, 32)
    small, report = prune(name, image, 0.3, round_to=8)
    assert report.achieved == pytest.approx(0.3, abs=1e-3) and report.error < 1e-12
    layers = [layer for layer in small.modules() if isinstance(layer, nn.Conv2d)]
    assert all(layer.out_channels % 8 == 0 for layer in layers)
    assert {layer.weight.shape[1] for layer in layers if layer.groups > 1} == {8}
    assert report.macs == counted_macs(small.eval(), image)


def test_standardised_weights_are_pruned_on_request(refused):
    """A filter's weights are standardised over the channels that it sees, and have a gain."""
    torch.manual_seed(1)
    a, b, c = ScaledStdConv2d(3, 8, 3), ScaledStdConv2d(8, 16, 3), ScaledStdConv2d(16, 12, 3)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), c, nn.ReLU(), pool, nn.Linear(12, 5))
    image = torch.rand(1, 3, 8, 8)
    statuses = {group.root: group.status for group in groups(model, image)}
    assert statuses == {"0": "inexact", "2": "inexact", "4": "exact", "7": "spared"}
    words = refused(prune, model, image, spare=("stem", "output", "4"))
    assert "a normalisation takes statistics over them" in words and "exact=False" in words
    small, report = prune(model, image, 0.5, exact=False, tolerance=0.05)
    assert small[2].gain.shape == (report.widths()["2"], 1, 1, 1)
    assert report.macs == counted_macs(small, image)
