"""Landscapes in a terminal, while a sweep goes on."""

from types import SimpleNamespace

import pandas as pd

from hpstudy.report.screen import draw_landscapes


def plan(*rows):
    columns = ["variant", "lr", "weight_decay", "seed", "top1"]
    table = pd.DataFrame(rows, columns=columns)
    study = SimpleNamespace(name="mine", roi=(1.0, 2.0))
    facts = {"metric": "top1", "axes": ("lr", "weight_decay"), "goal": "maximize"}
    return SimpleNamespace(table=lambda: table, study=study, **facts)


def test_best_and_good_settings_are_marked_and_missing_ones_are_dashes(capsys):
    draw_landscapes(
        plan(
            ("unpruned", 0.1, 0.01, 0, 90.0),
            ("unpruned", 0.1, 0.02, 0, 88.0),
            ("unpruned", 0.2, 0.01, 0, 87.9),
            ("uniform-0.2", 0.1, 0.01, 0, 70.0),
            ("uniform-0.2", 0.1, 0.02, 0, 60.0),
        )
    )
    said = capsys.readouterr().err
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0].startswith("mine: top-1 accuracy")
    assert "+ within 2 of the best" in said
    assert "Dense Uniform, 20 %" in lines
    # Larger learning rates are higher up.
    assert lines[-2:] == ["0.2 87.9 - 0.2 - -", "0.1 90.0* 88.0+ 0.1 70.0* 60.0"]


def test_nothing_is_drawn_before_the_dense_network_has_a_run(capsys):
    draw_landscapes(plan())
    draw_landscapes(plan(("uniform-0.2", 0.1, 0.01, 0, 70.0)))
    assert capsys.readouterr().err == ""
