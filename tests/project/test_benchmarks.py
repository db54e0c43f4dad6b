"""The benchmarks at a size that a CPU does in seconds: their tables, and numbers that can be."""

import importlib.util
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WAYS = ["default loop", "float32, eager", "float32", "tf32", "bfloat16", "bfloat16-compiled"]


@pytest.fixture
def table(monkeypatch, capsys):
    """Rows of the table that a step prints last, by the names of its columns."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def table(step, *options):
        import gpu

        turns = ["--seconds", "0.01", "--rounds", "2"]
        gpu.main([step, "--device", "cpu", "--smoke", *turns, *options])
        return parsed(capsys.readouterr().out)

    return table


def parsed(printed):
    """Rows of the Markdown table at the end of what was printed."""
    lines = printed.rstrip("\n").split("\n")
    first = next(k for k, line in enumerate(lines) if line.startswith("|"))
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[first:]]
    assert set(cells[1]) == {"---"} and {len(row) for row in cells} == {len(cells[0])}
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def spread(cell):
    """The median of a cell, which lies between its smallest and its largest value."""
    number = r"(\d[\d.e+-]*)"
    middle, least, most = map(
        float, re.fullmatch(rf"{number} \({number} to {number}\)", cell).groups()
    )
    assert 0 <= least <= middle <= most < math.inf
    return middle


def positive(rows, *columns):
    for row in rows:
        assert row["n"] == "2"
        assert all(spread(row[column]) > 0 for column in columns)


def test_ceilings(table):
    rows = table("ceilings")
    assert [(row["ceiling"], row["unit"]) for row in rows] == [
        ("copy, read + written", "TB/s"),
        ("product, bfloat16", "TFLOP/s"),
        ("product, TF32", "TFLOP/s"),
        ("product, float32", "TFLOP/s"),
    ]
    positive(rows, "median")
    # Tera, and not giga: no processor comes near these.
    assert all(spread(row["median"]) < 100 for row in rows)


@pytest.mark.slow
def test_a_step_each_way(table):
    rows = table("step", "--variants", "uniform-0.2")
    assert [(row["network"], row["way"]) for row in rows] == [
        ("resnet20, uniform-0.2", way) for way in WAYS
    ]
    point = "s per 180-epoch point"
    positive(rows, "ms/step", "x default loop", "evaluated images/s", point)
    for row in rows:
        if row["way"] == "default loop":
            assert row["x default loop"] == "1 (1 to 1)"
        # 8 images a step, and 180 times 50,000 images take longer than their training alone.
        assert spread(row[point]) > 0.98 * 180 * 50_000 / 8 * spread(row["ms/step"]) / 1000


@pytest.mark.slow
def test_many_networks_at_once(table):
    rows = table("many", "--variants", "uniform-0.2", "--arithmetic", "float32")
    assert [(row["way"], row["K"]) for row in rows] == [
        ("processes, time-sliced", "1"),
        ("processes, time-sliced", "2"),
    ]
    assert {row["network"] for row in rows} == {"resnet20, uniform-0.2, float32"}
    positive(rows, "images x networks/s", "x K = 1")
    assert all(row["x K = 1"] == "1 (1 to 1)" for row in rows if row["K"] == "1")
    rates = {row["K"]: spread(row["images x networks/s"]) for row in rows}
    for row in rows:
        # A ratio of sums lies between the ratios of the rounds; cells have three digits.
        _, least, most = map(float, re.findall(r"[\d.]+", row["x K = 1"]))
        ratio = rates[row["K"]] / rates["1"]
        assert 0.98 * least < ratio < 1.02 * most


@pytest.mark.slow
def test_three_steps_are_right(table):
    rows = table("correct")
    gaps = ["gap of training losses", "gap of evaluation losses", "gap of weights"]
    found = {(row["way"], row["against"]): [spread(row[gap]) for gap in gaps] for row in rows}
    assert {row["n"] for row in rows} == {"2"}
    single, reference = WAYS[2:], "float64 on the CPU"
    assert list(found) == [
        pair
        for way in single
        for pair in ((f"{way}, eager", reference), (way, reference), (way, f"{way}, eager"))
    ]
    for way in ("float32", "float32, eager"):
        assert all(0 < gap < 1e-4 for gap in found[way, reference])
    # Rounded to eight bits, and on a CPU not recorded.
    assert all(1e-4 < gap < 0.3 for gap in found["bfloat16", reference])
    for pair, values in found.items():
        if pair[1] != reference:
            assert values == [0, 0, 0]


@pytest.mark.slow
def test_accuracy_beside_the_published_one(table):
    rows = table("accuracy", "--epochs", "2")
    assert [(row["arithmetic"], row["epochs"], row["n"]) for row in rows] == [
        ("bfloat16", "2", "2"),
        ("float32", "2", "2"),
    ]
    assert {row["published, 180 epochs"] for row in rows} == {"93.34"}
    positive(rows, "s a run")
    assert all(0 <= spread(row["top1, %"]) <= 100 for row in rows)


def test_a_training_at_the_prior_leaves_its_recipe_and_its_result(table, tmp_path):
    kept = tmp_path / "prior.json"
    (row,) = table("accuracy", "--epochs", "2", "--arithmetic", "float32", "--output", str(kept))
    said = json.loads(kept.read_text())
    assert [(one["seed"], one["arithmetic"], one["epochs"]) for one in said["rows"]] == [
        (0, "float32", 2),
        (1, "float32", 2),
    ]
    # Table 3.4.
    assert {(one["lr"], one["weight_decay"]) for one in said["rows"]} == {(0.1, 1e-4)}
    top1 = [one["top1"] for one in said["rows"]]
    assert row["top1, %"].endswith(f"({min(top1):.2f} to {max(top1):.2f})")
    assert "--arithmetic float32" in said["command"] and [*tmp_path.iterdir()] == [kept]


@pytest.mark.slow
def test_resnet50_and_its_images(table, tmp_path):
    random = np.random.default_rng(0)
    for k in range(3):
        pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        (tmp_path / f"class{k}").mkdir()
        Image.fromarray(pixels).save(tmp_path / f"class{k}" / "one.jpeg")
    rows = table("resnet50", "--images", str(tmp_path))
    names = [row["ResNet-50"].rpartition(",")[0] for row in rows]
    assert names[:4] == [f"{way}, {what}" for way in WAYS[-2:] for what in ("trained", "evaluated")]
    assert names[4].startswith("decoded once") and names[5].endswith("from the decoded file")
    positive(rows, "images/s", "h on ImageNet")
    for row in rows:
        images = 50_000 if "evaluated" in row["ResNet-50"] else 1_281_167
        _, least, most = map(float, re.findall(r"\d[\d.e+-]*", row["images/s"]))
        hours = [int(row["epochs"]) * images / rate / 3600 for rate in (most, least)]
        # Numbers of three digits.
        assert 0.98 * hours[0] <= spread(row["h on ImageNet"]) <= 1.02 * hours[1]
    assert [row["epochs"] for row in rows] == ["90", "90", "90", "90", "1", "90"]


def test_a_folder_without_images_is_refused(table, tmp_path):
    with pytest.raises(SystemExit, match="holds no image"):
        table("resnet50", "--images", str(tmp_path))


def test_every_kind_of_convolution_is_timed_in_both_precisions(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import layers

    small = ["--network", "resnet20", "--size", "8", "--batch", "2", "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["layers.py", *small])
    layers.main()
    rows = parsed(capsys.readouterr().out)
    # He et al. (2016), section 4.2: one convolution, then three stages of six.
    assert sum(int(row["layers"]) for row in rows) == 1 + 3 * 6
    assert rows[0]["convolution"] == "3x3, 3 to 16" and rows[0]["pixels"] == "8"
    assert {row["stride"] for row in rows} == {"1", "2"}
    for row in rows:
        assert spread(row["float32, ms"]) > 0 and spread(row["bfloat16, ms"]) > 0


def test_what_racing_would_have_saved(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import racing

    (name,) = synthetic.write(tmp_path, points=5, seeds=1, models=("resnet56",))
    monkeypatch.setattr(sys, "argv", ["racing.py", str(tmp_path / f"{name}.csv")])
    racing.main()
    rows = parsed(capsys.readouterr().out)
    variants = list(synthetic.VARIANTS["resnet56"])
    rules = ["race, 1.5 SD", "half the epochs, half the runs", "successive halving"]
    assert [(row["rule"], row["variant"]) for row in rows] == [
        (rule, variant) for rule in rules for variant in variants
    ]
    for row in rows:
        assert row["runs"] == "25" and 0 <= int(row["stopped"]) < 25
        # A run is trained for one of its two epochs at least.
        trained = float(row["images"].rstrip("%")) / 100
        assert trained == pytest.approx(1 - int(row["stopped"]) / 50, abs=0.006)
    assert any(int(row["stopped"]) for row in rows if row["rule"] == "successive halving")


@pytest.fixture
def coverage(monkeypatch):
    """The benchmark, not by its name, which is also that of the package that measures tests."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("interval_coverage", BENCHMARKS / "coverage.py")
    coverage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(coverage)
    return coverage


