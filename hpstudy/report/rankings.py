"""What each way to rank filters leaves of one and the same trained network."""

from collections.abc import Iterable

import pandas as pd

from hpstudy.analysis.study_results import StudyResults
from hpstudy.config.study import CRITERIA
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.networks.pruning import Scores, choose_channels


def rankings(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Widths of each network that was pruned non-uniformly, by either ranking of its filters.

    Returns
    -------
    DataFrame of shape (n_nonuniform x 2, 6)
        study, model, variant, criterion ("l1-normalised" compares norms over their layer's mean,
        "l1" raw ones), channels (that each pruned layer keeps, in their order; blank where this
        ranking does not reach the share of FLOPs) and single (layers that keep one). Studies whose
        records hold no ranking have no rows.

    References
    ----------
    Thesis, section 3.2.3, which does not say by which of them it pruned.
    """
    rows = []
    for one in studies:
        size, ranking = one.record["study"]["data"]["image_size"], one.record.get("ranking")
        for variant, made in one.record["certificates"].items() if ranking else ():
            if made["method"] != "nonuniform":
                continue
            network = PrunableNetwork(one.model, made["classes"], size)
            for criterion in reversed(CRITERIA):
                left = _left(network, ranking["scores"], made["target"], criterion)
                rows.append(
                    {
                        "study": one.name,
                        "model": one.model,
                        "variant": variant,
                        "criterion": criterion,
                        "channels": ", ".join(map(str, left)),
                        "single": left.count(1),
                    }
                )
    columns = ["study", "model", "variant", "criterion", "channels", "single"]
    return pd.DataFrame(rows, columns=columns)


def _left(network: PrunableNetwork, scores: Scores, target: float, criterion: str) -> list[int]:
    try:
        kept = choose_channels(network.cost, scores, "nonuniform", target, criterion)
    except HpstudyError:
        return []
    return [len(channels) for channels in kept.values()]
