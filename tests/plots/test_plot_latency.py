"""Time against FLOPs, and accuracy against both: what is drawn of the measurements."""

import pytest
import synthetic

from hpstudy.analysis.study_results import read_results
from hpstudy.plots import plot_latency, plot_pareto
from hpstudy.plots.latency import latency_data
from hpstudy.plots.pareto import pareto_data
from hpstudy.report.record_tables import latency_table


def row(name, target, step, reached=None, ratio=None):
    asked = {"network": name, "pixels": 224, "dense_seconds": 2e-3, "flops_ratio": target}
    asked |= {"round_to": step, "lowest": 0.25}
    if ratio is None:
        return asked
    return asked | {"reached": reached, "ratio": ratio, "low": ratio - 0.02, "high": ratio + 0.03}


ROWS = [
    row("timm:one", 0.6, None, 0.6, 1.1),
    row("timm:one", 0.6, 8, 0.59, 0.7),
    row("timm:one", 0.2, None, 0.2, 0.4),
    row("timm:one", 0.2, 8),
]


def test_dots_are_what_was_measured_and_targets_out_of_reach_are_left_out():
    frame = latency_data(ROWS)
    assert list(frame["network"]) == ["one"] * 3
    assert list(frame["flops"]) == [0.6, 0.59, 0.2]
    figure = plot_latency(frame)
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(trace.y) for trace in dots] == [[1.1, 0.4], [0.7]]
    assert list(dots[1].error_y.array) == pytest.approx([0.03])
    assert dots[0].text[0] == "one: 60% of the FLOPs, 110% (108% to 113%) of the time"
    assert figure.layout.yaxis.range[1] > 1.1


def test_table_has_a_row_a_network_and_a_dash_where_nothing_was_measured():
    (line,) = latency_table(ROWS).to_dict("records")
    assert line["dense", "ms"] == 2 and line["any widths", "60%"] == 1.1
    assert line["multiples of 8", "60%"] == 0.7
    assert line["multiples of 8", "20%"] is None


def test_front_holds_what_no_cheaper_network_beats(tmp_path, refused):
    synthetic.write(tmp_path, points=3, seeds=1, models=["resnet56"])
    (study,) = read_results([tmp_path]).values()
    names = list(study.landscapes())
    best = {name: landscape.best for name, landscape in study.landscapes().items()}
    cost = dict(zip(names, (1.0, 0.6, 0.5, 0.3, 0.2), strict=False))
    rows = [
        {"study": study.name, "variant": name, "macs": 1000 * cost[name], "ratio": cost[name] ** 2}
        | {"low": 0.9 * cost[name] ** 2, "high": 1.1 * cost[name] ** 2}
        for name in names
    ]
    frame = pareto_data([study], rows)
    assert list(frame["variant"]) == names and set(frame["study"]) == {study.heading}
    assert list(frame["flops"]) == [cost[name] for name in names]
    for name, front in zip(names, frame["flops_front"], strict=True):
        assert front == all(best[other] < best[name] for other in names if cost[other] < cost[name])
    assert list(frame["time_front"]) == list(frame["flops_front"])
    figure = plot_pareto(frame)
    assert figure.layout.meta["panels"] == 2
    drawn = [trace for trace in figure.data if trace.mode == "markers" and trace.x[0] is not None]
    assert [trace.y[0] for trace in drawn] == pytest.approx(2 * list(best.values()))
    # A study that was not measured is left out.
    other = pareto_data([study], [row | {"study": "another"} for row in rows])
    assert "no network of these studies" in refused(plot_pareto, other)
