"""Pruning of any network: its groups by hand, the cut against a dense network, and refusals."""

import copy
import json

import nets
import pytest
import torch
from test_models import counted_flops
from torch import nn

from hpstudy.networks import groups, prune, rebuild
from hpstudy.networks.network_report import as_ranges, from_ranges
from hpstudy.networks.pruning import weights_hash

IMAGE = torch.zeros(1, 3, 8, 8)


def built(kind, *args, **options):
    torch.manual_seed(3)
    return kind(*args, **options)


def spread(model, seed=0):
    """The network with random gains, shifts and statistics, in evaluation mode and float64."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point() and value.numel() == max(value.shape, default=1):
                low, high = (-0.5, 0.5) if name.endswith(("bias", "mean")) else (0.5, 1.5)
                value.uniform_(low, high)
            elif value.is_floating_point() and not value.any():
                value.normal_(std=0.1)
    return model.double().eval()


def silenced(model, report):
    """The dense network whose removed filters, gains and shifts are zero.

    With activations that keep zero at zero, later layers see zeros in their place.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for (name, side, _), lost in from_ranges(report.removed).items():
            layer = model.get_submodule(name)
            if side == "in":
                continue
            for value in layer.parameters(recurse=False):
                transposed = isinstance(layer, nn.ConvTranspose2d) and value.ndim > 1
                value.index_fill_(int(transposed), torch.tensor(sorted(lost)), 0)
    return model


def outputs(model, *args):
    with torch.no_grad():
        found = model(*args)
    if isinstance(found, dict):
        return torch.cat([value.flatten() for value in found.values()])
    return found[0] if isinstance(found, tuple) else found


def relative_gap(one, other):
    return float((one - other).abs().max() / other.abs().max())


# --- groups by hand -------------------------------------------------------------------------------

