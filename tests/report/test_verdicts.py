"""The verdict table: what it says, to the eye and to a screen reader."""

from xml.etree import ElementTree

import judged
import pytest
import synthetic

from hpstudy.analysis.intervals import NO_LOSS, Loss
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.verdict import VerdictGroup
from hpstudy.plots.labels import Metric
from hpstudy.report.verdicts import tally, verdict_groups, verdict_html

KEPT, MOVED = (
    judged.verdict(),
    judged.verdict("nonuniform-0.2", "retune", lr="retune", weight_decay="keep"),
)


def parsed(*groups, **options):
    return ElementTree.fromstring(verdict_html(groups, **options))


def words(element):
    """Text as a screen reader gets it."""
    return " ".join("".join(element.itertext()).split())


def networks(page):
    return [row for row in page.iter("tr") if row.get("class", "").startswith("net")]


def test_row_says_each_verdict_in_a_word_and_a_sign():
    page = parsed(VerdictGroup("", [KEPT, MOVED]))
    first, second = networks(page)
    assert words(first) == "Uniform, 60 % keep inconclusive keep 0.10 at most 0.30 7 of 8 124"
    assert words(second).startswith(
        "Non-uniform, 20 % retune keep retune 0.90 at least 0.60, at most"
    )
    signs = {
        words(pill): pill.find("svg/path").get("d")
        for pill in page.iter("span")
        if pill.get("class", "").startswith("hp-pill")
    }
    assert len(signs) == len(set(signs.values())) == 3


def test_cells_have_headers_of_row_column_and_group():
    group = VerdictGroup("ResNet-20", [KEPT], "568 runs", "studies/a.html")
    page = parsed(group, group)
    heads = ["col"] * 7 + ["row"] + ["rowgroup", "row"] * 2
    assert [th.get("scope") for th in page.iter("th")] == heads
    assert page.find(".//a").get("href") == "studies/a.html"
    assert [len(row) for row in networks(page)] == [7, 7]
    # A page of one study is headed by it.
    assert parsed(group).find(".//a") is None


def test_networks_of_several_groups_are_counted():
    groups = [VerdictGroup("one", [KEPT, KEPT]), VerdictGroup("two", [MOVED])]
    assert tally(groups)["lr"] == {"keep": 2, "retune": 1}
    (row,) = (row for row in parsed(*groups).iter("tr") if row.get("class") == "all")
    assert (
        words(row) == "all 3 keep 2 of 3 1 retune inconclusive 2 of 3 1 keep keep 2 of 3 1 retune"
    )


def test_marks_are_explained_where_they_occur():
    ended = judged.verdict(at_end=("unpruned",))
    assert "end of the grid" in words(parsed(VerdictGroup("", [ended])))
    assert "end of the grid" not in words(parsed(VerdictGroup("", [KEPT])))


@pytest.mark.parametrize(
    ("loss", "bounds"),
    [(Loss(0.1, 0.0, 0.3), 1), (Loss(0.9, 0.6, 1.2), 2), (Loss(0.9, 0.6, 3.0), 2)],
)
def test_bar_has_an_end_for_each_bound_and_stays_on_its_scale(loss, bounds):
    (bar,) = parsed(VerdictGroup("", [judged.verdict(loss=loss)])).iterfind(
        ".//svg[@class='hp-bar keep']"
    )
    line = next(path.get("d") for path in bar if path.get("class") == "line")
    assert line.count("M") + line.count("m") == 1 + bounds
    assert ("l5 4l-5 4" in line) == (loss.at_most > 2.0)
    assert float(line.rpartition("H")[2].partition("M")[0].partition("m")[0]) < float(
        bar.get("width")
    )


def test_table_of_one_hyperparameter_and_another_metric_is_in_that_metric():
    loss = Loss(0.0321, 0.0, 0.05)
    one = judged.verdict("<b>thin</b>", loss=loss, tolerable=0.02, lr="keep")
    page = parsed(VerdictGroup("", [one]), metric=Metric("val_loss", -1, False), detailed=True)
    head = words(page.find(".//thead"))
    assert "val_loss 0 0.02 0.08" in head and "points" not in head and "weight decay" not in head
    assert (
        words(networks(page)[0])
        == "<b>thin</b> keep ×1.0 (0.79 to 1.4) keep 0.0321 at most 0.05 7 of 8 124"
    )


def test_network_without_an_interval_has_a_dash_and_no_bar():
    page = parsed(VerdictGroup("", [judged.verdict(both="inconclusive", loss=NO_LOSS)]))
    (row,) = networks(page)
    assert "inconclusive – 7 of 8" in words(row)


def test_studies_are_groups_with_their_size_and_page():
    table = synthetic.table("synthetic", "resnet56", points=5)
    table = table[table["variant"].isin(["unpruned", "uniform-0.6"])]
    study = StudyResults("synthetic", table, synthetic.record("synthetic", "resnet56"))
    dense = StudyResults("dense", table[table["variant"] == "unpruned"], study.record)
    (group,) = verdict_groups([study, dense])
    assert group.title == "ResNet-56 on Fashion-MNIST (8×8)"
    assert group.note == "2,000 images, 5 epochs, 100 runs"
    assert group.link == "studies/synthetic.html"
    (row,) = group.verdicts
    assert (row.variant, row.threshold, row.runs) == ("uniform-0.6", 1.0, 50)
