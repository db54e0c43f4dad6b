"""Latency: ratios to the first network, their intervals, and the target that they reach."""

import nets
import numpy as np
import pytest
import torch
from scipy import stats

from hpstudy.networks.latency import against_first, measure_latency

IMAGE = torch.zeros(2, 3, 8, 8)


@pytest.mark.slow  # the exporter takes a second
def test_network_against_itself(tmp_path):
    model = nets.Chain().train()
    threads = torch.get_num_threads()
    report = measure_latency({"dense": model, "again": model}, IMAGE, threads=2, repeats=41)
    assert (report.batch, report.threads, report.repeats) == (2, 2, 41)
    assert model.training and torch.get_num_threads() == threads
    for times in (report.onnxruntime, report.torch):
        assert list(times) == ["dense", "again"]
        assert times["dense"].ratio == times["dense"].low == times["dense"].high == 1
        # Both bounds are widened: one interval in twenty does not hold the truth.
        assert times["again"].low / 1.2 < 1 < 1.2 * times["again"].high
        assert 0 < times["again"].seconds < 1


def test_interval_of_the_median_ratio_by_ranks():
    rng = np.random.default_rng(0)
    times = {"dense": rng.uniform(1, 2, 41), "small": rng.uniform(1, 2, 41)}
    found = against_first(times)
    ratios = times["small"] / times["dense"]
    expected = stats.quantile_test(ratios, p=0.5).confidence_interval(0.95)
    assert (found["small"].low, found["small"].high) == pytest.approx(tuple(expected))
    assert found["small"].ratio == pytest.approx(np.median(ratios))
    assert found["dense"].seconds == pytest.approx(np.median(times["dense"]))


BAD = {
    "no network": ({}, {}, "models must hold at least one network"),
    "no threads": ({"a": nets.Chain()}, {"threads": 0}, "threads must be a whole number from 1"),
    "few rounds": ({"a": nets.Chain()}, {"repeats": 5}, "repeats must be a whole number from 6"),
    "no file": ({"a": "gone.onnx"}, {}, "there is no file 'gone.onnx'"),
    "a file of something else": ({"a": __file__}, {}, "onnxruntime cannot run a: "),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_measured_is_refused(what, refused):
    models, options, words = BAD[what]
    assert words in refused(measure_latency, models, IMAGE, **options)
