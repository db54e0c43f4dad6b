"""Where one's own runs lie, and how commands and notebooks open a study there."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpstudy.errors import HpstudyError, unknown
from hpstudy.plan import Plan
from hpstudy.pool import worker_count
from hpstudy.publishing import publish_study
from hpstudy.results import find_root
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

    An executor that is given stands in for the file's.
    """
    study = Study.load(params)
    if executor is not None:
        if executor not in EXECUTORS:
            raise unknown("executor", executor, EXECUTORS)
        study = study.model_copy(update={"executor": executor})
    return Plan(study, Store(runs_folder() / "store.sqlite"), data_root, pruning)


def publish_results(plan: Plan, command: str, workers: int | None) -> Path:
    """Write the table and record of a study to one's own results; the path of the table.

    The variants of the params file that this plan leaves out keep the rows that they have.
    """
    if plan.study.executor == LOCAL:
        workers = worker_count(workers)
    return publish_study(plan, runs_folder() / "book" / "results", command, workers)


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
