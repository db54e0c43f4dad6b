"""Which studies stand beside the thesis's networks, with and without one of ResNet-50."""

import pytest
import synthetic

from hpstudy.analysis.study_results import StudyResults
from hpstudy.report.tables import beside, counterpart, initial_grid
from hpstudy.report.thesis_tables import best_table, prior_table


def study(name, model, seeds=1):
    table = synthetic.table(name, "resnet56", points=3, seeds=seeds)
    record = synthetic.record(name, "resnet56", points=3, seeds=seeds)
    record["study"]["model"] = model
    return StudyResults(name, table, record)


def test_largest_study_of_the_family_stands_for_a_network(refused):
    small, large = study("a", "resnet56"), study("b", "resnet20", seeds=2)
    assert counterpart([small, large], "resnet56") is large
    assert counterpart([small, large], "resnet50", "resnet56") is large
    fifty = study("c", "resnet50")
    assert counterpart([small, large, fifty], "resnet50", "resnet56") is fifty
    words = refused(counterpart, [small, large], "resnet50")
    assert words == "no study of ResNet-50 has been published yet."


def test_small_studies_stand_beside_only_for_a_network_without_a_large_one():
    whole = synthetic.table("large", "resnet56")
    large = StudyResults("large", whole, synthetic.record("large", "resnet56"))
    quick, fifty = study("quick", "resnet20"), study("fifty", "resnet50")
    assert [one.name for one in beside([quick, large, fifty])] == ["large", "fifty"]


def test_grid_before_it_grew_comes_from_the_params_file():
    initial = initial_grid(study("cpu-resnet20", "resnet20"))
    assert {axis: len(values) for axis, values in initial.items()} == {"lr": 5, "weight_decay": 5}
    assert initial_grid(study("my-own-study", "resnet20")) == {}


@pytest.mark.slow
def test_top5_of_a_study_stands_beside_the_thesis(refused):
    one = study("fifty", "resnet50")
    assert best_table([one])["This book", "top-5 (%)"].isna().all()
    one.table["top5"] = 99.0
    best = best_table([StudyResults("fifty", one.table, one.record)])
    assert best["This book", "top-5 (%)"].tolist() == [99.0] * 5
    assert best["Thesis", "top-5 (%)"].tolist()[0] == 92.84
    prior = prior_table([StudyResults("fifty", one.table, one.record)])
    assert prior["Thesis", "top-5 (%)"].item() == 92.608
    assert prior["This book", "top-5 (%)"].item() == pytest.approx(99.0, nan_ok=True)
