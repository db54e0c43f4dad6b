"""A store made again from published tables, where it is lost or was another machine's."""

import json
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError, count
from hpstudy.storage.store import Store
from hpstudy.storage.tablecheck import TableCheck
from hpstudy.training.state import RunOutcome


def restore(path: Path, store: Store) -> dict[str, Any]:
    """Put the runs of a published table into a store, so that a sweep goes on from them.

    The table is checked whole first (`hpstudy.storage.integrity`). Where its record has no ranking of filters,
    as those of earlier versions, the next sweep trains the dense network at the prior once more.
    Runs that were stopped early are left out, since the table does not say what they were stopped
    on.

    Parameters
    ----------
    path : Path
        Of the CSV file, beside which its record lies.
    store : Store

    Returns
    -------
    dict
        `table`; `runs` put into the store; `known`, that were there and stay as they were;
        `left_out`, that were stopped early.

    Raises
    ------
    HpstudyError
        If the table or its record is not there or not whole, or its runs cannot be identified,
        because its record has no fingerprint of its images.
    """
    if not path.is_file():
        raise HpstudyError(f"there is no table {path}")
    checked = TableCheck(path)
    if faults := checked.findings.faults:
        more = f" (and {count(len(faults) - 1, 'more fault')})" if len(faults) > 1 else ""
        raise HpstudyError(
            f"{checked.findings.lines()[0]}{more}; only a table that is whole is restored"
        )
    if not checked.identified:
        raise HpstudyError(f"{path} cannot be restored: {checked.findings.facts['note']}")
    whole = [row for row in checked.rows if not row["stopped"]]
    known = store.recorded() & {row["run_id"] for row in whole}
    prior = checked.prior.run_id
    store.record((checked.spec(row), _outcome(row, prior, checked.ranking)) for row in whole)
    # A study that leaves its arithmetic open goes on with the one that was decided for it.
    store.decide(checked.prior.family, checked.counts.arithmetic)
    return {
        "table": str(path),
        "runs": len(whole) - len(known),
        "known": len(known),
        "left_out": len(checked.rows) - len(whole),
    }


def _outcome(row: dict[str, Any], prior: str, ranking: dict[str, Any] | None) -> RunOutcome:
    own = ranking if row["run_id"] == prior else None
    return RunOutcome(row | {"curve": json.loads(row["curve"])}, own, None)
