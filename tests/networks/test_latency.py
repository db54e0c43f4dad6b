"""Latency: ratios to the first network, their intervals, and the target that they reach."""

from types import SimpleNamespace

import nets
import numpy as np
import pytest
import torch
from scipy import stats

from hpstudy.networks import any_network, latency_target, prune, rebuild, verified
from hpstudy.networks.latency import Latency, LatencyReport, against_first, measure_latency
from hpstudy.networks.latency_target import WITHIN, flops_ratio_for

IMAGE = torch.zeros(2, 3, 8, 8)


@pytest.mark.slow  # the exporter takes a second
def test_network_against_itself(tmp_path):
    model = nets.Chain().train()
    threads = torch.get_num_threads()
    report = measure_latency({"dense": model, "again": model}, IMAGE, threads=2, repeats=41)
    assert (report.batch, report.threads, report.repeats, report.clock) == (2, 2, 41, "wall")
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


# --- a latency as target --------------------------------------------------------------------------


def exact(ratio):
    return Latency(seconds=ratio, ratio=ratio, low=ratio, high=ratio)


CURVES = {
    "linear": lambda flops: 0.1 + 0.9 * flops,
    "flat at the end": lambda flops: min(1.0, 0.05 + 2 * flops**2),
    # Unrounded widths can be slower than the dense network.
    "slower than dense": lambda flops: 1.9 * flops if flops < 0.9 else 1.0,
}


@pytest.mark.parametrize("curve", CURVES)
def test_search_reaches_a_latency(curve):
    for target in (0.3, 0.5, 0.8):
        tried = []

        def measure(flops, tried=tried):
            tried.append(flops)
            return exact(CURVES[curve](flops))

        found = flops_ratio_for(target, 0.05, measure, "it")
        assert CURVES[curve](found) == pytest.approx(target, rel=WITHIN)
        assert found in tried and len(tried) <= 1 + latency_target.PROBES
        if curve == "linear":
            assert len(tried) == 2


def test_search_ends_where_noise_hides_the_rest():
    def noisy(flops):
        return Latency(seconds=1, ratio=flops, low=flops - 0.2, high=flops + 0.2)

    assert flops_ratio_for(0.5, 0.4, noisy, "it") == 0.4
    assert flops_ratio_for(1.0, 0.1, exact, "it") == 1.0


def test_latency_below_that_of_the_lowest_flops_is_refused(refused):
    words = refused(flops_ratio_for, 0.2, 0.05, lambda flops: exact(0.3 + flops), "it")
    assert "latency_ratio 0.2 is out of reach: pruned to 0.0500 of its FLOPs" in words
    assert "it takes 0.35 (0.35 to 0.35) of the dense time" in words


def test_pruning_to_a_latency_that_is_linear_in_the_flops(monkeypatch):
    """Networks stand for their ONNX files, and a network's multiply-accumulates for its time."""

    def measured(models, inputs):
        macs = {name: verified.measured_macs(one, verified.Inputs.of(inputs))
                for name, one in models.items()}  # fmt: skip
        times = {name: exact(macs[name] / macs["dense"]) for name in models}
        return LatencyReport(
            batch=1,
            threads=1,
            repeats=6,
            clock="cpu",
            processor="",
            versions={},
            onnxruntime=times,
            torch={},
        )

    for module in (any_network, verified):
        monkeypatch.setattr(module, "measure_latency", measured)
    monkeypatch.setattr(verified, "to_onnx", lambda model, *_, **__: SimpleNamespace(content=model))
    _, report = prune(nets.Chain(), torch.zeros(1, 3, 8, 8), latency_ratio=0.5)
    assert report.latency_target == 0.5
    assert report.achieved == pytest.approx(0.5, rel=WITHIN)
    assert report.latency.onnxruntime["pruned"].ratio == pytest.approx(report.achieved)
    # Times are no part of what is rebuilt.
    again = rebuild(report.model_dump(), factory=nets.Chain)
    assert sum(weights.numel() for weights in again.parameters()) == report.params
