"""A training that processes share, each a call of `train`, or that one process has to itself."""

import os
from dataclasses import asdict
from multiprocessing import get_context

import tiny
import torch
from interrupted import CPU, Killed
from test_trainer import recipe, weights
from torch import distributed

import hpstudy.training.checkpoint
from hpstudy.networks.models import ResNetCifar
from hpstudy.training.checkpoint import Checkpoint
from hpstudy.training.trainer import Trainer

# Batches of 20, 20 and 5 images; evaluated ten by ten, the last one alone.
DATA = tiny.random_images(train=45, test=31)
PLAN = recipe(epochs=2, batch_size=20, lr_decay_epochs=(1,))


def resnet8():
    return ResNetCifar(1, 10).double()


def train(arithmetic="float32", network=resnet8, path=None, kill_after=None):
    """Result, weights, an evaluation and times of a network in float64."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trainer = Trainer(network(), DATA, PLAN, arithmetic)
    kept = path and Checkpoint(path, "this-run", CPU)
    if kill_after:
        hpstudy.training.checkpoint.CHECKPOINT_SECONDS = 0
        step, taken = Trainer._train_step, []

        def counted(*arguments):
            if len(taken) == kill_after:
                raise Killed
            taken.append(1)
            step(*arguments)

        trainer._train_step = lambda *arguments: counted(trainer, *arguments)
    try:
        result = asdict(trainer.run(0.05, 0.01, 3, kept))
    except Killed:
        return None
    tensors = {name: value.numpy() for name, value in weights(trainer.model).items()}
    return result, tensors, trainer.evaluate(10), trainer.measure(0.01)


def _process(pipe, number, devices, store, arguments):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=number, world_size=devices
    )
    pipe.send(train(*arguments))


def train_shared(devices, store, arithmetic="float32", *arguments):
    """What `train` returns in each of the processes."""
    context, pipes = get_context("spawn"), []
    for number in range(devices):
        ours, theirs = context.Pipe()
        given = f"{arithmetic}-over{devices}", *arguments
        context.Process(
            target=_process, args=(theirs, number, devices, store, given), daemon=True
        ).start()
        theirs.close()
        pipes.append(ours)
    return [pipe.recv() for pipe in pipes]
