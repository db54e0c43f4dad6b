"""What a run comes to, as its worker tells it; without torch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hpstudy.training.early_stopping import Verdict


class Outcome(NamedTuple):
    """What a run comes to.

    Attributes
    ----------
    row : dict
        The columns `hpstudy.storage.store.RESULT_COLUMNS`, as measured when it ended.
    ranking : dict or None
        For `hpstudy.storage.store.Store.add`.
    verdict : Verdict or None
        Why it was stopped early, if it was.
    """

    row: dict[str, Any]
    ranking: Mapping[str, Any] | None
    verdict: Verdict | None