# First layer, further ones, scope, channels and units.
BY_HAND = {
    "chain": (
        nets.Chain,
        [
            ("stem.0", [], "stem", 8, 8),
            ("a.0", [], "inside", 16, 16),
            ("b.0", [], "inside", 12, 12),
            ("fc", [], "output", 5, 5),
        ],
    ),
    "residual": (
        nets.Residual,
        [
            ("stem", ["a.1", "b.1"], "residual", 8, 8),
            ("fc", [], "output", 5, 5),
            ("a.0.0", [], "inside", 16, 16),
            ("b.0.0", [], "inside", 16, 16),
        ],
    ),
    # The k-th channels of the four groups leave together, before and after them.
    "grouped": (
        nets.Grouped,
        [
            ("stem.0", [], "stem", 8, 8),
            ("a.0", [], "inside", 16, 4),
            ("g.0", [], "inside", 24, 6),
            ("b.0", [], "inside", 10, 10),
            ("fc", [], "output", 5, 5),
        ],
    ),
    "squeezed": (
        nets.Squeezed,
        [
            ("stem.0", [], "stem", 8, 8),
            ("a.0", ["excite"], "inside", 16, 16),
            ("squeeze", [], "inside", 6, 6),
            ("b.0", [], "inside", 10, 10),
            ("fc", [], "output", 5, 5),
        ],
    ),
    "unet": (
        nets.UNet,
        [
            ("a.0", [], "stem", 8, 8),
            ("b.0", [], "inside", 16, 16),
            ("up", [], "inside", 12, 12),
            ("c.0", [], "inside", 10, 10),
            ("out", [], "output", 4, 4),
        ],
    ),
    # A channel leaves with its copy, that is with two channels of b.
    "ghost": (
        nets.Ghost,
        [
            ("stem.0", [], "stem", 8, 8),
            ("a.0", ["b"], "residual", 6, 6),
            ("fc", [], "output", 5, 5),
        ],
    ),
    "headed": (
        nets.Headed,
        [
            ("stem.0", [], "stem", 8, 8),
            ("a.0", [], "inside", 16, 16),
            ("b.0", [], "inside", 12, 12),
            ("head", [], "output", 5, 5),
            ("fc", [], "output", 5, 5),
        ],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_groups_by_hand(name):
    kind, expected = BY_HAND[name]
    found = groups(built(kind), IMAGE)
    rows = [
        (x.root, [y for y in x.layers if y != x.root], x.scope, x.channels, x.units) for x in found
    ]
    assert rows == expected
    for group in found:
        assert group.status == ("spared" if group.scope == "output" else "exact"), group


REFUSED = {
    "hard-coded width": (
        lambda: nets.Chain(lambda y: y.reshape(-1, 12, 64).mean(2)),
        "b.0",
        "shape",
    ),
    "pixels first": (
        lambda: nets.Chain(lambda y: y.permute(0, 2, 3, 1).flatten(1), 768),
        "b.0",
        "the dependency graph is wrong for them",
    ),
    "flipped": (
        lambda: nets.Chain(lambda y: (y + y.flip(1)).mean((2, 3))),
        "b.0",
        "the dependency graph is wrong for them",
    ),
    "no effect": (lambda: nets.Chain(lambda y: 0 * y.mean((2, 3))), "b.0", "no output changes"),
    "one parameter": (nets.OneParameter, "a", "a.weight and b.weight are one parameter"),
    "group norm": (
        lambda: nets.Chain(norm=lambda n: nn.GroupNorm(4, n)),
        "a.0",
        "a normalisation takes statistics over them",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_group_that_is_not_exact_is_left_alone_with_its_reason(what):
    make, root, reason = REFUSED[what]
    found = {group.root: group for group in groups(built(make), IMAGE)}
    assert found[root].status == ("inexact" if what == "group norm" else "refused")
    assert reason in found[root].sentence
    if what == "no effect":  # nor has any other layer
        return
    _, report = prune(built(make), IMAGE, 0.8, spare=("output",), tolerance=0.2)
    assert {group.root: group.kept for group in report.groups}[root] == found[root].channels
    assert report.achieved < 1


def test_statistics_over_removed_channels_are_allowed_on_request():
    model = built(nets.Chain, norm=lambda channels: nn.GroupNorm(4, channels))
    small, report = prune(model, IMAGE, 0.5, exact=False, tolerance=0.05)
    # Four groups of statistics keep as many channels each.
    assert report.widths()["a.0"] % 4 == 0 and report.widths()["a.0"] < 16
    assert small(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert small.a[1].num_channels == report.widths()["a.0"]


# --- the cut --------------------------------------------------------------------------------------


# All channels of "ghost" are added to others.
@pytest.mark.parametrize(
    "name, scope",
    [(name, "all") for name in BY_HAND] + [(name, "inside") for name in BY_HAND if name != "ghost"],
)
def test_pruned_network_is_the_dense_one_with_silent_channels(name, scope):
    model = spread(built(BY_HAND[name][0]))
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    dense = outputs(model, image)
    spare = ("output",) if scope == "all" else ("stem", "output")
    small, report = prune(model, image[:1], 0.6, scope=scope, spare=spare, tolerance=0.1)
    expected = outputs(silenced(model, report), image)
    assert relative_gap(outputs(small, image), expected) < 1e-12
    assert relative_gap(dense, expected) > 1e-3
    assert 2 * report.macs == counted_flops(small.float(), 8)
    assert 2 * report.macs_dense == counted_flops(model.float(), 8)
    assert report.params == sum(parameter.numel() for parameter in small.parameters())
    assert report.error < 1e-12 and report.achieved == report.macs / report.macs_dense


def test_groups_of_a_convolution_lose_their_lowest_filters_each():
    model = built(nets.Grouped)
    _, report = prune(model, IMAGE, 0.5, tolerance=0.1)
    lost = from_ranges(report.removed)["a.0", "out", 0]
    norms = model.a[0].weight.detach().abs().sum((1, 2, 3)).reshape(4, 4)
    each = len(lost) // 4
    assert 0 < each < 4
    lowest = norms.argsort(1)[:, :each] + 4 * torch.arange(4)[:, None]
    assert lost == set(lowest.flatten().tolist())


def test_auxiliary_head_is_cut_too_so_that_training_goes_on():
    small, report = prune(built(nets.Headed), IMAGE, 0.5, tolerance=0.1)
    assert report.widths()["a.0"] == small.head.in_features < 16
    for part in small.train()(torch.rand(4, 3, 8, 8)):
        part.sum().backward(retain_graph=True)
    assert all(parameter.grad.isfinite().all() for parameter in small.parameters())


def test_given_network_is_not_touched():
    model = built(nets.Residual)
    model.requires_grad_(False)
    model.a.requires_grad_(True)
    model(torch.rand(2, 3, 8, 8)).sum().backward()
    model.train()
    model.b.eval()
    before = weights_hash(model), [module.training for module in model.modules()]
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        small, _ = prune(model, IMAGE, 0.6, scope="all", tolerance=0.1)
    assert torch.equal(torch.rand(3), expected)
    assert (weights_hash(model), [module.training for module in model.modules()]) == before
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert [module.training for module in small.modules()] == before[1]
    assert [p.requires_grad for p in small.parameters()] == [
        p.requires_grad for p in model.parameters()
    ]
    assert all(p.grad is None for p in small.parameters())


def test_several_inputs_by_position_and_by_name():
    image, mask = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    model = built(nets.TwoInputs)
    one, report = prune(model, (image, mask, 2.0), 0.6, tolerance=0.1)
    assert report.inputs == [([1, 3, 8, 8], "float32"), ([1, 1, 8, 8], "float32")]
    other, _ = prune(model, {"mask": mask, "image": image}, 0.6, tolerance=0.1)
    assert weights_hash(one) == weights_hash(other) != weights_hash(model)


def test_widths_are_rounded_where_groups_allow():
    for name, multiple in (("chain", 4), ("grouped", 8)):
        _, report = prune(built(BY_HAND[name][0]), IMAGE, 0.5, round_to=multiple, tolerance=0.2)
        assert report.widths() and all(width % multiple == 0 for width in report.widths().values())


def test_spared_layers_keep_their_channels():
    model = built(nets.Chain)
    _, report = prune(model, IMAGE, 0.7, spare=("stem", "output", "a.*"), tolerance=0.1)
    assert set(report.widths()) == {"b.0"}
    reasons = {group.root: group.sentence for group in report.groups}
    assert reasons["a.0"] == "spared by 'a.*'" and reasons["stem.0"] == "stem layers are spared"
    _, report = prune(model, IMAGE, 0.3, spare=("output",), tolerance=0.1)
    assert "stem.0" in report.widths()


# --- reports --------------------------------------------------------------------------------------


def test_report_rebuilds_the_network_through_json_without_tracing(tmp_path, monkeypatch):
    small, report = prune("nets:chain", IMAGE, 0.5, tolerance=0.1, arguments={"width": 24})
    (tmp_path / "report.json").write_text(json.dumps(report.model_dump()))
    torch.save(small.state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr("torch_pruning.DependencyGraph", None)
    again = rebuild(tmp_path / "report.json", tmp_path / "weights.pt", "nets:chain")
    assert weights_hash(again) == weights_hash(small) == report.pruned_sha256
    again = rebuild(report.model_dump(), small.state_dict(), nets.chain)
    image = torch.rand(2, 3, 8, 8)
    assert torch.equal(outputs(again.eval(), image), outputs(small.eval(), image))
    # Without weights, the factory's own; those of its name are the same every time.
    fresh = rebuild(report, factory="nets:chain")
    assert weights_hash(fresh) == report.pruned_sha256


def test_ranges_hold_any_channels():
    removed = {("a", "out", 0): {0, 1, 2, 5, 7, 8}, ("b", "parameter", 2): {3}}
    assert as_ranges(removed) == [("a", "out", 0, "0-2,5,7-8"), ("b", "parameter", 2, "3")]
    assert from_ranges(as_ranges(removed)) == removed


# --- refusals -------------------------------------------------------------------------------------


def test_report_imports_no_code_by_itself(refused):
    _, report = prune("nets:chain", IMAGE, 0.5, tolerance=0.1)
    assert "nets:chain, code that is not imported without consent" in refused(rebuild, report)
    words = refused(rebuild, report, None, "nets:other")
    assert "the report is of nets:chain, not of nets:other" in words
    _, own = prune(built(nets.Chain), IMAGE, 0.5, tolerance=0.1)
    assert own.model == "nets.Chain" and "pass factory=" in refused(rebuild, own)


def test_report_that_does_not_fit_is_refused(refused, tmp_path):
    small, report = prune("nets:chain", IMAGE, 0.5, tolerance=0.1)
    values = report.model_dump()
    words = refused(rebuild, values, None, lambda: nets.chain(20))
    assert "is not that of the report of nets:chain" in words
    assert "has the format 2, but" in refused(rebuild, values | {"format": 2})
    assert "macs" in refused(rebuild, values | {"macs": "many"})
    assert "removed.0" in refused(rebuild, values | {"removed": [("a.0", "out", 0, "0-999999999")]})
    for part in (("c.0", "out", 0, "1"), ("a.0", "out", 0, "16"), ("a.0", "out", 0, "0-15")):
        words = refused(rebuild, values | {"removed": [part]}, None, nets.chain)
        assert "removes channels that nets:chain does not have" in words
    assert "there is no report" in refused(rebuild, tmp_path / "gone.json")
    (tmp_path / "report.json").write_text("[]")
    assert "is no report" in refused(rebuild, tmp_path / "report.json")


def test_weights_that_do_not_fit_are_refused(refused, tmp_path):
    small, report = prune("nets:chain", IMAGE, 0.5, tolerance=0.1)
    state = small.state_dict()
    words = refused(rebuild, report, nets.chain().state_dict(), nets.chain)
    assert "does not fit the pruned nets:chain: " in words and " instead of " in words
    broken = state | {"fc.bias": state["fc.bias"] * torch.nan}
    assert "'fc.bias' that are not finite" in refused(rebuild, report, broken, nets.chain)
    assert "there is no file" in refused(rebuild, report, tmp_path / "gone.pt", nets.chain)


class Moody(nets.Chain):
    """A network that returns different outputs each time."""

    def forward(self, x):
        return super().forward(x) + torch.rand(1)


class BadHead(nets.Headed):
    """A network whose auxiliary head needs larger images."""

    def forward(self, x):
        return super().forward(x) if x.shape[-1] > 8 or not self.training else 1 / 0


class Empty(nets.Chain):
    """A network that returns no tensor."""

    def forward(self, x):
        return None


# What is refused, by the call and words of its sentence.
BAD = {
    "no module": (
        ("nets:no_module", IMAGE),
        {},
        "nets:no_module must return a torch.nn.Module, not int",
    ),
    "no function": (
        ("nets:chian", IMAGE),
        {},
        "nets has no function 'chian' (did you mean 'chain'?)",
    ),
    "no callable": (("nets:not_callable", IMAGE), {}, "nets has no function 'not_callable'"),
    "no package": (("gone.nets:chain", IMAGE), {}, "there is no module 'gone'"),
    "a factory that fails": (("nets:fails", IMAGE), {}, "nets:fails fails: RuntimeError: no luck"),
    "other arguments": (
        ("nets:chain", IMAGE),
        {"arguments": {"wide": 2}},
        "nets:chain cannot be called with the arguments {'wide': 2}: ",
    ),
    "arguments that JSON lacks": (
        ("nets:chain", IMAGE),
        {"arguments": {"width": {1}}},
        "arguments must be values that JSON can hold",
    ),
    "torchvision's none": (
        ("torchvision:resnet19", IMAGE),
        {},
        "torchvision has no network 'resnet19' (did you mean 'resnet",
    ),
    "no name": (("resnt56", IMAGE), {}, "unknown model 'resnt56' (did you mean 'resnet56'?)"),
    "another type": ((3, IMAGE), {}, "must be a torch.nn.Module or the name of one, not int"),
    "inputs of another shape": (
        (nets.Chain(), torch.zeros(1, 4, 8, 8)),
        {},
        "nets.Chain fails on example_inputs of the shape [1, 4, 8, 8]: ",
    ),
    "inputs that are none": ((nets.Chain(), 3), {}, "must be a tensor, or a tuple"),
    "no tensors returned": ((Empty(), IMAGE), {}, "must return tensors"),
    "a moody network": ((Moody(), IMAGE), {}, "different outputs for the same inputs"),
    "nothing to prune": (
        (nn.Sequential(nn.Conv2d(3, 4, 1)), IMAGE),
        {},
        "no channels of torch.nn.modules.container.Sequential can be pruned: 0: output layers are",
    ),
    "no layers": (
        (nn.ReLU(), torch.rand(1, 3, requires_grad=True)),
        {},
        "no convolution or linear layer runs on example_inputs with gradients",
    ),
    "a head that fails": ((BadHead(), IMAGE), {}, "head does not run in evaluation mode, and in"),
    "below the floor": (
        (nets.Chain(), IMAGE, 0.01),
        {},
        "flops_ratio 0.01 is out of reach: nets.Chain keeps at least 0.",
    ),
    "between two widths": (
        (nets.Chain(), IMAGE, 0.5),
        {"tolerance": 1e-6},
        "cannot be met within 0.0%; the nearest that nonuniform pruning reaches is 0.",
    ),
    "above one": (
        (nets.Chain(), IMAGE, 1.5),
        {},
        "flops_ratio must be above 0 and at most 1, not 1.5",
    ),
    "another scope": ((nets.Chain(), IMAGE), {"scope": "outside"}, "unknown scope 'outside'"),
    "a pattern without a match": (
        (nets.Chain(), IMAGE),
        {"spare": ("c.*",)},
        "no layer matches 'c.*', which is to be spared",
    ),
    "weights for an object": ((nets.Chain(), IMAGE), {"weights": "x.pt"}, "for a network by name"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_sentence(what, refused):
    args, options, words = BAD[what]
    assert words in refused(prune, *args, **options)


def test_weights_that_are_not_finite_are_refused(refused):
    model = built(nets.Chain)
    model.fc.weight.data[0, 0] = torch.inf
    assert "values in 'fc.weight' that are not finite" in refused(prune, model, IMAGE)


def test_missing_timm_is_named(refused, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    assert "timm:resnet18 needs the package timm; type `pip install timm`" in refused(
        prune, "timm:resnet18", IMAGE
    )
