"""Networks trained as one program have the numbers of the plain loop, whoever is beside them."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
import tiny
import torch
from test_trainer import recipe
from torch import nn

from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Data
from hpstudy.networks.models import ResNetCifar, initialise
from hpstudy.training.population import memory, steps
from hpstudy.training.population.group import Group
from hpstudy.training.population.layers import Layout, is_population
from hpstudy.training.population.slots import Slots
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import values_of

# Two steps of an epoch: of three images, which are two programs' work, and of two.
PLAN = recipe(epochs=2, batch_size=3, lr_decay=0.2, lr_decay_epochs=(1,))
SETTINGS = ((0.1, 1e-3), (0.03, 0.1))
# Channels inside the blocks, which no tile holds exactly.
PRUNED = (5, 20, 33)


@pytest.fixture(autouse=True)
def small_programs(monkeypatch):
    """Programs of two images, so that a batch of three needs two of them; the interpreter is slow.

    It checks integers for overflow, which takes as long as all else.
    """
    from triton.runtime import interpreter

    for module in (memory, steps):
        monkeypatch.setattr(module, "CHUNK", 2)
        monkeypatch.setattr(module, "WEIGHT_CHUNKS", {1: 2, 2: 3, 4: 2})
    options = replace(interpreter.interpreter_builder.options, sanitize_overflow=False)
    monkeypatch.setattr(interpreter.interpreter_builder, "options", options)


@cache
def images():
    return tiny.random_images(train=5, test=4)


def network(seed=0, widths=None, dtype=torch.float64):
    """ResNet-8, its blocks cut to other widths."""
    torch.manual_seed(seed)
    model = ResNetCifar(1, 10)
    for block, width in zip(model.blocks, widths or (), strict=bool(widths)):
        first, second = block.conv1, block.conv2
        block.conv1 = nn.Conv2d(first.in_channels, width, 3, first.stride, 1, bias=False)
        block.bn1 = nn.BatchNorm2d(width)
        block.conv2 = nn.Conv2d(width, second.out_channels, 3, 1, 1, bias=False)
    initialise(model)
    return model.to(dtype)


def group(models, slots=None, storage=torch.float64):
    """Networks in the first slots (None leaves one idle), each with its own setting and views."""
    shape = next(model for model in models if model is not None)
    found = Group(shape, images(), PLAN, slots or len(models), storage)
    for slot, model in enumerate(models):
        if model is not None:
            found.enter(slot, values_of(model))
            found.lr[slot], found.weight_decay[slot] = 0.1, 1e-3
            views = found.batches.random(torch.Generator().manual_seed(0))
            found.views[slot].copy_(views)
    return found


def epoch(found):
    """Totals of an epoch's training and evaluation, and the loss of its first step."""
    found.first_step()
    first = found.loss.clone()
    found.other_steps()
    training = found.totals[:, 0].clone()
    found.evaluate()
    return first, training, found.totals.clone()


def values(found, slot):
    """Copies of a network's values and momenta, by name."""
    return {
        f"{part} {name}": value.clone()
        for part, of in found.values(slot).items()
        for name, value in of.items()
    }


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [None, PRUNED])
def test_epochs_are_those_of_the_plain_loop(widths):
    models = [network(seed, widths) for seed in (0, 1)]
    both = group(models)
    generators = [torch.Generator().manual_seed(5 + slot) for slot in range(2)]
    trainers = [Trainer(copy.deepcopy(model), images(), PLAN) for model in models]
    for slot, (lr, weight_decay) in enumerate(SETTINGS):
        both.lr[slot], both.weight_decay[slot] = lr, weight_decay
        trainers[slot].lr.fill_(lr)
        trainers[slot].weight_decay.fill_(weight_decay)
    for _ in range(2):
        views = [both.batches.random(generator) for generator in generators]
        for slot in range(2):
            both.views[slot].copy_(views[slot])
        _, training, totals = epoch(both)
        for slot, trainer in enumerate(trainers):
            loss = trainer.train_epoch(views[slot])
            top1, _, evaluated = trainer.evaluate()
            assert training[slot].item() / 5 == pytest.approx(loss, rel=1e-12)
            right, _, total = (totals[slot] / 4).tolist()
            assert (100 * right, total) == pytest.approx((top1, evaluated), rel=1e-12)
    for slot, trainer in enumerate(trainers):
        ours = both.values(slot)
        momenta = [state["momentum_buffer"] for state in trainer.optimizer.state.values()]
        theirs = {
            "model": values_of(trainer.model),
            "momentum": dict(zip(map(str, range(len(momenta))), momenta, strict=True)),
        }
        for part, expected in theirs.items():
            assert ours[part].keys() == expected.keys()
            for name, value in expected.items():
                gap = (ours[part][name] - value).abs().max()
                assert gap <= 1e-12 * value.abs().max().clamp(min=1e-3), (slot, part, name)


def test_padded_channels_stay_zero_to_the_bit():
    found = group([network(widths=PRUNED)])
    epoch(found)
    for flat in (found.parameters, found.momenta, found.running):
        rest = flat[0].clone()
        layout = found.layout
        views = (
            layout.buffers(rest, torch.zeros(()))
            if flat is found.running
            else layout.parameters(rest)
        )
        for view in views.values():
            view.zero_()
        assert not rest.any()


