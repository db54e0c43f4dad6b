"""Every bad input is refused in one sentence before any file changes."""

import json
from collections import Counter
from pathlib import Path

import pytest
from badinput import all_cases, refusal, row

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.what}" for case in CASES])
def test_bad_input_is_refused_in_one_sentence_and_changes_no_file(case, tmp_path):
    sentence, unchanged = refusal(case, tmp_path)
    assert sentence == case.sentence
    assert sentence.isprintable() and sentence.endswith(".") and unchanged


def test_every_kind_of_input_has_five_cases_or_more():
    kinds = Counter(case.kind for case in CASES)
    assert min(kinds.values()) >= 5 and len(CASES) >= 80
    assert set(kinds) == {
        "params file",
        "papermill parameter",
        "command line",
        "table of runs",
        "published results",
        "data folder",
        "network",
        "data set",
        "training command",
        "weights",
        "store",
    }
    assert len({(case.kind, case.what) for case in CASES}) == len(CASES)


def test_book_shows_every_case():
    path = Path(__file__).parents[2] / "book" / "measurements" / "refusals.json"
    assert json.loads(path.read_text("utf-8")) == [row(case, case.sentence) for case in CASES]
