"""Weights of checkpoints as other code writes them: the same filters, ranked alike, or refused."""

import argparse
import re

import pytest
import torch
from torch import nn

from hpstudy.networks import prune
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.models import build_model, zeros
from hpstudy.networks.pruning import filter_scores
from hpstudy.networks.weights import load_state, read_weights


@pytest.fixture(scope="module")
def nets():
    """A network of each kind with weights of its own, and its state dict."""
    torch.manual_seed(5)
    made = {name: build_model(name, 10) for name in ("resnet20", "mobilenetv2")}
    with torch.no_grad():
        for net in made.values():
            for tensor in net.state_dict().values():
                if tensor.is_floating_point():
                    tensor.uniform_(0.1, 1)
    return made


def scores_of(path, model, classes=10):
    """Filter scores of a network that has been given the weights of a file."""
    dense = build_model(model, classes)
    dense.load_state_dict(read_weights(path, model, dense)[0])
    return filter_scores(dense, PrunableNetwork(model, classes, 32).prunable)


def akamaster(state):
    """As akamaster/pytorch_resnet_cifar10 and kuangliu/pytorch-cifar call a ResNet-20's layers."""
    found = {}
    for name, value in state.items():
        if match := re.match(r"blocks\.(\d)\.(.*)", name):
            block = int(match[1])
            name = f"layer{1 + block // 3}.{block % 3}.{match[2]}"
        found[name.replace("fc.", "linear.")] = value
    return found


def chenyaofo(state):
    """As chenyaofo/pytorch-cifar-models does, whose last layer is called fc."""
    return {name.replace("linear.", "fc."): value for name, value in akamaster(state).items()}


def torchvision_mobile(state):
    """A MobileNetV2 as torchvision calls it, with the expansion of the first block."""
    inside = {"expand": "0.0", "bn1": "0.1", "depthwise": "1.0", "bn2": "1.1", "project": "2"}
    inside["bn3"] = "3"
    outside = {"conv1": "features.0.0", "bn1": "features.0.1", "fc": "classifier.1"}
    outside |= {"conv2": "features.18.0", "bn2": "features.18.1"}
    found = {}
    for name, value in state.items():
        layer, _, last = name.rpartition(".")
        if layer in outside:
            found[f"{outside[layer]}.{last}"] = value
        else:
            _, block, kind = layer.split(".")
            found[f"features.{int(block) + 1}.conv.{inside[kind]}.{last}"] = value
    return found


def kuangliu_mobile(state):
    """As kuangliu/pytorch-cifar calls a MobileNetV2's layers."""
    words = {"blocks.": "layers.", "expand": "conv1", "depthwise": "conv2", "project": "conv3"}
    found = {}
    for name, value in state.items():
        for ours, theirs in (words if "blocks." in name else {"fc.": "linear."}).items():
            name = name.replace(ours, theirs)
        found[name] = value
    return found


def prefixed(*prefixes):
    return lambda state: {"".join(prefixes) + name: value for name, value in state.items()}


def under(key, **more):
    return lambda state: {"epoch": 200, key: state, "optimizer": {}, **more}


def of(*changes):
    def changed(state):
        for change in changes:
            state = change(state)
        return state

    return changed


