"""`hpstudy compare --rules`, and the table of the book."""

import json

from badinput import run_command
from readme_table import ROOT, STUDIES

from hpstudy.analysis.rules import RULES
from hpstudy.report.rule_tables import TITLES, rule_counts, rule_table

TABLE = ROOT / "book" / "results" / "cpu-resnet20.csv"


def test_rules_are_printed_and_are_in_json():
    status, text, _ = run_command("compare", TABLE, "--rules")
    assert status == 0 and "lr ×0.5, wd ×2" in text and max(map(len, text.splitlines())) <= 100
    said = json.loads(run_command("compare", TABLE, "--rules", "--json")[1])
    assert list(said["rules"]["uniform-0.2"]) == list(RULES) == list(TITLES)
    estimate, low, high = said["rules"]["uniform-0.2"]["half"]
    assert 0 <= low <= estimate <= high and f"{estimate:.2f}" in text
    # A tenth of the rate lies outside this grid.
    assert said["rules"]["uniform-0.2"]["tenth"] is None


def test_table_of_the_book_has_a_row_a_network():
    table = rule_table([STUDIES["cpu-resnet20"]])
    assert len(table) == 4 and list(table.columns) == list(TITLES.values())
    assert (table["learning rate ×0.1"] == "–").all()


def test_networks_are_counted_by_what_each_rule_loses():
    counts = rule_counts([STUDIES["cpu-resnet20"]])
    assert list(counts.index) == list(TITLES.values()) and (counts.sum(axis=1) == 4).all()
    assert counts.loc["learning rate ×0.1", "outside the grid"] == 4
