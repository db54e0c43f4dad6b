"""The benchmarks at sizes for a CPU: rows and columns of their tables, and plausible numbers."""

import importlib.util
import json
import math
import re
import sys
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hpstudy.training.run import calibrate

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WAYS = ["default loop", "float32, eager", "float32", "tf32", "bfloat16", "bfloat16-compiled"]
NUMBER = r"(\d[\d.e+-]*)"


class InProcess:
    """Pool that runs its functions in this process; the start of another takes seconds."""

    def __init__(self, *options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future

    def map(self, function, jobs, chunksize):
        return map(function, jobs)


@pytest.fixture
def benchmark(monkeypatch, capsys):
    """Run a benchmark in this process; rows of the table that it prints last."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def run(name, *options):
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
        module.main()
        return table_rows(capsys.readouterr().out)

    return run


@pytest.fixture
def gpu(benchmark):
    """Run a step of the GPU benchmark on the CPU."""
    turns = ["--device", "cpu", "--smoke", "--seconds", "0.01", "--rounds", "2"]
    return lambda step, *options: benchmark("gpu", step, *turns, *options)


def table_rows(printed):
    """Rows of the Markdown table at the end of the output."""
    lines = printed.rstrip("\n").split("\n")
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[first:]]
    assert set(cells[1]) == {"---"} and {len(row) for row in cells} == {len(cells[0])}
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def median(cell):
    """Median of a cell, which lies between its minimum and its maximum."""
    match = re.fullmatch(rf"{NUMBER} \({NUMBER} to {NUMBER}\)", cell)
    middle, minimum, maximum = map(float, match.groups())
    assert 0 <= minimum <= middle <= maximum < math.inf
    return middle


def assert_positive(rows, *columns):
    for row in rows:
        assert row["n"] == "2"
        assert all(median(row[column]) > 0 for column in columns)


def test_ceilings_have_units_of_tera(gpu):
    rows = gpu("ceilings")
    assert [(row["ceiling"], row["unit"]) for row in rows] == [
        ("copy, read + written", "TB/s"),
        ("product, bfloat16", "TFLOP/s"),
        ("product, TF32", "TFLOP/s"),
        ("product, float32", "TFLOP/s"),
    ]
    assert_positive(rows, "median")
    # No processor reaches these; a rate in giga would.
    assert all(median(row["median"]) < 100 for row in rows)


@pytest.mark.slow
def test_step_is_timed_in_every_way(gpu, monkeypatch):
    monkeypatch.setattr("gpu.ProcessPoolExecutor", InProcess)
    monkeypatch.setattr("gpu._standing", {})
    rows = gpu("step", "--variants", "uniform-0.2")
    assert [(row["network"], row["way"]) for row in rows] == [
        ("resnet20, uniform-0.2", way) for way in WAYS
    ]
    point = "s per 180-epoch point"
    assert_positive(rows, "ms/step", "x default loop", "evaluated images/s", point)
    assert rows[0]["x default loop"] == "1 (1 to 1)"
    for row in rows:
        # Steps of 8 images, 180 epochs of 50,000 images; the evaluation takes longer still.
        assert median(row[point]) > 0.98 * 180 * 50_000 / 8 * median(row["ms/step"]) / 1000


@pytest.mark.slow
def test_several_networks_at_once_are_compared_with_one(gpu, monkeypatch):
    def open_pool(count):
        cpu = torch.device("cpu")
        pool = SimpleNamespace(calibrate=lambda *given: [calibrate(cpu, *given)] * count)
        return nullcontext(pool)

    monkeypatch.setattr("gpu.open_pool", open_pool)
    rows = gpu("many", "--variants", "uniform-0.2", "--arithmetic", "float32")
    assert [(row["way"], row["K"]) for row in rows] == [
        ("processes, time-sliced", "1"),
        ("processes, time-sliced", "2"),
    ]
    assert {row["network"] for row in rows} == {"resnet20, uniform-0.2, float32"}
    assert_positive(rows, "images x networks/s", "x K = 1")
    assert rows[0]["x K = 1"] == "1 (1 to 1)"


@pytest.mark.slow
def test_steps_agree_with_float64(gpu):
    rows = gpu("correct")
    columns = ["gap of training losses", "gap of evaluation losses", "gap of weights"]
    gaps = {(row["way"], row["against"]): [median(row[name]) for name in columns] for row in rows}
    assert {row["n"] for row in rows} == {"2"}
    single, reference = WAYS[2:], "float64 on the CPU"
    assert list(gaps) == [
        pair
        for way in single
        for pair in ((f"{way}, eager", reference), (way, reference), (way, f"{way}, eager"))
    ]
    for way in ("float32", "float32, eager"):
        assert all(0 < gap < 1e-4 for gap in gaps[way, reference])
    # A bfloat16 has eight bits; a CPU records no graph, so that both ways are equal.
    assert all(1e-4 < gap < 0.3 for gap in gaps["bfloat16", reference])
    for pair, values in gaps.items():
        if pair[1] != reference:
            assert values == [0, 0, 0]


@pytest.mark.slow
def test_accuracy_at_the_prior_is_written_with_its_recipe(gpu, tmp_path):
    output = tmp_path / "prior.json"
    rows = gpu("accuracy", "--epochs", "2", "--output", str(output))
    assert [(row["arithmetic"], row["epochs"], row["n"]) for row in rows] == [
        ("bfloat16", "2", "2"),
        ("float32", "2", "2"),
    ]
    assert {row["published, 180 epochs"] for row in rows} == {"93.34"}
    assert_positive(rows, "s a run")
    written = json.loads(output.read_text())
    runs = [run for run in written["rows"] if run["arithmetic"] == "float32"]
    assert [(run["seed"], run["epochs"]) for run in runs] == [(0, 2), (1, 2)]
    # Table 3.4.
    assert {(run["lr"], run["weight_decay"]) for run in runs} == {(0.1, 1e-4)}
    top1 = [run["top1"] for run in runs]
    assert rows[1]["top1, %"].endswith(f"({min(top1):.2f} to {max(top1):.2f})")
    assert "--epochs 2" in written["command"] and [*tmp_path.iterdir()] == [output]


@pytest.mark.slow
def test_training_evaluation_and_decoding_are_timed_at_the_size_of_imagenet(
    gpu, monkeypatch, tmp_path
):
    monkeypatch.setattr("imagenet.cores", lambda: 1)
    Image.effect_noise((50, 40), 50).save(tmp_path / "image.jpeg")
    rows = gpu("resnet50", "--images", str(tmp_path))
    names = [row["ResNet-50"].rpartition(",")[0] for row in rows]
    assert names[:4] == [
        f"{way}, {phase}" for way in WAYS[-2:] for phase in ("trained", "evaluated")
    ]
    assert names[4].startswith("decoded once") and names[5].endswith("from the decoded file")
    assert_positive(rows, "images/s", "h on ImageNet")
    for row in rows:
        images = 50_000 if "evaluated" in row["ResNet-50"] else 1_281_167
        _, minimum, maximum = map(float, re.findall(NUMBER, row["images/s"]))
        hours = [int(row["epochs"]) * images / rate / 3600 for rate in (maximum, minimum)]
        # Cells have three digits.
        assert 0.98 * hours[0] <= median(row["h on ImageNet"]) <= 1.02 * hours[1]
    assert [row["epochs"] for row in rows] == ["90", "90", "90", "90", "1", "90"]


def test_every_convolution_is_timed_in_both_precisions(benchmark):
    sizes = "--network resnet20 --size 8 --batch 2 --rounds 2"
    rows = benchmark("layers", *sizes.split())
    # He et al. (2016), section 4.2: one convolution, then three stages of six.
    assert sum(int(row["layers"]) for row in rows) == 1 + 3 * 6
    assert rows[0]["convolution"] == "3x3, 3 to 16" and rows[0]["pixels"] == "8"
    assert {row["stride"] for row in rows} == {"1", "2"}
    for row in rows:
        assert median(row["float32, ms"]) > 0 and median(row["bfloat16, ms"]) > 0


@pytest.fixture
def coverage(monkeypatch):
    """The benchmark under another name than that of the package that measures test coverage."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("interval_coverage", BENCHMARKS / "coverage.py")
    coverage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(coverage)
    return coverage


@pytest.mark.slow
def test_coverage_is_given_per_quantity_and_setting(coverage, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(coverage, "ProcessPoolExecutor", InProcess)
    settings = coverage.PARTS["short"][:3]
    monkeypatch.setitem(coverage.PARTS, "short", settings)
    output = tmp_path / "intervals.csv"
    coverage.main(["--simulations", "1", "--only", "short", "--output", str(output)])
    assert len(pd.read_csv(output)) == 3 * 11
    rows = table_rows(capsys.readouterr().out)
    columns = ("slope", "seeds", "points", "design")
    assert {tuple(row[column] for column in columns) for row in rows} == {
        (setting.slope, str(setting.seeds), str(setting.points), setting.design)
        for setting in settings
    }
    for row in rows:
        assert len(row) == 4 + 11
        # A region without an ellipse has no shift.
        assert all(value == "nan" or 0 <= float(value) <= 100 for value in list(row.values())[4:])


def test_simulated_landscapes_have_the_stated_optimum_and_noise(coverage):
    generator = np.random.default_rng(3)
    for family in coverage.FAMILIES:
        loss, zeros = family(2.0, 1.0), np.zeros(5)
        steps = np.linspace(0.1, 1.5, 5)
        assert loss(0.0, 0.0) == 0
        # The loss grows with the distance from the optimum, on either side along both axes.
        for x, y in ((steps, zeros), (-steps, zeros), (zeros, steps), (zeros, -steps)):
            assert (np.diff(loss(x, y)) > 0).all()
        assert (family(0.0, 0.0)(steps, steps) == 0).all()
    grid = coverage.world(coverage.Setting("moderate", 20, 81, "grid", 0.3, 0.5), generator).table
    assert len(grid) == 2 * 20 * 81 and grid["lr"].nunique() == 9
    values = grid.pivot(index=["variant", "lr", "weight_decay"], columns="seed", values="top1")
    # Half of a run's variance is its seed's; the rest grows by 10^0.3 a decade.
    residuals = values.sub(values.mean(axis=1), axis=0)
    residuals -= residuals.groupby("variant").transform("mean")
    deviation = residuals.groupby("lr").std().mean(axis=1)
    slope, level = np.polyfit(np.log10(deviation.index), np.log10(deviation), 1)
    assert slope == pytest.approx(0.3, abs=0.05)
    assert 10**level == pytest.approx(math.sqrt(0.5), rel=0.1)
    search = coverage.world(coverage.Setting("flat", 1, 25, "random"), generator)
    settings = search.table.groupby("variant")["lr"].agg(set)
    assert len(settings.iloc[0]) == 25 and not settings.iloc[0] & settings.iloc[1]
    assert np.ptp(search.truths[0](np.zeros((3, 2)))) == 0
