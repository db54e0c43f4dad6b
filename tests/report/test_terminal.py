"""Tables of `hpstudy compare` in a terminal: they hold the numbers of the result."""

import copy
import math
import re

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis.comparison import compare
from hpstudy.report.full_tables import WIDTH, format_text


@pytest.fixture(scope="module")
def result():
    """Two pruned networks whose optima lie half a decade from the dense one's, two seeds each."""
    generator, logs = np.random.default_rng(1), sweeps.square(7)
    tables = [
        sweeps.sweep(name, logs, sweeps.parabola(logs, centre, 2.0), 0.1, generator, seeds=2)
        for name, centre in (("unpruned", 0.0), ("thin", 0.5), ("thinner", 0.5))
    ]
    return compare(sweeps.read(pd.concat(tables)))


def section(text, title):
    """Lines of one table, its heading excepted."""
    lines = text.split("\n\n")
    (table,) = (part for part in lines if part.startswith(title))
    return table.splitlines()[1:]


def row(text, title, name):
    """The two lines of a network in a table, as one."""
    lines = section(text, title)
    first = next(k for k, line in enumerate(lines) if line.startswith(f"{name} "))
    return " ".join(f"{lines[first]} {lines[first + 1]}".split())


@pytest.mark.slow
def test_lines_fit_and_verdicts_come_first(result):
    text = format_text(result)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.index("RETUNE") < text.index("Landscapes") < text.index("Shift from")
    assert not re.search(r"\b(None|nan)\b", text)


def test_verdict_stands_with_its_factor_and_its_loss(result):
    verdicts = row(format_text(result), "May the dense", "thin")
    advice = result["advice"]["thin"]
    estimate, low, high = (f"{10**end:.2g}" for end in advice["shift"]["lr"])
    assert verdicts.count("RETUNE") == 3 and f"{estimate} ({low} to {high})" in verdicts
    loss, low, high = (f"{value:.2f}" for value in advice["loss"])
    assert f"{loss} (≥ {low}, ≤ {high})" in verdicts
    assert f"≤ {advice['second_best_loss'][2]:.2f}" in verdicts


def test_all_pruned_networks_together_have_a_row(result):
    pooled = row(format_text(result), "May the dense", "all 2")
    assert f"{10 ** result['pooled']['shift']['lr'][0]:.2g} (" in pooled


def test_best_region_and_noise_of_a_landscape_are_shown(result):
    text = format_text(result)
    dense = result["landscapes"]["unpruned"]
    best = row(text, "Landscapes", "unpruned")
    for part in (f"{dense['best']:.2f}", f"{dense['best_at']['lr']:.3g}", "98 ", "at 49 settings"):
        assert part in best
    assert f"{dense['noise']['replicates_std']:.2f}, " in best
    region = row(text, "Regions", "unpruned")
    assert f"{dense['roi']['0.5']['ellipse']['length']:.2f} " in region
    low, high = dense["roi"]["0.5"]["intervals"]["length"][1:]
    assert f"{low:.2f} to {high:.2f}" in region


def test_risk_and_shift_are_shown(result):
    text = format_text(result)
    risk, shift = result["risk"]["thin"], result["movement"]["thin"]["1.0"]
    assert f"{risk['mean']:.3f} ± {risk['std']:.3f}" in row(text, "Risk", "thin")
    shifts = "\n".join(section(text, "Shift"))
    low, high = shift["shift_interval"][1:]
    assert f"{low:.2f} to {high:.2f}" in shifts and f"{shift['kendall']:.2f}" in shifts


@pytest.mark.parametrize(
    "mark, change",
    [
        ("*", {"at_grid_end": {"lr": ["thin"], "weight_decay": []}}),
        ("^", {"best_at_grid_end": True}),
        ("~", {"interpolated": True}),
    ],
)
def test_mark_of_a_verdict_has_a_note(mark, change, result):
    plain, marked = copy.deepcopy(result), copy.deepcopy(result)
    calm = {"at_grid_end": {"lr": [], "weight_decay": []}, "best_at_grid_end": False}
    for name in plain["advice"]:
        plain["advice"][name] |= calm
        marked["advice"][name] |= calm
    for landscape in (*plain["landscapes"].values(), *marked["landscapes"].values()):
        landscape["on_edge"] = False
    marked["advice"]["thin"] |= change
    assert f"RETUNE{mark}" in format_text(marked) and f"\n{mark} " in format_text(marked)
    assert mark not in format_text(plain)


def test_edge_and_ties_of_a_best_are_marked(result):
    marked = copy.deepcopy(result)
    marked["landscapes"]["thin"] |= {"on_edge": True, "ties": 3}
    text = format_text(marked)
    assert "^ =3" in row(text, "Landscapes", "thin") and "\n= number of further settings" in text


def test_networks_without_numbers_have_blank_cells():
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-3, 0, math.nan)]
    rows.append(("zero", 0.1, 1e-4, 0, 0.0))
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    text = format_text(compare(sweeps.read(table)))
    assert not re.search(r"\b(None|nan)\b", text)
    assert "INCONCLUSIVE" in text and "no interval" in text


def test_one_network_alone_has_no_verdict():
    rows = [("unpruned", lr, 1e-4, 0, 93.0) for lr in (0.01, 0.1)]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    text = format_text(compare(sweeps.read(table)))
    assert "no verdict: add the table of a pruned one" in text and "Landscapes" in text
