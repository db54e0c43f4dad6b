"""Networks that autograd cannot follow, or only in part, and options that reach further."""

import nets
import pytest
import torch
from test_any_network import built
from torch import nn

from hpstudy.networks import groups, prune

IMAGE = torch.zeros(1, 3, 8, 8)


class WithoutGradients(nets.Chain):
    """Forward without gradients."""

    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class FrozenBackbone(nets.Chain):
    """The first two layers run without gradients."""

    def forward(self, x):
        with torch.no_grad():
            y = self.a(self.stem(x))
        return self.fc(self.b(y).mean((2, 3)))


class Branching(nets.Chain):
    """One of two layers runs, by a condition on the image and the features."""

    def __init__(self, condition):
        super().__init__()
        self.c, self.condition = nets.conv(16, 12), condition

    def forward(self, x):
        y = self.a(self.stem(x))
        y = self.c(y) if self.condition(x, y) else self.b(y)
        return self.fc(y.mean((2, 3)))


@pytest.mark.parametrize(
    "network, words",
    [
        (WithoutGradients, "outputs have no gradients, by which its layers are followed"),
        (
            lambda: Branching(lambda x, y: x.mean() > 0.1),
            "Branching runs for some values of the inputs and not for others",
        ),
        (
            lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())),
            "is compiled by torch.jit; give the network that it is made of",
        ),
    ],
    ids=["no gradients", "a branch on the image", "compiled"],
)
def test_network_that_cannot_be_followed_is_named(network, words, refused):
    assert words in refused(groups, built(network), IMAGE)


def reasons(network):
    found = groups(built(network), IMAGE + 0.5)
    return {group.root: group.sentence for group in found if group.status == "refused"}


def test_layers_out_of_sight_are_refused_groups():
    found = reasons(FrozenBackbone)
    assert found.keys() == {"stem.0", "a.0"} and "without gradients" in found["a.0"]
    found = reasons(lambda: Branching(lambda x, y: False))
    assert found.keys() == {"c.0"} and "does not call it as a module" in found["c.0"]


def test_branch_on_features_that_a_cut_changes_is_refused():
    # Layers of one shape: only the layers that run tell the branches apart.
    model = built(lambda: Branching(lambda x, y: y.shape[1] < 16))
    model.c[0] = nn.Conv2d(8, 12, 3, 1, 1, bias=False)
    found = {group.root: group for group in groups(model, IMAGE + 0.5)}
    assert found["a.0"].status == "refused"
    assert "other layers run without them" in found["a.0"].sentence


def test_group_is_verified_by_the_half_that_has_an_effect():
    model = built(nets.Chain)
    norms = model.a[0].weight.detach().abs().sum((1, 2, 3))
    model.b[0].weight.data[:, norms.argsort()[:8]] = 0
    assert {group.root: group.status for group in groups(model, IMAGE)}["a.0"] == "exact"


def test_refusal_below_the_floor_says_what_goes_lower(refused):
    words = refused(prune, built(nets.Residual), IMAGE, 0.01, spare=("output",))
    lowest = float(words.rpartition("scope='all' keeps at least ")[2].rstrip("."))
    _, report = prune(built(nets.Residual), IMAGE, 1.0, scope="all", spare=("output",))
    assert report.floor == pytest.approx(lowest, abs=1e-4) and "exact=False" not in words
    model = built(nets.Chain, norm=lambda channels: nn.GroupNorm(4, channels))
    words = refused(prune, model, IMAGE, 0.01)
    assert "; exact=False keeps at least 0." in words and "scope='all'" not in words
