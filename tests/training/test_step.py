"""Every way of doing a step gives the plain step's numbers."""

import shutil

import pytest
import tiny
import torch
from test_trainer import recipe, same, small_network, weights

from hpstudy.training.augmentation import Batches
from hpstudy.training.device import compiled, recorded
from hpstudy.training.evaluation import evaluation_batch
from hpstudy.training.state import TrainingState
from hpstudy.training.trainer import Trainer

PLAN = recipe(epochs=3, batch_size=20, lr_decay=0.2, lr_decay_epochs=(2,))
SETTINGS = {"lr": 0.05, "weight_decay": 0.01, "seed": 3}


def warmed(function):
    """What a GPU does to record a graph, but with calls: warm-up steps, then the inputs' places."""
    for _ in range(3):
        function()
    return function


def ended(dtype=torch.float64, **options):
    """Result and weights after training 45 images in batches of 20, 20 and 5."""
    model = small_network(dtype)
    result = Trainer(model, tiny.random_images(train=45, test=30), PLAN, **options).run(**SETTINGS)
    return result, weights(model)


def close(a, b, rtol):
    return all(torch.allclose(a[key].double(), b[key].double(), rtol, rtol / 10) for key in a)


# --- recorded steps -------------------------------------------------------------------------------


def test_recorded_steps_are_the_plain_ones():
    plain, plain_weights = ended()
    replayed, replayed_weights = ended(capture=warmed)
    for key in plain.curve:
        assert replayed.curve[key] == pytest.approx(plain.curve[key], rel=1e-12), key
    assert close(replayed_weights, plain_weights, 1e-12)


@pytest.mark.parametrize("stored", [8, 12])
def test_recorded_step_cuts_its_batch_and_gives_the_bits_of_a_called_one(stored, monkeypatch):
    shapes = []

    def noted(function, capture, *inputs):
        shapes.append([tuple(value.shape) for value in inputs])
        return recorded(function, capture, *inputs)

    monkeypatch.setattr("hpstudy.training.trainer.recorded", noted)
    data = tiny.random_images(train=45, test=530, stored=stored)
    ends = []
    for capture in (None, lambda function: function):
        model = small_network(torch.float32)
        ends.append((Trainer(model, data, PLAN, capture=capture).run(**SETTINGS), weights(model)))
    (plain, plain_weights), (replayed, replayed_weights) = ends
    assert replayed.curve == plain.curve and same(replayed_weights, plain_weights)
    # Full and last batches of training and of evaluation: index, row, column, mirrored or not.
    assert sorted(shapes) == [[(4, 5)], [(4, 20)], [(4, 30)], [(4, 500)]]


def test_small_images_are_evaluated_in_larger_batches_on_a_gpu():
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert (evaluation_batch(gpu, 32), evaluation_batch(gpu, 224)) == (2_000, 500)
    assert evaluation_batch(cpu, 32) == evaluation_batch(cpu, 224) == 500


def test_views_of_the_next_epoch_are_drawn_before_the_evaluation_is_waited_for(monkeypatch):
    events = []

    def noted(name, function):
        def call(*args, **options):
            events.append(name)
            return function(*args, **options)

        return call

    monkeypatch.setattr(Batches, "random", noted("drawn", Batches.random))
    for name in ("_train_step", "_evaluation_step"):
        monkeypatch.setattr(Trainer, name, noted(name, getattr(Trainer, name)))
    monkeypatch.setattr(TrainingState, "add_epoch", noted("ended", TrainingState.add_epoch))
    ended()
    epoch = ["_train_step"] * 3 + ["_evaluation_step"]
    assert events == ["drawn", *[*epoch, "drawn", "ended"] * 2, *epoch, "ended"]


def test_recorded_step_reads_its_inputs_at_each_call():
    seen = []
    inputs = torch.tensor(1), torch.tensor(2)
    step = recorded(lambda x, y: seen.append((x.item(), y.item())), warmed, *inputs)
    assert seen == [(1, 2)] * 3
    step(torch.tensor(3), torch.tensor(4))
    step(torch.tensor(5), torch.tensor(6))
    assert seen[3:] == [(3, 4), (5, 6)]


@pytest.mark.parametrize("capture", [None, warmed])
def test_run_does_not_depend_on_earlier_runs(capture):
    fresh, fresh_weights = ended(torch.float32, capture=capture)
    model = small_network(torch.float32)
    start = weights(model)
    trainer = Trainer(model, tiny.random_images(train=45, test=30), PLAN, capture=capture)
    trainer.run(lr=1e30, weight_decay=1.0, seed=9)
    trainer.measure(0.01)
    model.load_state_dict(start)
    again = trainer.run(**SETTINGS)
    assert again.curve == fresh.curve and same(weights(model), fresh_weights)


def test_measuring_changes_no_parameter_and_gives_times_per_image():
    model = small_network()
    before = weights(model)
    training, evaluation = Trainer(model, tiny.random_images(), PLAN).measure(0.01)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert 0 < training < 10 and 0 < evaluation < 10


# --- other arithmetics ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_steps_are_the_plain_ones():
    plain, plain_weights = ended()
    fast, fast_weights = ended(arithmetic="float32-compiled")
    for key in plain.curve:
        assert fast.curve[key] == pytest.approx(plain.curve[key], rel=1e-12), key
    assert close(fast_weights, plain_weights, 1e-12)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_evaluation_is_the_plain_one(monkeypatch):
    trainer = Trainer(small_network(), tiny.random_images(test=530), PLAN)
    trainer.run(**SETTINGS)
    plain, batches = trainer.evaluate()[::2], []
    # Made for a GPU alone.
    fast = compiled(trainer._logits)
    trainer._compiled_logits = lambda images: (batches.append(len(images)), fast(images))[1]
    assert trainer.evaluate()[::2] == pytest.approx(plain, rel=1e-12)
    # The one smaller batch is not worth a second compilation.
    assert batches == [500]


def test_bfloat16_rounds_products_and_keeps_the_weights_in_float32():
    exact, exact_weights = ended()
    rounded, rounded_weights = ended(torch.float32, arithmetic="bfloat16")
    assert {value.dtype for value in rounded_weights.values() if value.is_floating_point()} == {
        torch.float32
    }
    # Eight bits of mantissa: losses agree to a few thousandths, and not to more.
    first, expected = rounded.curve["train_loss"][0], exact.curve["train_loss"][0]
    assert first == pytest.approx(expected, rel=0.02) and first != pytest.approx(expected, rel=1e-6)
    single, _ = ended(torch.float32)
    assert single.curve["train_loss"][0] == pytest.approx(expected, rel=1e-5)