@pytest.mark.slow
def test_how_often_intervals_hold_the_truth(coverage, tmp_path):
    # As a command: its processes import it by their own main module.
    kept = tmp_path / "intervals.csv"
    words = ["--simulations", "1", "--only", "short", "--output", str(kept)]
    words = [sys.executable, coverage.__file__, *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(kept)) == 6 * 11
    _, several = done.stdout.strip().split("\n\n")
    columns = ("slope", "seeds", "points", "design")
    for row in parsed(several):
        assert len(row) == 4 + 11
        # No shift is told of a region without an ellipse.
        assert all(value == "nan" or 0 <= float(value) <= 100 for value in list(row.values())[4:])
    assert {tuple(row[column] for column in columns) for row in parsed(several)} == {
        (one.slope, str(one.seeds), str(one.points), one.design) for one in coverage.PARTS["short"]
    }


def test_simulated_landscapes_are_what_they_are_said_to_be(coverage):
    random = np.random.default_rng(3)
    for family in coverage.FAMILIES:
        loss, zero = family(2.0, 1.0), np.zeros(5)
        away = np.linspace(0.1, 1.5, 5)
        assert loss(0.0, 0.0) == 0
        # Worse with every step from the optimum, on each side and along each diagonal.
        for x, y in ((away, zero), (-away, zero), (zero, away), (zero, -away)):
            assert (np.diff(loss(x, y)) > 0).all()
        assert (family(0.0, 0.0)(away, away) == 0).all()
    grid = coverage.world(coverage.Setting("moderate", 20, 81, "grid", 0.3, 0.5), random).table
    assert len(grid) == 2 * 20 * 81 and grid["lr"].nunique() == 9
    square = grid.pivot(index=["variant", "lr", "weight_decay"], columns="seed", values="top1")
    # Half of a run's variance is its seed's: what is left grows by 10^0.3 a decade.
    spread = square.sub(square.mean(axis=1), axis=0)
    spread = spread - spread.groupby("variant").transform("mean")
    own = spread.groupby("lr").std().mean(axis=1)
    slope, level = np.polyfit(np.log10(own.index), np.log10(own), 1)
    assert slope == pytest.approx(0.3, abs=0.05)
    assert 10**level == pytest.approx(math.sqrt(0.5), rel=0.1)
    searched = coverage.world(coverage.Setting("flat", 1, 25, "random"), random)
    settings = searched.table.groupby("variant")["lr"].agg(set)
    assert len(settings.iloc[0]) == 25 and not settings.iloc[0] & settings.iloc[1]
    assert np.ptp(searched.truths[0](np.zeros((3, 2)))) == 0
