"""Networks trained as one program have the numbers of the plain loop, whoever is beside them."""

import copy

import pytest
import torch
from populations import PLAN, PRUNED, images, network

from hpstudy.training.population.group import Group
from hpstudy.training.population.layers import Layout
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import values_of

SETTINGS = ((0.1, 1e-3), (0.03, 0.1))
pytestmark = pytest.mark.usefixtures("small_programs")


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


# --- shapes ---------------------------------------------------------------------------------------


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
