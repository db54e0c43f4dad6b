"""Where one's own runs lie, and how commands and notebooks open a study there."""

import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hpstudy.analysis.study_results import find_root
from hpstudy.config.study import EXECUTORS, LOCAL, Study
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.storage.recordcheck import read_said
from hpstudy.storage.restore import restore
from hpstudy.storage.store import Store
from hpstudy.storage.tables import read_published
from hpstudy.sweep.executors.local import worker_count
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.publish import publish_study, whole_plan

logger = logging.getLogger(__name__)

# Parameters of notebooks/sweep.ipynb.
PARAMETERS = {
    "model": str,
    "profile": str,
    "pruning": str,
    "params": str,
    "data_root": str,
    "workers": int,
}


def in_clone() -> bool:
    """Whether the working directory lies in a clone, with its notebooks and book."""
    try:
        find_root()
    except HpstudyError:
        return False
    return True


def runs_folder() -> Path:
    """Folder of one's own runs: `runs` at the root of the clone, else in the working directory."""
    return (find_root() if in_clone() else Path()) / "runs"


def open_plan(
    params: str | Path,
    pruning: str = "all",
    data_root: str | Path | None = None,
    executor: str | None = None,
) -> Plan:
    """Plan of the study in a params file, against one's own store.

    Runs of one's own table of the study that the store lacks, as where it was lost, are restored to
    it. An executor that is given stands in for the file's.

    Raises
    ------
    HpstudyError
        For bad input, if such runs cannot be restored, or if that table or its record is damaged.
    """
    study = Study.load(params)
    if executor is not None:
        if executor not in EXECUTORS:
            raise unknown("executor", executor, EXECUTORS)
        study = study.model_copy(update={"executor": executor})
    table = _own_results() / f"{study.name}.csv"
    there = _own_table(table)
    store = Store.open(runs_folder() / "store.sqlite")
    if there is not None:
        _regain(table, there.ids, store)
    plan = Plan(study, store, data_root, pruning)
    if there is not None and len(there.ids) < there.counted:
        # Whoever is ended while it publishes leaves a newer record beside the table, whose runs
        # the store has; otherwise lines are missing from the table.
        if len(whole_plan(plan).table()) < there.counted:
            raise _kept(
                table,
                f"{table} has {len(there.ids):,} of the {count(there.counted, 'run')} that its "
                "record counts",
            )
    return plan


def _own_results() -> Path:
    return runs_folder() / "book" / "results"


class _Table(NamedTuple):
    """Ids of the runs of one's own table, and how many its record counts."""

    ids: set[str]
    counted: int


def _own_table(path: Path) -> _Table | None:
    """One's own table of a study; None where there is no file, and for no other reason.

    Raises
    ------
    HpstudyError
        If the table or its record is damaged or cannot be read: publishing would write over it.
    """
    try:
        table = read_published(path)
    except FileNotFoundError:
        return None
    except HpstudyError as error:
        raise _kept(path, str(error)) from None
    # The curve is the last column, and no run is without: a line without one has been cut.
    for name in ("run_id", "curve"):
        if name not in table:
            raise _kept(path, f"{path} lacks the column {name!r}")
        if table[name].isna().any():
            line = int(table[name].isna().argmax()) + 2
            raise _kept(path, f"line {line} of {path} is cut short: it has no {name}")
    try:
        _, _, said = read_said(path)
    except HpstudyError as error:
        raise _kept(path, str(error)) from None
    return _Table(set(table["run_id"]), said.record.runs)


def _kept(table: Path, what: str) -> HpstudyError:
    """Refusal to write over files that cannot be read."""
    return HpstudyError(
        f"{what.removesuffix('.')}; it stays as it is: `hpstudy check {shlex.quote(str(table))}` "
        f"names its faults; put back a whole copy of it and of {table.stem}.json, or move both "
        "elsewhere to go on from the store alone"
    )


def _regain(table: Path, ids: set[str], store: Store) -> None:
    """Restore what one's own table has and the store lacks, before the table is written anew."""
    if not (lost := ids - store.recorded() - store.stopped(0)):
        return
    try:
        said = restore(table, store)
    except HpstudyError as error:
        raise HpstudyError(
            f"{table} has {count(len(lost), 'run')} that {store.path} lacks, and that would be "
            f"lost, since they cannot be restored: {error} Move it elsewhere to go on without them."
        ) from None
    if said["runs"]:
        runs = count(said["runs"], "run")
        logger.info(f"{table.stem}: {runs}, which the store lacked, restored from {table}")


def publish_results(plan: Plan, command: str, workers: int | None) -> Path:
    """Write the table and record of a study to one's own results; the path of the table.

    The variants of the params file that this plan leaves out keep the rows that they have.
    """
    if plan.study.executor == LOCAL:
        workers = worker_count(workers)
    return publish_study(plan, _own_results(), command, workers)


@dataclass(frozen=True)
class Opened:
    """What a notebook sweeps: plan, number of workers (None for all), and its command."""

    plan: Plan
    workers: int | None
    command: str

    def publish(self) -> Path:
        """Publish what there is by now (`publish_results`)."""
        return publish_results(self.plan, self.command, self.workers)


def open_notebook(namespace: Mapping[str, Any]) -> Opened:
    """Open the study that the parameters of `notebooks/sweep.ipynb` ask for.

    Parameters
    ----------
    namespace : mapping
        The notebook's variables. papermill only warns of a parameter that a notebook does not
        have, and sets a variable of that name: such a variable is refused here.

    Raises
    ------
    HpstudyError
        For an unknown parameter, a value of a wrong type, or an unknown model, profile or
        pruning; the sentence names the nearest valid one.
    """
    plain = (str, int, float, bool, list, dict, type(None))
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ("In", "Out") and isinstance(value, plain)
    }
    for name, value in given.items():
        if name not in PARAMETERS:
            raise unknown("parameter", name, PARAMETERS)
        if type(value) is not PARAMETERS[name]:
            kind = PARAMETERS[name].__name__
            raise HpstudyError(f"the parameter {name} must be of type {kind}, not {value!r}")
    path = given["params"] or params_file(given["profile"], given["model"])
    if given["workers"] < 0:
        raise HpstudyError(f"workers must be 0 (all) or more, not {given['workers']}")
    plan = open_plan(path, given["pruning"], given["data_root"] or None)
    words = ["papermill", "notebooks/sweep.ipynb"]
    for name in PARAMETERS:
        if given[name] != "" and given[name] != 0:
            words += ["-p", name, str(given[name])]
    return Opened(plan, given["workers"] or None, shlex.join(words))


def params_file(profile: str, model: str) -> Path:
    """Params file of a profile and a model, as `params/quick/resnet56.yaml`."""
    folder = find_root() / "params"
    profiles = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if profile not in profiles:
        raise unknown("profile", profile, profiles)
    models = sorted(path.stem for path in (folder / profile).glob("*.yaml"))
    if model not in models:
        raise unknown("model", model, models)
    return folder / profile / f"{model}.yaml"
