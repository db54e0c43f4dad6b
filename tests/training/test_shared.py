"""A training that processes share is that of one process with the whole batches, to rounding."""

import shutil

import numpy as np
import pytest
import tiny
import torch
from shares import resnet8, train, train_shared
from test_trainer import recipe, small_network
from torch import nn

from hpstudy.training.shared import Share, share_statistics
from hpstudy.training.trainer import Trainer

CURVES = ("train_loss", "loss", "top1")


def check_close(shared, whole):
    """The same curves, weights, statistics of normalisations and evaluation."""
    (row, tensors, evaluation, _), (expected, exact, expected_evaluation, _) = shared, whole
    for name in CURVES:
        assert row["curve"][name] == pytest.approx(expected["curve"][name], rel=1e-10), name
    for name, value in tensors.items():
        assert np.allclose(value, exact[name], rtol=1e-10, atol=1e-10), name
    assert evaluation[0] == expected_evaluation[0]
    assert evaluation[2] == pytest.approx(expected_evaluation[2], rel=1e-10)
    assert row["diverged"] == expected["diverged"] and row["epochs"] == expected["epochs"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two processes have trained; they have 3 and 2 images of the last batch."""
    return train_shared(2, tmp_path_factory.mktemp("shared") / "store")


@pytest.mark.slow
def test_shared_training_is_that_of_one_process(shared):
    check_close(shared[0], train())
    first, second = shared
    assert all(np.array_equal(second[1][name], value) for name, value in first[1].items())
    assert second[0]["curve"] == first[0]["curve"] and second[3] == first[3]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_shared_training_is_that_of_one_process(tmp_path):
    compiled = train_shared(2, tmp_path / "store", "float32-compiled", small_network)
    check_close(compiled[0], train(network=small_network))


@pytest.mark.slow
def test_shared_training_resumes_to_the_same_bits(shared, tmp_path):
    # Killed in the second epoch.
    path, given = tmp_path / "kept.pt", ("float32", resnet8)
    assert train_shared(2, tmp_path / "first", *given, path, 4) == [None, None]
    assert path.exists()
    for result in train_shared(2, tmp_path / "second", *given, path):
        assert result[0]["curve"] == shared[0][0]["curve"]
        assert all(np.array_equal(result[1][name], value) for name, value in shared[0][1].items())


def test_normalisation_without_plain_statistics_is_refused(refused):
    class Own(nn.BatchNorm2d):
        pass

    for layer in (Own(4), nn.BatchNorm2d(4, momentum=None), nn.SyncBatchNorm(4)):
        assert type(layer).__name__ in refused(share_statistics, nn.Sequential(layer), Share(0, 2))


def test_last_batch_that_processes_cannot_share_is_refused(refused):
    data = tiny.random_images(train=42)
    plan = recipe(batch_size=20)
    sentence = refused(Trainer, small_network(torch.float32), data, plan, "float32-over3")
    assert "a last batch of 2 of 42 training images, which 3 devices cannot share" in sentence
