"""What the tests of the analysis share."""

import pytest


@pytest.fixture(scope="module")
def few_draws():
    """A fifth of the draws, for what is far from its limits."""
    from hpstudy.analysis import shift, study_analysis

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_analysis, "DRAWS", 2000)
        patch.setattr(shift, "DRAWS", 2000)
        yield


@pytest.fixture
def uneven():
    """A band on 6 x 6 points, none of them deep, some of which were run more often."""
    import numpy as np
    from ridges import decades, measured, ridge

    random = np.random.default_rng(1)
    logs = decades(6, 0.2)
    seeds = random.integers(1, 4, len(logs))
    values = ridge(logs) + 0.3 * random.standard_normal(len(logs)) / np.sqrt(seeds)
    return measured(logs, values, seeds), logs
