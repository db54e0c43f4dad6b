"""`hpstudy transfer`, and the tables of its page."""

import json

from badinput import run_command
from readme_table import ROOT, STUDIES

from hpstudy.analysis.timescale import RULES, timescales
from hpstudy.report.timescale_tables import TITLES, spread_table, timescale_table

TABLE = ROOT / "book" / "results" / "cpu-resnet20.csv"


def test_transfer_says_the_product_by_each_rule_and_how_well_it_held():
    words = ("transfer", TABLE, "--epochs", 8, "--batch-size", 64)
    said = json.loads(run_command(*words, "--json")[1])
    dense = said["networks"]["unpruned"]
    # The same schedule leaves the product as it is.
    assert all(abs(dense[rule] / dense["now"] - 1) < 1e-9 for rule in RULES)
    assert said["dense_networks"] >= 4 and set(said["spread"]) == set(RULES)
    text = run_command("transfer", TABLE, "--epochs", 180, "--batch-size", 128)[1]
    assert "from 8 epochs in batches of 64 to 180 in batches of 128" in text
    assert all(title in text for title in TITLES.values())


def test_a_table_without_a_record_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text(TABLE.read_text())
    status, _, errors = run_command(
        *("transfer", tmp_path / "mine.csv", "--epochs", 8, "--batch-size", 64)
    )
    assert status == 2 and "mine" in errors


def test_tables_of_the_page_have_a_row_a_network_and_a_rule():
    frame = timescales([STUDIES["cpu-resnet20"]])
    table = timescale_table(frame)
    assert len(table) == len(frame) and table["epochs"].isin([8, 90, 180]).all()
    assert spread_table(frame)["networks"].tolist() == [4] * 3
