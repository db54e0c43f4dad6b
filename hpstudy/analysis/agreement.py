"""What the thesis found, and whether studies agree: decided by intervals."""

from collections.abc import Iterable, Iterator
from itertools import combinations

import pandas as pd

from hpstudy.analysis.region_claims import FAMILIES, NEGLIGIBLE, REGION_CLAIMS, families
from hpstudy.analysis.risk_claims import RISK_CLAIMS
from hpstudy.analysis.shift import Shift
from hpstudy.analysis.study_results import StudyResults
from hpstudy.analysis.thesis_claims import AGREES, DIFFERS, INCONCLUSIVE, Answer, Claim

COLUMNS = ["claim", "section", "of", "study", *Answer._fields]
VERDICTS = [AGREES, DIFFERS, INCONCLUSIVE]


def agreement(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """Claims of the thesis beside what studies found.

    A claim that the thesis makes of one network only (the outlier of ResNet-56, the shorter regions
    and the methods' order of MobileNetV2, the risk by method of ResNet-56) is asked of this network
    only. What it claims of all of its networks is asked of others too, and `of` says so.

    Returns
    -------
    DataFrame of shape (n_findings, 8)
        claim, section; of: the network that the claim is made of, marked "(relative)" where the
        study's network is a shallower one of its family, and "(another network)" where it is none;
        study, and the columns of `Answer`. A claim agrees or differs only where a 95 % interval
        decides it; otherwise it is inconclusive.

    References
    ----------
    Thesis, sections 4.1.1, 4.1.2 and 4.2.
    """
    studies = list(studies)
    rows = [*_rows(studies, REGION_CLAIMS), *_between(studies), *_rows(studies, RISK_CLAIMS)]
    return pd.DataFrame(rows, columns=COLUMNS)


def by_claim(studies: Iterable[StudyResults]) -> pd.DataFrame:
    """How many networks agree with each claim of the thesis.

    Returns
    -------
    DataFrame of shape (n, 6)
        claim, section and of, as in `agreement`, and by verdict the number of its rows.
    """
    found = agreement(studies)
    keys = ["claim", "section", "of"]
    counts = found.groupby([*keys, "verdict"], sort=False).size().unstack(fill_value=0)
    order = pd.MultiIndex.from_frame(found[keys].drop_duplicates())
    counts = counts.reindex(index=order, columns=VERDICTS, fill_value=0)
    return counts.rename_axis(columns=None).reset_index()


def summary(studies: Iterable[StudyResults]) -> str:
    """How often studies agree with the thesis: "agrees in 5 cases, differs in 0 and ..."."""
    counts = agreement(studies)["verdict"].value_counts()
    agrees, differs, inconclusive = (counts.get(verdict, 0) for verdict in VERDICTS)
    cases = "case" if agrees == 1 else "cases"
    return f"agrees in {agrees} {cases}, differs in {differs} and is inconclusive in {inconclusive}"


def beyond(shift: Shift) -> bool:
    """Whether a shift is more than noise, and more than what the thesis calls negligible."""
    sides = shift.first, shift.second
    return shift.told and any(max(one.low, -one.high) > NEGLIGIBLE for one in sides)


def _rows(studies: list[StudyResults], claims: Iterable[Claim]) -> Iterator[tuple]:
    for claim in claims:
        for results in studies:
            if (of := claim.of(results.model)) is not None:
                for found in claim.ask(results):
                    yield claim.text, claim.section, of, results.name, *found


def _between(studies: list[StudyResults]) -> Iterator[tuple]:
    for one, other in combinations(studies, 2):
        if (asked := families(one, other)) is not None:
            of, found = asked
            yield FAMILIES, "4.1.1", of, f"{one.name} and {other.name}", *found
