"""Numbers, intervals and tables as text."""

import math

import pandas as pd
import pytest

from hpstudy.analysis.intervals import Interval, Loss
from hpstudy.report.notebook import (
    cell_text,
    html_table,
    interval_text,
    number_text,
    show,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (True, "yes"),
        (1200, "1,200"),
        (-1.234, "−1.23"),
        (-0.001, "0.00"),
        ("keep*", "keep*"),
        (Loss(0.214, 0.0, 0.983), "0.21 (≤ 0.98)"),
        (Loss(0.76, 0.31, 1.27), "0.76 (≥ 0.31, ≤ 1.27)"),
        (Interval(0.1734, -0.001, 0.861), "0.17 (0.00 to 0.86)"),
    ],
)
def test_cell_has_the_format_of_its_type(value, text):
    assert cell_text(value) == text


def test_unknown_interval_and_loss_are_a_dash():
    unknown = [math.nan] * 3
    texts = interval_text(Interval(*unknown)), interval_text(Loss(*unknown)), number_text(math.nan)
    assert texts == ("–",) * 3


def test_thesis_and_settings_keep_their_own_digits():
    columns = pd.MultiIndex.from_tuples([("This book", "learning rate"), ("Thesis", "length")])
    html = html_table(pd.DataFrame([[0.0031623, 2.93], [1e-05, -3.1]], columns=columns))
    cells = (">0.00316<", ">2.93<", ">1e-05<", ">−3.1<")
    assert all(cell in html for cell in cells)


def test_cells_and_labels_are_escaped():
    index = pd.Index(["<b>row</b>"], name="layer")
    html = html_table(pd.DataFrame({"<i>head</i>": ["<conv>"]}, index=index), "<name>")
    assert not {"<b>", "<i>", "<conv>", "<name>"} & set(html.split(">"))
    assert "&lt;conv&gt;" in html and "&lt;i&gt;" in html and "&lt;b&gt;" in html


def test_equal_rows_and_columns_are_shown():
    frame = pd.DataFrame([[1, 2], [3, 4]], index=pd.Index(["a", "a"], name="variant"))
    frame.columns = ["same", "same"]
    assert html_table(frame).count("<td") == 4


def test_index_of_one_study_and_index_without_a_name_are_left_out():
    frame = pd.DataFrame({"study": ["s", "s"], "variant": ["a", "b"], "n": [1, 2]})
    html = html_table(frame.set_index(["study", "variant"]))
    assert ">s<" not in html and ">a<" in html
    assert html_table(frame[["n"]]).count('scope="row"') == 0


def test_several_studies_stand_above_their_rows():
    frame = pd.DataFrame({"study": ["s", "s", "t"], "variant": ["a", "b", "a"], "n": [1, 2, 3]})
    html = html_table(frame.set_index(["study", "variant"]))
    assert [html.count(f'scope="rowgroup">{study}<') for study in "st"] == [1, 1]
    assert html.count("<tbody>") == 2 and html.count('<th scope="row" class="">a</th>') == 2


def test_repeated_label_is_read_out_but_not_shown():
    frame = pd.DataFrame({"variant": ["a", "a", "b"], "within": ["1", "2", "1"], "n": [1, 2, 3]})
    html = html_table(frame.set_index(["variant", "within"]))
    assert html.count('<span class="hp-sr">a</span>') == 1 and html.count(">a<") == 2
    assert html.count(">1</th>") == 2 and 'hp-sr">1' not in html


def test_intervals_break_before_their_bracket_only():
    frame = pd.DataFrame({"a": [Interval(0.17, 0.0, 0.86)], "b": ["×1.1 (0.5 to 2)"]})
    html = html_table(frame)
    assert 'class="number interval">0.17 (0.00\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}0.86)<' in html
    assert ">×1.1 (0.5\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}2)<" in html


@pytest.mark.parametrize("caption", ["", "What it is."])
def test_folded_content_has_its_label(caption, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda one, **options: shown.append(one))
    show(pd.DataFrame({"a": [1]}), caption, folded="More <numbers>")
    (bundle,) = shown
    assert "<summary>More &lt;numbers&gt;</summary>" in bundle["text/html"]
    assert bundle["text/html"].index("</summary>") < bundle["text/html"].index("<table>")
    assert caption in bundle["text/html"]