# How a file is written, its network, and what is said of it.
READ = {
    "a state dict": ("resnet20", dict, ""),
    "DataParallel": (
        "resnet20",
        of(prefixed("module."), under("state_dict", best_prec1=91.7)),
        "its state_dict, without the prefix module.",
    ),
    "torch.compile": ("resnet20", prefixed("_orig_mod."), "without the prefix _orig_mod."),
    "both, compiled last": (
        "resnet20",
        prefixed("_orig_mod.", "module."),
        "without the prefix module., without the prefix _orig_mod.",
    ),
    "both, compiled first": (
        "resnet20",
        prefixed("module.", "_orig_mod."),
        "without the prefix module., without the prefix _orig_mod.",
    ),
    "a compiled stage": (
        "resnet20",
        lambda state: {name.replace("blocks.", "blocks._orig_mod."): state[name] for name in state},
        "without the prefix _orig_mod.",
    ),
    "net": ("resnet20", under("net"), "its net"),
    "model": ("resnet20", under("model"), "its model"),
    "model_state_dict": ("resnet20", under("model_state_dict"), "its model_state_dict"),
    "Lightning": (
        "resnet20",
        of(prefixed("model."), under("state_dict")),
        "its state_dict, without the prefix model.",
    ),
    "akamaster": (
        "resnet20",
        of(akamaster, prefixed("module."), under("state_dict")),
        "its state_dict, without the prefix module., layers called as in public code",
    ),
    "chenyaofo": ("resnet20", chenyaofo, "layers called as in public code"),
    "torchvision": ("mobilenetv2", torchvision_mobile, "layers called as in public code"),
    "kuangliu": ("mobilenetv2", kuangliu_mobile, "layers called as in public code"),
    "before PyTorch counted batches": (
        "resnet20",
        lambda state: {name: x for name, x in state.items() if "num_batches" not in name},
        "",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", READ)
def test_filters_of_a_checkpoint_are_ranked_as_those_of_the_network(what, nets, tmp_path):
    model, change, said = READ[what]
    path = tmp_path / "dense.pt"
    torch.save(change(nets[model].state_dict()), path)
    own = filter_scores(nets[model], PrunableNetwork(model, 10, 32).prunable)
    assert scores_of(path, model) == own
    _, report = prune(model, zeros(8), 0.6, "uniform", weights=path)
    assert report.ranked == (f"dense.pt ({said})" if said else "dense.pt")
    assert report.ranked in report.facts().values()


@pytest.mark.slow
def test_weights_of_torchvisions_resnet50_fit(tmp_path):
    from torchvision.models import resnet50

    torch.manual_seed(1)
    net = resnet50(weights=None)
    torch.save({f"module.{name}": x for name, x in net.state_dict().items()}, tmp_path / "r.pth")
    first = net.layer1[0].conv1.weight.detach().double().abs().sum((1, 2, 3)).tolist()
    assert scores_of(tmp_path / "r.pth", "resnet50", 1000)["layer1.0.conv1"] == first


@pytest.mark.slow
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_with_a_note(kind, nets, tmp_path):
    state = nets["resnet20"].state_dict()
    state = {name: x.to(kind) if x.is_floating_point() else x for name, x in state.items()}
    torch.save(state, tmp_path / "half.pt")
    scores = scores_of(tmp_path / "half.pt", "resnet20")
    weight = state["blocks.4.conv1.weight"].float().double()
    assert scores["blocks.4.conv1"] == weight.abs().sum((1, 2, 3)).tolist()
    _, report = prune("resnet20", zeros(8), 0.5, weights=tmp_path / "half.pt")
    assert report.ranked == f"half.pt ({str(kind).removeprefix('torch.')} converted to float32)"


# --- what does not fit ----------------------------------------------------------------------------


@pytest.fixture
def refusal(nets, tmp_path, monkeypatch, refused):
    def refusal(change, model="resnet20", classes=10):
        monkeypatch.chdir(tmp_path)
        torch.save(change(nets["resnet20"].state_dict()), "dense.pt")
        arguments = {"classes": classes}
        return refused(prune, model, zeros(8), weights="dense.pt", arguments=arguments)

    return refusal


def test_torchvisions_mobilenetv2_lacks_the_expansion_of_the_first_block(refusal):
    from torchvision.models import mobilenet_v2

    words = refusal(lambda _: mobilenet_v2(num_classes=10).state_dict(), "mobilenetv2")
    assert words.startswith(
        "dense.pt does not fit mobilenetv2 with 10 classes: it lacks 'blocks.0.expand.weight', "
        "'blocks.0.bn1.weight', 'blocks.0.bn1.bias' and 2 more; "
    )
    assert "the network has no" not in words and " instead of " not in words


def test_convolution_in_a_shortcut_is_named(refusal):
    def with_shortcuts(state):
        shortcut = {"layer2.0.downsample.0.weight": torch.ones(32, 16, 1, 1)}
        return chenyaofo(state) | shortcut

    words = refusal(with_shortcuts)
    assert "10 classes: the network has no 'layer2.0.downsample.0.weight'; " in words


def test_file_of_another_network_or_of_more_classes_gives_the_command(refusal):
    words = refusal(akamaster, "resnet56")
    assert "it lacks 'blocks.9." in words or "it lacks 'blocks.3." in words
    assert "it fits `hpstudy prune resnet20 --classes 10`" in words
    words = refusal(akamaster, "resnet20", 100)
    assert "with 100 classes: 'linear.weight' is (10, 64) instead of (100, 64), " in words
    assert "it fits `hpstudy prune resnet20 --classes 10`" in words


def test_two_networks_in_one_file_are_refused(refusal):
    words = refusal(lambda state: state | prefixed("module.")(state))
    assert "dense.pt holds more than one network: " in words
    assert "'conv1.weight' and 'module.conv1.weight' may both be 'conv1.weight'" in words
    words = refusal(lambda state: {"net": state, "model": state})
    assert "dense.pt holds the state dicts 'model' and 'net'; write one of them alone" in words
    words = refusal(lambda state: state | {"linear.weight": state["fc.weight"]})
    assert "'fc.weight' and 'linear.weight' may both be 'fc.weight'" in words


def test_code_in_a_file_is_named_and_refused(refusal):
    words = refusal(lambda state: {"net": state, "args": argparse.Namespace(lr=0.1)})
    assert "no file of tensors alone, but holds argparse.Namespace, which could run" in words
    assert "write it by torch.save(model.state_dict(), path)" in words


def test_integers_and_overflow_are_refused(refusal):
    words = refusal(lambda state: state | {"conv1.weight": state["conv1.weight"].int()})
    assert "no floating-point numbers are in 'conv1.weight'" in words
    words = refusal(lambda state: state | {"fc.bias": (state["fc.bias"] * 1e6).half()})
    assert "dense.pt has values in 'fc.bias' that are not finite" in words


def test_versions_of_modules_are_kept():
    """torchvision's MNASNet refuses a state without them."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    loaded = load_state(dict(model.state_dict()), model, "the network")
    assert loaded._metadata == model.state_dict()._metadata
