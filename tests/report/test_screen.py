"""`hpstudy compare` on one screen, for tables that people have."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sweeps
import synthetic

from hpstudy.analysis.comparison import Comparison
from hpstudy.analysis.run_tables import read_runs
from hpstudy.report.screen import HEIGHT, show_screen
from hpstudy.report.terminal import WIDTH

RESULTS = sorted((synthetic.REPOSITORY / "book" / "results").glob("*.csv"))


def screen(capsys, runs, roi=None):
    show_screen(Comparison.of(runs, roi))
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= HEIGHT and max(map(len, text.splitlines())) <= WIDTH
    return text


@pytest.mark.slow
@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_published_tables_fit_a_screen_with_a_verdict_on_every_network(path, capsys):
    text = screen(capsys, read_runs(path), 2.0)
    names = set(pd.read_csv(path)["variant"]) - {"unpruned"}
    assert sum(text.count(title) for title in ("Uniform,", "Non-uniform,")) == len(names)
    assert "\x1b" not in text and "--full" in text


def generated(tmp_path, number=2):
    """Networks over one grid of 25 settings, all best at one place; their names are long."""
    logs, generator = sweeps.square(5), np.random.default_rng(1)
    truth = sweeps.parabola(logs, 0.0, 2.0)
    names = [f"network of some name, number {k}" for k in range(number)]
    tables = [sweeps.sweep(name, logs, truth, 0.1, generator) for name in names]
    path = sweeps.save(pd.concat(tables), tmp_path / "runs.csv")
    return read_runs(path, dense="network of some name, number 0")


@pytest.mark.slow
def test_many_networks_are_cut_and_counted(tmp_path, capsys):
    text = screen(capsys, generated(tmp_path, 30))
    assert "more networks: --full shows all 29" in text


def test_less_is_better_and_a_single_axis_fit_too(tmp_path, capsys):
    rows = [
        (name, lr, round(0.4 + 0.1 * abs(lr - best), 4))
        for name, best in (("dense", 0.1), ("half", 0.3))
        for lr in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    ]
    path = Path(tmp_path) / "losses.csv"
    pd.DataFrame(rows, columns=["model", "lr", "val_loss"]).to_csv(path, index=False)
    text = screen(capsys, read_runs(path, goal="minimize"), 0.02)
    assert "loss of keeping, val_" in text and "weight decay" not in text


def test_one_network_has_no_verdict(tmp_path, capsys):
    assert "no verdict" in screen(capsys, generated(tmp_path, 1))


@pytest.mark.slow
def test_signs_are_ascii_where_the_output_is(monkeypatch, capsys):
    import sys

    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    show_screen(Comparison.of(read_runs(RESULTS[1]), 2.0))
    assert capsys.readouterr().out.isascii()


@pytest.mark.slow
def test_colours_are_for_terminals_and_not_where_they_are_unwanted(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    show_screen(Comparison.of(read_runs(RESULTS[1]), 2.0))
    assert "\x1b[1;" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    show_screen(Comparison.of(read_runs(RESULTS[1]), 2.0))
    assert "38;5" not in capsys.readouterr().out
