"""A network whose pruned layers are padded with zeros trains as the one without."""

import math

import pytest
import tiny
import torch
from interrupted import Killed
from test_trainer import recipe

import hpstudy.training.checkpoint
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.training.datasets import load_dataset
from hpstudy.training.run import RunTrainer, calibrate
from hpstudy.training.trainer import Trainer
from hpstudy.training.values import copy_values, padded_widths, values_of

CPU = torch.device("cpu")
PADDED = "bfloat16-compiled-padded"


def pruned_widths(network, share=0.6):
    """Widths that are no multiples of 8, and a layer of one channel."""
    widths = {layer: int(share * width) | 1 for layer, width in network.cost.widths.items()}
    return widths | {network.prunable[1]: 1}


@pytest.fixture
def trained(monkeypatch):
    """Train a network with and without padding in float64: the trainer, result, step losses."""
    losses = []
    step = Trainer._train_step

    def noted(trainer, *inputs):
        step(trainer, *inputs)
        losses.append(trainer.last_loss.item())

    monkeypatch.setattr(Trainer, "_train_step", noted)

    def trained(name, steps, epochs, lr, weight_decay=0.01):
        network, ends = PrunableNetwork(name, 10, 8), []
        widths = pruned_widths(network)
        fresh = network.fresh(0, widths).double()
        data = tiny.random_images(train=8 * steps, test=20, size=8)
        for shape in (widths, padded_widths(widths)):
            model = network.at_widths(shape).double()
            copy_values(values_of(fresh), values_of(model))
            trainer = Trainer(model, data, recipe(epochs=epochs, batch_size=8))
            losses.clear()
            result = trainer.run(lr, weight_decay, 3)
            ends.append((trainer, result, list(losses)))
        return ends

    return trained


def parts(trainer):
    """Weights, buffers and momentum by name."""
    names = [name for name, _ in trainer.model.named_parameters()]
    values = trainer._values()
    momentum = {f"momentum of {names[int(k)]}": value for k, value in values["momentum"].items()}
    return values["model"] | momentum


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, steps, epochs, lr, rounding",
    # Its norms over few values make more of each rounding error.
    [("resnet20", 50, 2, 0.01, 1e-12), ("mobilenetv2-shallow", 3, 2, 0.001, 1e-11)],
)
def test_padded_network_trains_as_without_padding(name, steps, epochs, lr, rounding, trained):
    ends = trained(name, steps, epochs, lr)
    (plain, result, losses), (padded, padded_result, padded_losses) = ends
    assert len(losses) == steps * epochs
    assert padded_losses == pytest.approx(losses, rel=1e-12)
    for key in result.curve:
        assert padded_result.curve[key] == pytest.approx(result.curve[key], rel=1e-12), key
    larger, expected = 0, parts(plain)
    for key, value in parts(padded).items():
        real = expected[key]
        inside = tuple(slice(size) for size in real.shape)
        gap, size = (v.double().norm().item() for v in (value[inside] - real, real))
        # What a norm takes out again, as the bias before one, is a rounding error as a whole.
        assert gap <= rounding * (size if size > rounding else 1), key
        outside = torch.ones_like(value, dtype=torch.bool)
        outside[inside] = False
        assert (value[outside] == 0).all(), key
        larger += bool(outside.any())
    # The first convolution of a block, its norm, and the second, with their momentum.
    assert larger >= 5 * len(plain.model.blocks)


@pytest.mark.slow
@pytest.mark.parametrize("lr", [3.0, 1e6, 1e30])
def test_padded_network_diverges_at_the_same_step(lr, trained):
    (_, result, losses), (_, padded_result, padded_losses) = trained("resnet20", 10, 3, lr)
    assert result.diverged and padded_result.diverged
    assert len(padded_losses) == len(losses) and padded_result.epochs == result.epochs
    assert list(map(math.isfinite, padded_losses)) == list(map(math.isfinite, losses))
    assert padded_result.top1 == result.top1


@pytest.mark.parametrize(
    "changes", [{"variants": []}, {"model": "torchvision:resnet18", "data.image_size": 32}]
)
def test_padding_is_for_pruned_networks_of_the_study_alone(changes):
    with pytest.raises(ValueError, match="is for pruned networks of resnet20, resnet56, "):
        tiny.study({"arithmetic": PADDED} | changes)
    assert tiny.study({"arithmetic": PADDED}).can_be_padded


# --- runs -----------------------------------------------------------------------------------------


def run(path=None, arithmetic=PADDED, **changes):
    images = {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 40, "test_images": 20}
    changes = {
        "model": "resnet20",
        "data": images,
        "recipe": recipe(epochs=2, batch_size=20).model_dump(),
        "lr": 0.01,
        "arithmetic": arithmetic,
        "widths": pruned_widths(PrunableNetwork("resnet20", 10, 8)),
    } | changes
    spec = tiny.spec(changes)
    trainer = RunTrainer(load_dataset(spec.data), CPU)
    with torch.compiler.set_stance("force_eager"):
        row, _ = trainer.train(spec, checkpoint=path)
    return {key: value for key, value in row.items() if "second" not in key}


def test_padded_run_has_the_size_and_first_steps_of_the_pruned_network():
    plain, padded = run(arithmetic="bfloat16-compiled"), run()
    assert (padded["macs"], padded["params"]) == (plain["macs"], plain["params"])
    assert padded["curve"]["train_loss"] == pytest.approx(plain["curve"]["train_loss"], rel=0.02)


def test_dense_network_has_no_layer_to_pad():
    assert run(widths=None) == run(widths=None, arithmetic="bfloat16-compiled")


def test_padded_run_resumes_to_the_same_bits(tmp_path, monkeypatch, kill):
    undisturbed, path = run(), tmp_path / "kept.pt"
    monkeypatch.setattr(hpstudy.training.checkpoint, "CHECKPOINT_SECONDS", 0)
    for place in (1, 3):
        kill(place)
        with pytest.raises(Killed):
            run(path)
        kill(None)
    assert path.exists() and run(path) == undisturbed


def test_calibration_times_the_padded_network(monkeypatch):
    widths, shapes = pruned_widths(PrunableNetwork("resnet20", 10, 8)), []

    def measure(trainer, seconds):
        shapes.append({name: value.shape[0] for name, value in trainer.model.named_parameters()})
        return 1.0, 1.0

    monkeypatch.setattr(Trainer, "measure", measure)
    changes = {"model": "resnet20", "data.image_size": 8, "widths": widths}
    with torch.compiler.set_stance("force_eager"):
        for arithmetic in ("bfloat16", PADDED):
            spec = tiny.spec(changes | {"arithmetic": arithmetic})
            calibrate(CPU, spec, 10, (40, 20), 0.01)
    plain, padded = ({layer: shape[f"{layer}.weight"] for layer in widths} for shape in shapes)
    assert plain == widths and padded == padded_widths(widths) != widths
