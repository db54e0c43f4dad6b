"""Where one's own runs lie, and how commands and notebooks open a study there."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.errors import HpstudyError, unknown
from hpstudy.plan import Plan
from hpstudy.pool import worker_count
from hpstudy.publishing import publish_study
from hpstudy.restore import restore
from hpstudy.results import find_root
from hpstudy.say import say
from hpstudy.store import Store
from hpstudy.study import EXECUTORS, LOCAL, Study

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
        For bad input, or if such runs cannot be restored.
    """
    study = Study.load(params)
    if executor is not None:
        if executor not in EXECUTORS:
            raise unknown("executor", executor, EXECUTORS)
        study = study.model_copy(update={"executor": executor})
    store = Store(runs_folder() / "store.sqlite")
    _regain(_own_results() / f"{study.name}.csv", store)
    return Plan(study, store, data_root, pruning)


def _own_results() -> Path:
    return runs_folder() / "book" / "results"


def _regain(table: Path, store: Store) -> None:
    """Restore what one's own table has and the store lacks, before the table is written anew."""
    try:
        ids = set(pd.read_csv(table, usecols=["run_id"], dtype=str)["run_id"])
    except (OSError, ValueError):
        return
    if not (lost := ids - store.recorded() - store.stopped(0)):
        return
    try:
        said = restore(table, store)
    except HpstudyError as error:
        raise HpstudyError(
            f"{table} has {len(lost)} runs that {store.path} lacks, and that would be lost, since "
            f"they cannot be restored: {error} Move it elsewhere to go on without them."
        ) from None
    if said["runs"]:
        say(f"{table.stem}: {said['runs']} runs that the store lacked are restored from {table}")


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
