"""Every bad input gets one clear sentence, and nothing is begun for it."""

import json
from collections import Counter
from pathlib import Path

import pytest
from badinput import all_cases, refusal, row

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.what}" for case in CASES])
def test_bad_input_gets_its_one_sentence_and_changes_no_file(case, tmp_path):
    said, unchanged = refusal(case, tmp_path)
    assert said == case.sentence
    assert said.isprintable() and said.endswith(".") and unchanged


def test_there_is_bad_input_of_every_kind():
    kinds = Counter(case.kind for case in CASES)
    assert min(kinds.values()) >= 5 and len(CASES) >= 80
    assert set(kinds) == {
        "params file",
        "papermill parameter",
        "command line",
        "table of runs",
        "published results",
        "data folder",
        "weights",
        "store",
    }
    assert len({(case.kind, case.what) for case in CASES}) == len(CASES)


def test_the_book_shows_them_all():
    shown = Path(__file__).parents[2] / "book" / "measurements" / "refusals.json"
    assert json.loads(shown.read_text("utf-8")) == [row(case, case.sentence) for case in CASES]
