"""Grouped convolutions that lose whole groups, so that widths are multiples of a number."""

import copy
import json

import nets
import pytest
import torch
from test_any_network import built, outputs, relative_gap, silenced, spread
from test_models import counted_flops
from torch import nn

from hpstudy.networks import prune, rebuild
from hpstudy.networks.network_report import from_ranges

IMAGE = torch.zeros(1, 3, 8, 8)


class Block(nn.Module):
    """Five groups of eight channels with squeeze and excitation between two layers, as RegNetY."""

    def __init__(self, wider=1, added=False):
        super().__init__()
        self.stem, self.a, self.added = nets.conv(3, 8), nets.conv(8, 40), added
        self.g = nets.conv(40, 40 * wider, groups=5)
        self.squeeze, self.excite = nn.Conv2d(40 * wider, 16, 1), nn.Conv2d(16, 40 * wider, 1)
        self.b, self.fc = nets.conv(40 * wider, 40), nn.Linear(40, 5)

    def forward(self, x):
        a = self.a(self.stem(x))
        y = self.g(a)
        weights = self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True))))
        y = self.b(y * weights.sigmoid())
        return self.fc((a + y if self.added else y).mean((2, 3)))


@pytest.mark.parametrize("wider", [1, 2])
def test_whole_groups_leave_exactly(wider):
    model = spread(built(Block, wider))
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    small, report = prune(model, image[:1], 0.45, round_to=8, tolerance=0.1)
    # One of each group would leave multiples of 40 alone.
    assert small.a[0].out_channels in (8, 16, 24, 32)
    assert small.g[0].groups == small.a[0].out_channels // 8 == report.widths()["a.0"] // 8
    assert small.g[0].weight.shape[1] == 8
    assert small.g[0].out_channels == small.excite.out_channels == wider * small.a[0].out_channels
    gone = from_ranges(report.removed)["a.0", "out", 0]
    assert len(gone) == 8 * len({channel // 8 for channel in gone})
    expected = outputs(silenced(model, report), image)
    assert relative_gap(outputs(small, image), expected) < 1e-12
    assert relative_gap(outputs(model, image), expected) > 1e-3
    assert 2 * report.macs == counted_flops(copy.deepcopy(small).float(), 8)
    again = rebuild(json.loads(report.model_dump_json()), small.state_dict(), lambda: model)
    assert torch.equal(outputs(again, image), outputs(small, image))


def test_groups_with_the_lowest_norms_leave():
    model = built(Block)
    with torch.no_grad():
        for layer in (model.a[0], model.g[0], model.excite):
            layer.weight[8:24] *= 0.01
    _, report = prune(model, IMAGE, 0.7, round_to=8, tolerance=0.2)
    gone = from_ranges(report.removed)["a.0", "out", 0]
    assert gone and gone <= set(range(8, 24))


def test_one_of_each_group_leaves_where_whole_groups_cannot():
    # What is added to other channels is spared inside blocks, and so are the groups after it.
    small, report = prune(built(Block, 1, True), IMAGE, 0.9, tolerance=0.1, round_to=8)
    assert small.g[0].groups == 5 and report.widths().keys() <= {"squeeze", "g.0"}
    without = prune(built(Block), IMAGE, 0.5, tolerance=0.1)[0]
    assert without.g[0].groups == 5 and without.a[0].out_channels % 5 == 0
