"""Facts about a study, and the list of its networks."""

import re

import synthetic

from hpstudy.analysis.study_results import StudyResults, read_study
from hpstudy.report.study_page import facts_html, settings_html, study_facts


def test_facts_are_those_of_the_record():
    study = read_study("cpu-resnet20", ["book/results"])
    facts = {name: (value, note) for name, value, note in study_facts(study)}
    assert facts["Network"] == ("ResNet-20", "270 k parameters")
    assert facts["Images"] == ("CIFAR-10", "10,000 of 16×16")
    assert facts["Training"] == ("8 epochs", "smaller than the thesis's")
    assert (facts["Settings"][0], facts["Runs"][0]) == ("48", "568")
    assert facts["Time"] == ("7.7 hours", "CPU")


def test_unfinished_study_says_what_is_missing():
    record = synthetic.record("mine", "resnet56")
    record["record"]["missing"] = {"unpruned": 3, "uniform-0.2": 4}
    study = StudyResults("mine", synthetic.table("mine", "resnet56"), record)
    assert ("Runs", f"{len(study.table)}", "7 missing") in study_facts(study)


def test_every_pruned_network_links_to_the_page_of_its_sweep():
    study = read_study("cpu-resnet20", ["book/results"])
    links = re.findall(r'href="(.*?)">(.*?)<', settings_html(study))
    assert links[1] == ("cpu-resnet20/uniform-0.2.html", "Uniform, 20 %")
    assert (
        len(links) == 4 and ">Dense<" in settings_html(study) and ">54 k<" in settings_html(study)
    )


def test_facts_are_never_markup():
    record = synthetic.record("mine", "resnet56")
    record["study"]["data"]["name"] = record["record"]["device"] = "<b>"
    html = facts_html(StudyResults("mine", synthetic.table("mine", "resnet56"), record))
    assert "<b>" not in html and html.count("&lt;b&gt;") == 2
