"""Figures of a retuning hold its probabilities, its runs and what comes next."""

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.retune import replay
from hpstudy.plots import plot_answers, plot_calibration, plot_guesses
from hpstudy.plots.retuning import answers_data

RATES, DECAYS = 10 ** np.linspace(-2, -1, 5), 10 ** np.linspace(-4, -2, 3)


@pytest.fixture(scope="module")
def steps():
    rows = [
        (variant, lr, decay, 0, 80 - 8 * (np.log10(lr) + 1.5) ** 2 - (np.log10(decay) + 3) ** 2)
        for variant in ("unpruned", "pruned")
        for lr in RATES
        for decay in DECAYS
    ]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    found = landscapes(table)
    return replay(found["unpruned"], found["pruned"], budget=6)


def test_lines_are_the_probabilities_of_each_question(steps):
    frame = answers_data(steps)
    assert set(frame["question"]) == {"both", "lr", "weight_decay"}
    assert len(frame) == 3 * len(steps)
    figure = plot_answers(frame)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert names == ["both", "learning rate", "weight decay"]
    both = frame[frame["question"] == "both"]
    assert list(figure.data[0].y) == pytest.approx(both["probability"].tolist(), abs=1e-3)
    sizes = np.array(figure.data[0].marker.size) > 5
    assert (sizes == (both["answer"] != "inconclusive").to_numpy()).all()


def test_cells_are_settings_with_their_runs_and_the_next_one(steps):
    step = steps[2]
    figure = plot_guesses([steps[0], step])
    heats = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len(heats) == 2 and np.shape(heats[1].z) == (5, 3)
    assert np.sum(np.array(heats[1].z, float)) == pytest.approx(
        step.settings["good"].sum(), abs=0.01
    )
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    runs = [of for of in dots if of.marker.symbol == "circle" and of.x[0] is not None]
    assert sum(len(trace.x) for trace in runs) == (step.settings["runs"] > 0).sum()


def test_calibration_is_drawn_beside_the_diagonal():
    frame = pd.DataFrame({"question": ["both"] * 2, "said": [0.1, 0.9], "keep": [0.2, 0.8]})
    figure = plot_calibration(frame.assign(looks=[10, 20]))
    assert list(figure.data[1].x) == [0.1, 0.9] and list(figure.data[1].y) == [0.2, 0.8]
