"""All numbers of `hpstudy compare --full` in a terminal: they are those of the analysis."""

import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis.comparison import Comparison, compare
from hpstudy.report.full_tables import show_full
from hpstudy.report.terminal import WIDTH


@pytest.fixture(scope="module")
def comparison():
    """Two pruned networks whose optima lie half a decade from the dense one's, two seeds each."""
    generator, logs = np.random.default_rng(1), sweeps.square(7)
    tables = [
        sweeps.sweep(name, logs, sweeps.parabola(logs, centre, 2.0), 0.1, generator, seeds=2)
        for name, centre in (("unpruned", 0.0), ("thin", 0.5), ("thinner", 0.5))
    ]
    return Comparison.of(sweeps.read(pd.concat(tables)))


@pytest.fixture
def full(comparison, capsys):
    """Prints a comparison whole; all of its text."""

    def full(shown=comparison):
        show_full(shown)
        return capsys.readouterr().out

    return full


@pytest.fixture(scope="module")
def result(comparison):
    """The comparison as plain values."""
    return compare(comparison.runs)


def row(text, title, name):
    """The two lines of a network in a table, as one."""
    (table,) = (part for part in text.split("\n\n") if part.startswith(title))
    lines = table.splitlines()[1:]
    first = next(k for k, line in enumerate(lines) if line.startswith(f"{name} "))
    return " ".join(f"{lines[first]} {lines[first + 1]}".split())


def interval(values, digits=2):
    estimate, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{estimate} .*\\({low} to {high}\\)"


@pytest.mark.slow
def test_lines_fit_and_verdicts_come_first(full):
    text = full()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.index("retune") < text.index("Landscapes") < text.index("Shift from")
    assert not re.search(r"\b(None|nan)\b", text)


def test_verdict_stands_with_its_factor_and_its_loss(full, result):
    text = full()
    (line,) = re.findall(r"^thin .*\n.*\n", text, flags=re.MULTILINE)[:1]
    advice = result["advice"]["thin"]
    assert line.count("retune") == 2 and "↻" in line
    estimate, low, high = (f"{10**end:.2g}" for end in advice["shift"]["lr"])
    assert f"×{estimate} ({low} to {high})" in line
    loss, low, high = (f"{value:.2f}" for value in advice["loss"])
    assert f"{loss} (≥ {low}, ≤ {high})" in line
    losses = row(text, "Loss at", "thin")
    assert f"thin {advice['measured']:.2f} {loss}" in losses
    assert f"≤ {advice['second_best_loss'][2]:.2f})" in losses


def test_all_pruned_networks_together_have_a_line(full, result):
    factor = f"{10 ** result['pooled']['shift']['lr'][0]:.2g}"
    (line,) = re.findall("^all 2 with shifts: .*", full(), flags=re.MULTILINE)
    assert re.match(rf"all 2 with shifts: learning rate \w+, ×{re.escape(factor)}0? \(", line)


def test_best_region_and_noise_of_a_landscape_are_shown(full, result, comparison):
    text = full()
    dense = result["landscapes"]["unpruned"]
    best = row(text, "Landscapes", "unpruned")
    for part in (f"{dense['best']:.2f}", f"{dense['best_at']['lr']:.3g}", "98 ", "at 49 settings"):
        assert part in best
    assert re.search(interval(dense["best_corrected"]), best)
    noise = dense["noise"]
    deviations = f"{noise['std']:.2f} {noise['replicates_std']:.2f}"
    assert deviations in best and f"({noise['replicates_degrees']} df)" in best
    region = row(text, "Regions", "unpruned")
    assert f" {dense['roi']['0.5']['count']} " in region
    assert re.search(interval(dense["roi"]["0.5"]["intervals"]["length"]), region)
    centre = comparison.analysis.shape("unpruned", 0.5).first
    assert f"{10**centre.estimate:.2g}" in region


def test_risk_and_shift_are_shown(full, result):
    text = full()
    risk, shift = result["risk"]["thin"], result["movement"]["thin"]["1.0"]
    assert f"{risk['n']} {risk['mean']:.2f} {risk['std']:.2f}" in row(text, "Risk", "thin")
    bounds = f"≤ {risk['intervals']['mean'][2]:.2f})"
    assert bounds in row(text, "Risk", "thin")
    shifts = text[text.index("Shift from") :]
    low, high = shift["shift_interval"][1:]
    assert (
        f"({low:.2f} to {high:.2f})" in shifts and f"{shift['spearman_interval'][0]:.2f}" in shifts
    )


@pytest.mark.parametrize(
    "mark, change",
    [
        ("*", {"at_end": ("thin",)}),
        ("^", {"edge": True}),
        ("~", {"interpolated": True}),
    ],
)
def test_mark_of_a_verdict_has_a_note(mark, change, full, comparison):
    def marked(**changes):
        rows = []
        for found in comparison.verdicts:
            calm = {"edge": False, "interpolated": False} | changes
            calm.pop("at_end", None)
            axes = {
                axis: of._replace(at_end=changes.get("at_end", ()), interpolated=False)
                for axis, of in found.axes.items()
            }
            rows.append(dataclasses.replace(found, axes=axes, **calm))
        copy = dataclasses.replace(comparison)
        copy.__dict__.update(analysis=comparison.analysis, verdicts=rows)
        return full(copy).partition("Landscapes")[0]

    assert re.search(rf"\n{re.escape(mark)} \w", marked(**change))
    assert not re.search(rf"\n{re.escape(mark)} \w", marked())
    assert marked(**change).count(mark) > 2


def test_edge_and_ties_of_a_best_are_marked(capsys):
    rows = [("unpruned", lr, 1e-4, 0, top1) for lr, top1 in ((0.01, 93.0), (0.1, 93.0), (1.0, 9.0))]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    show_full(Comparison.of(sweeps.read(table)))
    text = capsys.readouterr().out
    assert "93.00^ =1" in row(text, "Landscapes", "unpruned")
    assert "\n= number of further settings" in text


def test_networks_without_numbers_have_dashes(capsys):
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-3, 0, math.nan)]
    rows.append(("zero", 0.1, 1e-4, 0, 0.0))
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    show_full(Comparison.of(sweeps.read(table)))
    text = capsys.readouterr().out
    assert not re.search(r"\b(None|nan)\b", text)
    assert "inconclusive" in text and "no interval" in text


def test_one_network_alone_has_no_verdict(capsys):
    rows = [("unpruned", lr, 1e-4, 0, 93.0) for lr in (0.01, 0.1)]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    show_full(Comparison.of(sweeps.read(table)))
    text = capsys.readouterr().out
    assert "no verdict: add the table of a pruned one" in text and "Landscapes" in text
