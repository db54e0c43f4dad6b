"""The three networks: their size, their shape and the weights that they start from."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from hpstudy.analysis.thesis_data import table_3_2
from hpstudy.networks.models import MODELS, architecture, build_model, initialise, zeros
from hpstudy.networks.pruning_report import torch_pruning_macs

# Parameters, and FLOPs (two per multiply-accumulate of convolutions and linear layers).
SIZES = {
    "resnet56": (10, 32, 853_018, 250_971_392),
    "mobilenetv2": (10, 32, 2_237_770, 595_043_328),
    "resnet50": (1000, 224, 25_557_032, 8_178_368_512),
}


def counted_flops(model, image_size):
    """What torch counts while the network runs; on the meta device nothing is computed."""
    model = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, image_size, image_size, device="meta"))
    return counter.get_total_flops()


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_size_is_the_same_by_torch_by_closed_form_and_as_published(name, network):
    classes, image_size, params, flops = SIZES[name]
    model = build_model(name, classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    assert counted_flops(model, image_size) == flops
    thesis = architecture(name)
    assert (thesis.classes, thesis.image_size) == (classes, image_size)
    cost = network(name, classes, image_size).cost
    assert (cost.params(), 2 * cost.macs()) == (params, flops)


# Table 3.2 gives FLOPs to two digits; it counts batch normalisation, as torch-pruning does.
@pytest.mark.parametrize(
    "name, digits", [("resnet56", "2.5e+08"), ("mobilenetv2", "6.1e+08"), ("resnet50", "8.2e+09")]
)
def test_twice_torch_prunings_counter_gives_table_3_2(name, digits, network):
    classes, image_size, params, _ = SIZES[name]
    macs = torch_pruning_macs(network(name, classes, image_size).model, image_size)
    assert f"{2 * macs:.1e}" == digits
    published = table_3_2().set_index("model").loc[name]
    assert float(digits) == published["flops"]
    assert params / 1e6 == pytest.approx(published["params_millions"], rel=0.02)


def test_multiply_accumulates_of_resnet56_by_hand():
    stem = 3 * 16 * 9 * 32**2
    stage_1 = 18 * 16 * 16 * 9 * 32**2
    stage_2 = (16 * 32 + 17 * 32 * 32) * 9 * 16**2
    stage_3 = (32 * 64 + 17 * 64 * 64) * 9 * 8**2
    macs = stem + stage_1 + stage_2 + stage_3 + 64 * 10
    assert macs == 125_485_696
    assert counted_flops(build_model("resnet56"), 32) == 2 * macs


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("classes, image_size", [(2, 8), (10, 11), (100, 32), (7, 224)])
def test_any_number_of_classes_and_any_size_of_image(name, classes, image_size):
    model = build_model(name, classes).to("meta")
    logits = model(torch.zeros(2, 3, image_size, image_size, device="meta"))
    assert logits.shape == (2, classes)


@pytest.mark.parametrize("name", ["resnet56", "mobilenetv2"])
def test_smallest_images_train(name):
    torch.manual_seed(0)
    model = build_model(name)
    logits = model(torch.randn(4, 3, 8, 8))
    logits.square().mean().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_he_initialised_for_the_inputs_of_each_filter(name):
    torch.manual_seed(0)
    for module in build_model(name).modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight.detach().double()
            fan_in = weight[0].numel()
            # Of n normal draws, mean and variance are within five standard errors.
            assert abs(weight.mean()) < 5 * (2 / fan_in / weight.numel()) ** 0.5
            assert abs(weight.var() * fan_in / 2 - 1) < 5 * (2 / weight.numel()) ** 0.5
            assert module.bias is None or (module.bias == 0).all()
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()


def test_initialising_overwrites_everything():
    fresh, used = build_model("resnet56"), build_model("resnet56")
    with torch.no_grad():
        for value in used.state_dict().values():
            value += 1
    for model in (fresh, used):
        torch.manual_seed(3)
        initialise(model)
    pairs = zip(fresh.state_dict().values(), used.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def shapes_after(model, layers, image_size=32):
    found = []
    handles = [
        model.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output: found.append(tuple(output.shape[1:]))
        )
        for layer in layers
    ]
    model.eval()(torch.zeros(1, 3, image_size, image_size))
    for handle in handles:
        handle.remove()
    return found


def test_resnet56_halves_the_image_at_its_second_and_third_stage():
    layers = ["conv1", "blocks.8", "blocks.9", "blocks.17", "blocks.18", "blocks.26"]
    assert shapes_after(build_model("resnet56"), layers) == [
        *((16, 32, 32), (16, 32, 32), (32, 16, 16)),
        *((32, 16, 16), (64, 8, 8), (64, 8, 8)),
    ]


def test_mobilenetv2_halves_the_image_at_the_64_and_160_channel_stages_only():
    layers = ["conv1", *(f"blocks.{block}" for block in (0, 1, 3, 6, 10, 13, 16)), "conv2"]
    assert shapes_after(build_model("mobilenetv2"), layers) == [
        *((32, 32, 32), (16, 32, 32), (24, 32, 32), (32, 32, 32)),
        *((64, 16, 16), (96, 16, 16), (160, 8, 8), (320, 8, 8), (1280, 8, 8)),
    ]


def test_shortcut_of_a_wider_stage_is_every_second_pixel_with_zero_channels_around():
    block = build_model("resnet56").blocks[9].eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(2, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert (y[:, :8] == 0).all() and (y[:, 24:] == 0).all()


def test_every_block_of_resnet56_adds_what_it_was_given():
    for block in build_model("resnet56").eval().blocks:
        nn.init.zeros_(block.conv2.weight)
        x = torch.rand(1, block.conv1.in_channels, 8, 8)
        assert torch.equal(block(x), block.shortcut(x))
        assert block(x).sum() > 0


def test_mobilenetv2_adds_its_input_in_the_ten_blocks_that_keep_shape():
    kept = []
    for number, block in enumerate(build_model("mobilenetv2").eval().blocks):
        nn.init.zeros_(block.project.weight)
        x = torch.rand(1, block.expand.in_channels, 8, 8)
        y = block(x)
        if torch.equal(y, x):
            kept.append(number)
        else:
            assert (y == 0).all()
    # The later blocks of the stages with 1, 2, 3, 4, 3, 3 and 1 blocks.
    assert kept == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]


def test_mobilenetv2_is_linear_after_projection_and_clips_at_six_before():
    block = build_model("mobilenetv2").blocks[1].eval()
    with torch.no_grad():
        for conv in (block.expand, block.depthwise, block.project):
            conv.weight.fill_(100.0)
        images = torch.ones(1, 16, 8, 8)
        # Each of the 96 channels is 6, whatever the filter makes of it.
        wide = block(images)
        # Halved by the filter, an expanded channel is 3, and a negative projection is not clipped.
        block.depthwise.weight.zero_()
        block.depthwise.weight[:, :, 1, 1] = 0.5
        block.project.weight.fill_(-1.0)
        narrow = block(images)
    assert wide == pytest.approx(torch.full((1, 24, 8, 8), 96 * 6 * 100.0), rel=1e-4)
    assert narrow == pytest.approx(torch.full((1, 24, 8, 8), -96 * 3.0), rel=1e-4)


@pytest.mark.slow
def test_only_channels_inside_blocks_may_be_pruned(network):
    resnet56 = tuple(f"blocks.{block}.conv1" for block in range(27))
    mobilenetv2 = tuple(f"blocks.{block}.expand" for block in range(17))
    resnet50 = tuple(
        f"layer{stage}.{block}.conv{conv}"
        for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3))
        for block in range(blocks)
        for conv in (1, 2)
    )
    expected = {
        "resnet20": resnet56[:9],
        "resnet56": resnet56,
        "mobilenetv2-shallow": mobilenetv2[:7],
        "mobilenetv2": mobilenetv2,
        "resnet50": resnet50,
    }
    assert {name: network(name).prunable for name in MODELS} == expected


def test_shallow_mobilenetv2_is_the_first_block_of_each_stage():
    deep, shallow = build_model("mobilenetv2"), build_model("mobilenetv2-shallow")
    first = (0, 1, 3, 6, 10, 13, 16)
    assert len(shallow.blocks) == len(first)
    deep.blocks = nn.Sequential(*(deep.blocks[k] for k in first))
    shallow.load_state_dict(deep.state_dict())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(shallow.eval()(images), deep.eval()(images))


@pytest.mark.parametrize("block, strided", [(0, False), (3, True)])
def test_strided_depthwise_convolutions_are_float32_on_a_cpu(block, strided):
    """Elsewhere bfloat16 is the faster one; an unpruned block 3 halves the image."""
    torch.manual_seed(0)
    layer = build_model("mobilenetv2-shallow").blocks[block]
    seen = []
    layer.depthwise.register_forward_hook(lambda module, *values: seen.extend(values))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(4, layer.expand.in_channels, 8, 8)).sum().backward()
    (given,), found = seen
    assert (found.dtype == torch.float32) == strided
    weight, stride = layer.depthwise.weight.double(), layer.depthwise.stride
    exact = F.conv2d(given.double(), weight, None, stride, 1, groups=len(weight))
    gap = (found - exact).abs().max() / exact.abs().max()
    assert (gap < 1e-6) == strided and gap < 0.01


@pytest.mark.parametrize("name, millions", [("resnet20", 0.27), ("resnet56", 0.85)])
def test_depths_have_the_published_number_of_parameters(name, millions):
    """He et al. (2015b), Table 6."""
    parameters = sum(parameter.numel() for parameter in build_model(name).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_unknown_network_is_refused_with_the_nearest(refused):
    for call in (build_model, architecture):
        words = refused(call, "resnt56")
        assert "'resnt56'" in words and "did you mean 'resnet56'?" in words
        assert all(name in words for name in MODELS)


def test_impossible_sizes_are_refused(refused):
    assert "1" in refused(build_model, "resnet56", 1)
    assert "7 pixels" in refused(zeros, 7)
    assert "225 pixels" in refused(zeros, 225)
