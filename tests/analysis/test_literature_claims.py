"""Claims of others than the thesis, on studies of which the answer is known."""

import numpy as np
import pytest
from claimed import bowl, study

from hpstudy.analysis.thesis_claims import VERDICTS, decide, measure
from hpstudy.analysis.thesis_data import literature

pytestmark = pytest.mark.usefixtures("few_draws")

AGREES, DIFFERS, INCONCLUSIVE = VERDICTS


def others(results, section):
    """Variant -> verdict and number of a claim of `hpstudy/published/literature.csv`."""
    (claim,) = [claim for claim in literature().itertuples() if claim.section == section]
    return {
        one.variant: (decide(one.value, claim.low, claim.high), one.value.estimate)
        for one in measure(results, claim)
    }


@pytest.mark.slow
def test_product_of_the_good_settings_is_kept_where_they_move_along_the_band():
    along = study(uniform_06=bowl(lr=0.25, weight_decay=-0.25))
    verdict, moved = others(along, "product")["uniform-0.6"]
    assert verdict == AGREES and moved == pytest.approx(0, abs=0.1)
    assert others(along, "higher")["uniform-0.6"][0] == AGREES
    assert others(along, "lower")["uniform-0.6"][0] == DIFFERS
    across = study(uniform_06=bowl(lr=0.25, weight_decay=0.25))
    verdict, moved = others(across, "product")["uniform-0.6"]
    assert verdict == DIFFERS and moved == pytest.approx(0.5, abs=0.1)


def test_smaller_rate_costs_what_the_surface_says_there():
    # 0.3 decades below the best along the learning rate: 5 * 0.3 ** 2 points for this bowl.
    verdict, lost = others(study(uniform_06=bowl()), "half")["uniform-0.6"]
    assert verdict == INCONCLUSIVE or lost > 0
    assert lost == pytest.approx(5 * np.log10(2) ** 2, abs=0.05)
    verdict, lost = others(study(uniform_06=bowl()), "fifth")["uniform-0.6"]
    assert verdict == DIFFERS and lost == pytest.approx(5 * np.log10(5) ** 2, abs=0.1)


def test_rate_far_beyond_the_grid_has_no_loss():
    # The dense optimum lies at the least learning rate, a fifth of it 0.7 decades below.
    low = study(unpruned=bowl(lr=-1.0), uniform_06=bowl())
    verdict, lost = others(low, "fifth")["uniform-0.6"]
    assert verdict == INCONCLUSIVE and np.isnan(lost)
