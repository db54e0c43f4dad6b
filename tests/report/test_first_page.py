"""What a person wrote on the first page, against the published tables."""

import pytest
import readme_table

from hpstudy.analysis.verdict import NEGLIGIBLE
from hpstudy.report.tables import decisive
from hpstudy.report.verdicts import tally


def test_caption_of_the_pair_holds_for_the_published_tables():
    # "The good settings keep their rows, the learning rates, and spread to smaller weight decays."
    lead = next(iter(decisive(readme_table.STUDIES.values())))
    dense, *_, pruned = lead.landscapes().values()
    kept, spread = (landscape.roi(max(lead.thresholds)) for landscape in (dense, pruned))
    assert set(kept["lr"]) == set(spread["lr"])
    assert spread["weight_decay"].min() < kept["weight_decay"].min()


@pytest.mark.slow
def test_headline_and_lead_hold_for_the_published_tables():
    # If this fails, the headline and the lead of notebooks/index.ipynb must be written anew.
    groups = readme_table.published()
    assert tally(groups) == {
        # "Keep the learning rate", and in how many networks.
        "lr": {"keep": 9, "inconclusive": 1},
        # "The weight decay is inconclusive", for most; "no network clearly needs new values".
        "weight_decay": {"keep": 1, "inconclusive": 9},
        # "The loss of keeping both is inconclusive for most, too".
        "both": {"keep": 2, "inconclusive": 8},
    }
    # "or the good settings reach the end of the grid"
    rows = [row for group in groups for row in group.verdicts]
    undecided = [row for row in rows if row.axes["weight_decay"].answer == "inconclusive"]
    assert any(row.axes["weight_decay"].at_end for row in undecided)
    # "a factor of two", "half a point"
    assert round(10**NEGLIGIBLE, 2) == 2.0 and {row.tolerable for row in rows} == {0.5}
