"""Networks from a source: their stem, their identity, and their shape without tracing."""

import pytest
import tiny
import torch
from nets import Grouped, Residual
from torch import nn

from hpstudy.networks.cutting import without
from hpstudy.networks.graph import Graph, Inputs
from hpstudy.networks.groups import find_groups, union
from hpstudy.networks.identity import network_hash, summary
from hpstudy.networks.models import initialise
from hpstudy.networks.own_network import OwnNetwork
from hpstudy.networks.shapes import cut_to, shapes_of
from hpstudy.networks.stem import small_stem
from hpstudy.training.run import RunTrainer

IMAGE = torch.zeros(1, 3, 8, 8)


# --- shapes ---------------------------------------------------------------------------------------


def various():
    """Layers that give as many channels as they take, with and without a value for each."""
    inner = (nn.PReLU(), nn.InstanceNorm2d(16), nn.PReLU(16), nn.GroupNorm(1, 16))
    inner += (nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16, affine=False))
    ends = nn.Conv2d(16, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 16, 3, 1, 1), *inner, *ends)


@pytest.mark.parametrize("kind", [Grouped, Residual, various])
def test_a_shape_alone_makes_the_network_of_a_cut(kind):
    model = kind()
    groups = find_groups(Graph(model, Inputs.of(IMAGE)), model)
    usable = [group for group in groups if group.status != "refused" and group.scope == "inside"]
    removed = union(group.without_units(range(len(group.units) // 2)) for group in usable)
    pruned = without(model, removed)
    shapes = shapes_of(removed, model)
    again = cut_to(kind(), shapes)
    dense, one, other = (
        {name: value.shape for name, value in network.state_dict().items()}
        for network in (model, pruned, again)
    )
    assert one == other != dense
    assert again(IMAGE).shape == (1, 5)


def test_a_shape_of_another_network_is_refused(refused):
    assert "no such shape" in refused(cut_to, Residual(), {"layer9": 2})


# --- initialisation -------------------------------------------------------------------------------


def test_he_weights_are_drawn_anew_and_the_rest_is_the_factorys():
    model = nn.Sequential(
        nn.Conv1d(4, 64, 5), nn.LayerNorm(8), nn.PReLU(init=0.3), nn.Linear(64, 9)
    )
    with torch.no_grad():
        for parameter in model[1].parameters():
            parameter.fill_(7)
    torch.manual_seed(0)
    initialise(model)
    # He et al. (2015a): variance 2 / fan in, here 2 / (4 x 5).
    assert model[0].weight.std().item() == pytest.approx((2 / 20) ** 0.5, rel=0.1)
    assert not model[0].bias.any() and not model[3].bias.any()
    assert model[1].weight.eq(1).all() and model[1].bias.eq(0).all()
    assert model[2].weight.item() == pytest.approx(0.3)


# --- identity -------------------------------------------------------------------------------------


def hash_of(change=lambda model: None, make=Residual):
    torch.manual_seed(0)
    one, other = make(), make()
    change(one)
    change(other)
    return network_hash(one.eval(), other.eval(), lambda model: model(IMAGE))


def test_a_hash_depends_on_layers_constants_and_operators_and_not_on_random_values():
    def layer(model):
        model.stem.stride = (2, 2)

    def constant(model):
        nn.init.constant_(model.stem.bias, 0.5)

    def buffer(model):
        model.register_buffer("mask", torch.tensor([True]))

    torch.manual_seed(1)
    assert hash_of() == hash_of(lambda model: nn.init.normal_(model.stem.bias))
    assert len({hash_of(change) for change in (lambda model: None, layer, constant, buffer)}) == 4


def test_constants_count_by_value_and_place_but_for_rounding():
    values = torch.linspace(-1, 1, 9)
    assert summary(values) == summary(values * (1 + 1e-7))
    others = (values * 1.01, values.flip(0), values[torch.tensor([1, 0, *range(2, 9)])])
    assert len({summary(values), *map(summary, others)}) == 4
    assert summary(torch.tensor([1, 2])) != summary(torch.tensor([2, 1]))


# --- the stem -------------------------------------------------------------------------------------


def stem(*layers):
    return nn.Sequential(*layers, nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_small_stem_keeps_the_pixels_of_an_image(refused):
    model = stem(nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    small_stem(model, "mine")
    assert model[:4](IMAGE).shape == (1, 4, 8, 8) and model[0].weight.shape == (4, 3, 3, 3)
    assert isinstance(model[2], nn.Identity) and model.training
    for other in (
        stem(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU()),
        stem(nn.Conv2d(3, 4, 4, 4)),
        stem(nn.Conv2d(3, 4, 16, 16)),
    ):
        assert "no stem for large images" in refused(small_stem, other, "mine")

    class Pooling(nn.Module):
        def forward(self, x):
            return nn.functional.max_pool2d(x, 2)

    calls = stem(nn.Conv2d(3, 4, 7, 2, 3), Pooling())
    assert "calls a function for the max pool" in refused(small_stem, calls, "mine")
    assert "begin with a 2-d convolution" in refused(small_stem, nn.Flatten(), "mine")


# --- training -------------------------------------------------------------------------------------


class Viewing(nn.Sequential):
    """A view of the pixels of each channel, which the order channels last does not allow."""

    def forward(self, x):
        x = self[0](x)
        return self[1](x.view(len(x), -1))


def test_a_network_that_views_pixels_is_trained_with_channels_first(monkeypatch):
    def made(name, arguments, seed):
        return Viewing(nn.Conv2d(3, 2, 3, 1, 1), nn.Linear(128, 10))

    monkeypatch.setattr("hpstudy.networks.own_network.build_network", made)
    monkeypatch.setattr("hpstudy.networks.own_network.takes_classes", lambda name: False)
    network = OwnNetwork.open("mine:Net", 10, 8, {}, None)
    assert network.layout == torch.contiguous_format
    parts = {name: tiny.STUDY[name] for name in ("data", "recipe")}
    spec = tiny.spec({"model": "mine:Net", "network": network.identity.model_dump(), **parts})
    row = RunTrainer(tiny.random_images(), torch.device("cpu")).train(spec).row
    assert row["params"] == 2 * 3 * 9 + 2 + 1290 and row["macs"] == 2 * 27 * 64 + 1280


def test_torchvisions_network_is_opened_for_the_classes_of_the_data():
    network = OwnNetwork.open("torchvision:mobilenet_v3_small", 7, 32, {}, "small")
    assert network.layout == torch.channels_last and network.arguments == {"num_classes": 7}
    model = network.fresh(3, None)
    assert model.features[0][0].stride == (1, 1) and model.classifier[3].out_features == 7
    # Published: 2,542,856 parameters with 1,000 classes.
    assert network.size(None)[1] == 2_542_856 - 993 * 1025