def test_top5_counts_images_whose_class_is_among_the_five_highest():
    found = group([network(), network(3)])
    found.evaluate()
    for slot in range(2):
        model = network(3 * slot).eval()
        data = images()
        with torch.no_grad():
            scale = 255 * data.std[:, None, None]
            logits = model((data.test.images - 255 * data.mean[:, None, None]) / scale)
        ranked = logits.topk(5).indices == data.test.labels[:, None]
        counts = [ranked[:, 0].sum().item(), ranked.any(1).sum().item()]
        assert found.totals[slot, :2].tolist() == counts


# --- neighbours -----------------------------------------------------------------------------------


def test_numbers_depend_neither_on_slots_nor_on_neighbours():
    alone = group([network(dtype=torch.float32)], storage=torch.float32)
    expected = [part[0] for part in epoch(alone)]
    poisoned = network(1, dtype=torch.float32)
    poisoned.conv1.weight.data[0, 0, 0, 0] = float("nan")
    models = [poisoned, None, network(2, dtype=torch.float32), network(dtype=torch.float32)]
    four = group(models, storage=torch.float32)
    found = epoch(four)
    assert all(torch.equal(a, b[3]) for a, b in zip(expected, found, strict=True))
    assert same_bits(values(alone, 0), values(four, 3))
    assert torch.isfinite(found[1][2])
    # A network without finite logits is right about no image.
    assert torch.isnan(found[1][0]) and found[2][0, :2].tolist() == [0, 0]
    # Nothing happens in a slot without a network.
    assert not four.parameters[1].any() and not four.running[1].any()


# --- runs -----------------------------------------------------------------------------------------


class Small:
    """ResNet-8, as the study's networks are asked for one."""

    def at_widths(self, widths):
        return ResNetCifar(1, 10)

    def fresh(self, seed, widths):
        return network(seed, dtype=torch.float32)

    def size(self, widths):
        return 1, 2

    def scores(self, model):
        return {"conv1": model.conv1.weight.detach().abs().sum((1, 2, 3)).tolist()}


def run(**fields):
    return RunSpec(
        model="resnet20",
        data=Data(name="cifar10", image_size=8),
        recipe=PLAN,
        arithmetic="bfloat16-population",
        **{"lr": 0.1, "weight_decay": 1e-3, "seed": 0, **fields},
    )


@cache
def alone(spec):
    """Outcome of a run that nobody is beside."""
    trained = slots(1)
    trained.enter(spec, rank_filters=True)
    return ended(trained, 2)[spec.run_id]


FIRST, SECOND = run(), run(seed=1, lr=0.05)


def slots(number):
    return Slots(Small(), None, images(), PLAN, number, torch.float32)


def ended(trained, expected):
    """Outcomes of all runs in the slots, whose number of epochs is known."""
    found = {}
    for _ in range(expected):
        found |= trained.epoch()
    return found


def outcome_values(outcome):
    skipped = ("seconds", "images_per_second")
    return {key: value for key, value in outcome.row.items() if key not in skipped}


def test_runs_enter_and_leave_as_others_go_on():
    both = slots(2)
    both.enter(FIRST)
    assert both.epoch() == {} and both.free == 1
    both.enter(SECOND, rank_filters=True)
    assert both.epoch().keys() == {FIRST.run_id} and both.free == 1
    found = both.epoch()[SECOND.run_id]
    assert outcome_values(found) == outcome_values(alone(SECOND))
    assert found.ranking == alone(SECOND).ranking and both.free == 2
    assert both.epoch() == {}


def test_a_killed_run_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("hpstudy.training.checkpoint.CHECKPOINT_SECONDS", 0)
    path = tmp_path / "run.pt"
    killed = slots(2)
    killed.enter(FIRST)
    killed.enter(SECOND, checkpoint=path)
    killed.epoch()
    for epochs in ("the last one", "none"):
        # The file holds the end of the training until its outcome is recorded.
        resumed = slots(1)
        resumed.enter(SECOND, checkpoint=path)
        found = resumed.epoch()[SECOND.run_id]
        assert outcome_values(found) == outcome_values(alone(SECOND)), epochs


def test_a_run_that_diverges_leaves_its_slot():
    wild, both = run(lr=1e30), slots(2)
    both.enter(wild)
    both.enter(SECOND)
    found = both.epoch()
    assert found.keys() == {wild.run_id} and found[wild.run_id].row["diverged"]
    assert outcome_values(both.epoch()[SECOND.run_id]) == outcome_values(alone(SECOND))


# --- shapes ---------------------------------------------------------------------------------------


def test_networks_that_have_no_kernels_are_known():
    assert is_population(ResNetCifar(9, 10), 32) and is_population(ResNetCifar(3, 100), 16)
    assert not is_population(ResNetCifar(9, 10), 24)
    assert not is_population(nn.Sequential(nn.Conv2d(3, 16, 3)), 32)


def test_every_value_of_a_network_has_one_place():
    model = network(widths=PRUNED)
    layout = Layout(model, 8)
    flat = torch.arange(layout.size)
    views = layout.parameters(flat)
    assert {name: view.shape for name, view in views.items()} == {
        name: value.shape for name, value in model.named_parameters()
    }
    places = torch.cat([view.reshape(-1) for view in views.values()])
    assert len(places.unique()) == len(places) == sum(p.numel() for p in model.parameters())


COMPILE = """
import json, sys, torch
from hpstudy.networks.models import ResNetCifar
from hpstudy.training.population.compile import resources
print(json.dumps(resources(int(sys.argv[1]))))
"""


@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile_without_spilling(capability):
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-c", COMPILE, str(capability)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for name, (registers, spilled, shared) in json.loads(said.stdout).items():
        assert registers <= 255 and spilled == 0 and shared <= 48 * 2**10, name
