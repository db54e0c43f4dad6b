"""Small networks of kinds that public ones have too, each pruned against the dense one."""

import nets
import pytest
import torch
import torch.nn.functional as F
from test_any_network import built, outputs, relative_gap, silenced, spread
from test_models import counted_flops
from torch import nn

from hpstudy.networks import groups, prune


class Reused(nets.Chain):
    """One layer that runs three times."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nets.conv(8, 8), nets.conv(8, 12)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(3):
            x = self.a(x)
        return self.fc(self.b(x).mean((2, 3)))


class Dense(nn.Module):
    """Each layer sees the outputs of all before it, as in DenseNet."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = nets.conv(3, 8), nets.conv(8, 6), nets.conv(14, 4)
        self.fc = nn.Linear(18, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([x, self.a(x)], 1)
        return self.fc(torch.cat([x, self.b(x)], 1).mean((2, 3)))


class Padded(nn.Module):
    """Two blocks; the second one's shortcut pads its channels with zeros (ResNet's option A)."""

    def __init__(self):
        super().__init__()
        self.stem, self.fc = nets.conv(3, 8), nn.Linear(16, 5)
        self.a = nn.Sequential(nets.conv(8, 8), nn.Conv2d(8, 8, 3, 1, 1))
        self.b = nn.Sequential(nets.conv(8, 16, 2), nn.Conv2d(16, 16, 3, 1, 1))

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(x + self.a(x))
        x = F.relu(F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)) + self.b(x))
        return self.fc(x.mean((2, 3)))


class Split(nn.Module):
    """The halves of a layer's channels take two ways, as in CSPNet."""

    def __init__(self):
        super().__init__()
        self.stem, self.a = nets.conv(3, 8), nets.conv(8, 16)
        self.p, self.q, self.fc = nets.conv(8, 6), nets.conv(8, 10), nn.Linear(16, 5)

    def forward(self, x):
        p, q = self.a(self.stem(x)).split(8, 1)
        return self.fc(torch.cat([self.p(p), self.q(q)], 1).mean((2, 3)))


# Channels of the exact groups, and the first layers of the refused ones.
WIRED = {
    Reused: ({"stem.0": 8, "b.0": 12}, set()),
    Dense: ({"stem.0": 8, "a.0": 6, "b.0": 4}, set()),
    Padded: ({"a.0.0": 8, "b.0.0": 16}, {"stem.0"}),
    Split: ({"stem.0": 8, "p.0": 6, "q.0": 10}, {"a.0"}),
}


@pytest.mark.parametrize("kind", WIRED)
def test_kind_of_network_is_pruned_where_that_is_exact(kind):
    exact, refused = WIRED[kind]
    model = spread(built(kind))
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    found = groups(model, image[:1])
    assert {group.root: group.channels for group in found if group.status == "exact"} == exact
    assert {group.root for group in found if group.status == "refused"} == refused
    dense = outputs(model, image)
    small, report = prune(model, image[:1], 0.6, scope="all", spare=("output",), tolerance=0.15)
    expected = outputs(silenced(model, report), image)
    assert relative_gap(outputs(small, image), expected) < 1e-12
    assert relative_gap(dense, expected) > 1e-3
    assert 2 * report.macs == counted_flops(small.float(), 8)
