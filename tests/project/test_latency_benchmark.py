"""The benchmark of latency: what it asks for, what it writes, and where it goes on."""

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpstudy.networks.latency import Latency

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
def test_latency_goes_on_where_it_was_stopped(monkeypatch, capsys, tmp_path):
    """A network takes as many seconds as it has parameters."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    program = importlib.import_module("latency")

    def onnx(model, image):
        return sum(weights.numel() for weights in model.parameters())

    def measured(files, image, threads, rounds):
        first = next(iter(files.values()))
        times = {
            name: Latency(seconds=count, ratio=count / first, low=0, high=2)
            for name, count in files.items()
        }
        return SimpleNamespace(onnxruntime=times)

    monkeypatch.setattr(program, "onnx", onnx)
    monkeypatch.setattr(program, "measure_latency", measured)
    monkeypatch.setattr(program, "NETWORKS", {"resnet20": (16, 8)})
    output = tmp_path / "latency.json"
    options = ["--output", str(output), "quick-resnet56", "resnet20"]
    monkeypatch.setattr(sys, "argv", ["latency.py", *options])
    program.main()
    content = json.loads(output.read_text())
    dense, *pruned = content["studies"]
    assert [row["variant"] for row in pruned] == ["uniform-0.2", "nonuniform-0.2"]
    assert all(row["macs"] == pytest.approx(0.2 * dense["macs"], rel=0.01) for row in pruned)
    rows = content["networks"]
    assert [(row["flops_ratio"], row["round_to"]) for row in rows] == program.TARGETS
    for row in rows:
        assert ("reached" in row) == (row["lowest"] < row["flops_ratio"] + program.TOLERANCE)
        if "reached" in row:
            assert row["reached"] == pytest.approx(row["flops_ratio"], abs=0.02)
            assert 0 < row["ratio"] < 1
    monkeypatch.setattr(program, "measure_latency", None)
    capsys.readouterr()
    program.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"\| resnet20 \| .* \| lowest 0\.3\d \|$", last)
    assert json.loads(output.read_text()) == content
