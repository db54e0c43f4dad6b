"""The recipe: its steps against plain arithmetic, and the messages about its course."""

import math

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from hpstudy.config.study import Recipe
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.trainer import Trainer


def recipe(epochs=1, batch_size=10, momentum=0.9, lr_decay=0.1, lr_decay_epochs=()):
    return Recipe(
        epochs=epochs,
        batch_size=batch_size,
        momentum=momentum,
        lr_decay=lr_decay,
        lr_decay_epochs=lr_decay_epochs,
    )


def small_network(dtype=torch.float64, classes=10, seed=0):
    """Two convolutions with normalisation, and a classifier."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, classes),
    ).to(dtype)


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def train(model, data, plan, lr, weight_decay, seed):
    return Trainer(model, data, plan).run(lr, weight_decay, seed)


@pytest.fixture
def steps(monkeypatch):
    """The learning rate and the momentum of the optimiser at each of its steps."""
    taken = []

    class Recording(torch.optim.SGD):
        def step(self, *args, **options):
            group = self.param_groups[0]
            taken.append({"lr": group["lr"].item(), "momentum": group["momentum"]})
            return super().step(*args, **options)

    monkeypatch.setattr(torch.optim, "SGD", Recording)
    return taken


# --- the schedule ---------------------------------------------------------------------------------


def test_learning_rate_of_every_step_of_every_epoch(steps):
    data = tiny.random_images(train=25)
    plan = recipe(epochs=6, batch_size=10, lr_decay=0.1, lr_decay_epochs=(2, 5))
    train(small_network(), data, plan, lr=0.3, weight_decay=0.02, seed=0)
    # Three steps an epoch: 10, 10 and the last 5 images.
    expected = [0.3] * 6 + [0.03] * 9 + [0.003] * 3
    assert [step["lr"] for step in steps] == pytest.approx(expected, rel=1e-12)
    assert {step["momentum"] for step in steps} == {0.9}


def test_learning_rate_is_constant_without_decay_epochs(steps):
    train(small_network(), tiny.random_images(), recipe(epochs=3), lr=0.1, weight_decay=0.1, seed=0)
    assert {step["lr"] for step in steps} == {0.1}


# --- the step -------------------------------------------------------------------------------------


def black_images(labels):
    """Black images: what a linear network learns from them is its bias alone."""
    split = Split(torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), torch.tensor(labels))
    none, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    return Dataset(split, split, 2, 8, none, one)


def test_two_steps_of_equation_2_1_by_hand():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).double()
    nn.init.zeros_(model[1].bias)
    before = model[1].weight.detach().clone()
    data = black_images([0, 0, 0, 1])
    train(model, data, recipe(epochs=2, batch_size=4), lr=0.5, weight_decay=0.2, seed=0)
    # Weights have no gradient: they shrink by the velocity v of lr x weight_decay alone.
    # w1 = w0 - 0.5 (0.2 w0) = 0.9 w0; v2 = 0.9 (0.2 w0) + 0.2 (0.9 w0) = 0.36 w0; w2 = 0.72 w0.
    assert torch.allclose(model[1].weight, 0.72 * before, rtol=1e-14, atol=0)
    # Gradient of the first bias: the mean of 1/2 - (1, 1, 1, 0) = -1/4, so b1 = 0.125.
    gradient = 1 / (1 + math.exp(-0.25)) - 3 / 4 + 0.2 * 0.125
    b2 = 0.125 - 0.5 * (0.9 * -0.25 + gradient)
    assert model[1].bias.tolist() == pytest.approx([b2, -b2], rel=1e-12)


def test_learning_rate_of_zero_changes_no_weight():
    model = small_network()
    before = weights(model)
    train(model, tiny.random_images(), recipe(epochs=2), lr=0.0, weight_decay=0.1, seed=0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_step_changes_every_weight():
    model = small_network()
    before = weights(model)
    train(model, tiny.random_images(), recipe(batch_size=40), lr=0.1, weight_decay=0.1, seed=0)
    # The network's 108 + 216 + 60 convolution and classifier weights, and no exception.
    changed = [(p != before[name]).all().item() for name, p in model.named_parameters()]
    assert changed == [True] * len(changed)


def plain_training(model, data, plan, lr, weight_decay, seed):
    """The same draws, but each image padded, cut, flipped and normalised by itself."""
    generator = torch.Generator().manual_seed(seed)
    mean, std = data.mean.numpy()[:, None, None], data.std.numpy()[:, None, None]
    size, padding = data.image_size, data.image_size // 8
    pixels = data.train.images.numpy().astype(np.float64) / 255
    padded = np.pad(pixels, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    optimizer = torch.optim.SGD(
        model.parameters(), lr, momentum=plan.momentum, weight_decay=weight_decay
    )
    losses, test_losses, accuracies = [], [], []
    for epoch in range(plan.epochs):
        decays = sum(epoch >= decay for decay in plan.lr_decay_epochs)
        optimizer.param_groups[0]["lr"] = lr * plan.lr_decay**decays
        model.train()
        order = torch.randperm(len(pixels), generator=generator)
        rows, columns = torch.randint(2 * padding + 1, (2, len(pixels)), generator=generator)
        mirrored = torch.randint(2, (1, len(pixels)), generator=generator)[0]
        draws = torch.stack([order, rows, columns, mirrored], 1).tolist()
        total = 0.0
        for start in range(0, len(draws), plan.batch_size):
            batch = [draw[0] for draw in draws[start : start + plan.batch_size]]
            inputs = []
            for k, y, x, flip in draws[start : start + plan.batch_size]:
                crop = padded[k, :, y : y + size, x : x + size]
                inputs.append((crop[:, :, ::-1] if flip else crop) - mean)
            logits = model(torch.from_numpy(np.stack(inputs) / std))
            labels = data.train.labels[batch]
            loss = -logits.log_softmax(1)[range(len(batch)), labels].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(order))
        model.eval()
        with torch.no_grad():
            logits = model(
                torch.from_numpy((data.test.images.numpy().astype(np.float64) / 255 - mean) / std)
            )
        chances = logits.log_softmax(1)[range(len(data.test)), data.test.labels]
        test_losses.append(-chances.mean().item())
        hits = logits.numpy().argmax(1) == data.test.labels.numpy()
        accuracies.append(100 * hits.mean())
    return {"train_loss": losses, "loss": test_losses, "top1": accuracies}


@pytest.mark.parametrize("weight_decay", [0.01, 0.0])
def test_training_is_the_plain_loop_with_the_same_draws(weight_decay):
    data = tiny.random_images(train=45, test=30)
    plan = recipe(epochs=4, batch_size=20, lr_decay=0.2, lr_decay_epochs=(2,))
    model, plain = small_network(), small_network()
    result = train(model, data, plan, lr=0.05, weight_decay=weight_decay, seed=3)
    curve = plain_training(plain, data, plan, 0.05, weight_decay, 3)
    for key, values in curve.items():
        assert result.curve[key] == pytest.approx(values, rel=1e-12), key
    expected = weights(plain)
    for name, value in weights(model).items():
        assert torch.allclose(value, expected[name], rtol=1e-12, atol=1e-13), name
    for key in curve:
        assert getattr(result, key) == result.curve[key][3]
    assert result.best_top1 == max(result.curve["top1"])
    assert result.best_epoch == 1 + np.argmax(result.curve["top1"])


# --- seeds ----------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bits_and_another_seed_others():
    data, plan = tiny.random_images(), recipe(epochs=2)
    ends, results = [], []
    for seed, elsewhere in ((5, 0), (5, 1), (6, 0)):
        model = small_network(torch.float32)
        torch.manual_seed(elsewhere)
        results.append(train(model, data, plan, lr=0.05, weight_decay=0.01, seed=seed))
        ends.append(weights(model))
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])
    assert results[0].curve == results[1].curve != results[2].curve


def test_training_draws_nothing_from_the_global_generator():
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    model = small_network()
    torch.manual_seed(4)
    train(model, tiny.random_images(), recipe(), lr=0.05, weight_decay=0.01, seed=1)
    assert torch.equal(torch.rand(3), expected)


# --- how it went ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [1e8, 1e30])
def test_huge_learning_rate_gives_a_diverged_result(lr):
    plan = recipe(epochs=3)
    model = small_network(torch.float32)
    result = train(model, tiny.random_images(), plan, lr=lr, weight_decay=0.1, seed=0)
    assert result.diverged
    assert 0 <= result.top1 <= result.best_top1 <= 100
    assert result.epochs == len(result.curve["top1"]) <= 3
    assert 1 <= result.best_epoch <= result.epochs


def test_training_ends_with_an_epoch_whose_loss_is_not_finite():
    model = small_network(torch.float32)
    result = train(
        model,
        tiny.random_images(),
        recipe(epochs=9),
        lr=1e30,
        weight_decay=1.0,
        seed=0,
    )
    assert not math.isfinite(result.train_loss)
    assert result.epochs < 9 and len(result.curve["train_loss"]) == result.epochs


def test_network_that_ends_worse_than_it_began_has_diverged():
    # A bias driven far past its optimum: the loss grows but stays a number.
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).double()
    nn.init.zeros_(model[1].bias)
    data, plan = black_images([0, 0, 0, 1]), recipe(epochs=3, batch_size=4, momentum=0.99)
    result = train(model, data, plan, lr=50.0, weight_decay=1e-3, seed=0)
    assert result.curve["train_loss"][0] == pytest.approx(math.log(2))
    assert math.log(2) < result.train_loss < math.inf
    assert result.diverged and result.epochs == 3
    # Three of four images are of class 0: the accuracy of saying 0, or 1, to all.
    assert result.top1 in (25.0, 75.0)


def test_network_that_learns_has_not_diverged():
    data = black_images([0, 0, 0, 1])
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).double()
    nn.init.zeros_(model[1].bias)
    result = train(model, data, recipe(epochs=4, batch_size=4), lr=0.5, weight_decay=1e-4, seed=0)
    assert not result.diverged
    # No better than always saying 0, as three of four are.
    assert result.top1 == 75.0 and result.best_epoch == 1
    assert result.train_loss < math.log(2)
    assert result.epochs == 4
    assert result.seconds > 0 and result.images_per_second > 16 / result.seconds


def test_network_in_single_precision_takes_the_same_first_steps():
    data, plan = tiny.random_images(train=30), recipe(batch_size=10)
    single, double = small_network(torch.float32), small_network()
    double.load_state_dict(single.state_dict())
    for model in (single, double):
        train(model, data, plan, lr=0.01, weight_decay=0.01, seed=0)
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.allclose(a.double(), b, rtol=1e-3, atol=1e-5)


def test_last_batch_of_one_image_is_refused(refused):
    plan = recipe(batch_size=10)
    options = {"lr": 0.1, "weight_decay": 0.1, "seed": 0}
    words = refused(train, small_network(), tiny.random_images(train=41), plan, **options)
    assert "batch_size 10" in words and "41" in words
    assert train(small_network(), tiny.random_images(train=42), plan, **options).epochs == 1
