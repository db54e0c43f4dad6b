"""The user's own folder: the clone around it, its runs, and the studies opened there."""

import logging
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError
from tqdm import tqdm

from hpstudy.config.command_study import CommandStudy, load_study
from hpstudy.config.study import EXECUTORS, LOCAL, Study
from hpstudy.config.validation import Frozen, as_params_file, one_sentence, read_mapping
from hpstudy.errors import HpstudyError, count, unknown
from hpstudy.storage.command_tables import (
    is_command_table,
    read_command_record,
    read_command_rows,
)
from hpstudy.storage.schema import read_study_record
from hpstudy.storage.store import Store, restore
from hpstudy.storage.tables import read_published

if TYPE_CHECKING:
    from hpstudy.sweep.command_plan import CommandPlan
    from hpstudy.sweep.plan import Plan

logger = logging.getLogger(__name__)

ROOT_MARKS = ("notebooks/sweep.ipynb", "book/_toc.yml")


class _AboveProgressBars(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), sys.stderr)


def show_messages() -> None:
    """Print the messages of the package on standard error, above progress bars."""
    package = logging.getLogger("hpstudy")
    package.setLevel(logging.INFO)
    if not package.handlers:
        package.addHandler(_AboveProgressBars())


def find_root(start: str | Path | None = None) -> Path:
    """Root of the clone that the working directory (or `start`) lies in.

    Raises
    ------
    HpstudyError
        If neither it nor a folder above holds the notebooks and the book.
    """
    start = Path(start or ".").resolve()
    for folder in (start, *start.parents):
        if all((folder / mark).is_file() for mark in ROOT_MARKS):
            return folder
    raise HpstudyError(
        f"no clone of hpstudy in {start} or above it: a folder that holds "
        f"{' and '.join(ROOT_MARKS)}; change into one."
    )


def in_clone() -> bool:
    """Whether the working directory lies in a clone, with its notebooks and book."""
    try:
        find_root()
    except HpstudyError:
        return False
    return True


def runs_folder() -> Path:
    """Folder of the user's runs: `runs` in the clone, or in the working directory outside one."""
    return (find_root() if in_clone() else Path()) / "runs"


def results_folder() -> Path:
    """Folder of the tables of the user's runs."""
    return runs_folder() / "book" / "results"


def table_of(study: Study | CommandStudy) -> Path:
    """Table of a study's runs; the book reads those that hpstudy trained, in a folder of theirs."""
    folder = runs_folder() if isinstance(study, CommandStudy) else results_folder()
    return folder / f"{study.name}.csv"


def open_plan(
    params: str | Path | Study | CommandStudy,
    pruning: str = "all",
    data_root: str | Path | None = None,
    executor: str | None = None,
) -> "Plan | CommandPlan":
    """Plan of a study, or of the one in a params file, against the user's store.

    Runs that the user's table of the study has and the store lacks are restored to the store.
    `executor`, if given, replaces that of the params file.

    Raises
    ------
    HpstudyError
        For bad input, if that table or its record is damaged, or if such runs cannot be restored.
    """
    from hpstudy.sweep.command_plan import CommandPlan
    from hpstudy.sweep.plan import Plan
    from hpstudy.sweep.run import whole_plan

    folder = Path()
    if isinstance(params, Study | CommandStudy):
        study = params
    else:
        study, folder = load_study(params), Path(params).parent
    if executor is not None:
        if executor not in EXECUTORS:
            raise unknown("executor", executor, EXECUTORS)
        study = study.model_copy(update={"executor": executor})
    if data_root is not None and isinstance(study, CommandStudy):
        raise HpstudyError(f"a data root {data_root} is given, but a command finds its own data")
    table = table_of(study)
    run_ids, recorded = _published_runs(table)
    store = Store.open(runs_folder() / "store.sqlite")
    # Publishing replaces the table, so that runs which it alone has would be lost.
    if lost := run_ids - store.recorded():
        try:
            restored = restore(table, store)["runs"]
        except HpstudyError as error:
            raise HpstudyError(
                f"{table} has {count(len(lost), 'run')} that {store.path} lacks, and that would be "
                f"lost, since they cannot be restored: {error} Move it elsewhere to go on without "
                "them."
            ) from None
        if restored:
            runs = count(restored, "run")
            logger.info(f"{table.stem}: {runs}, which the store lacked, restored from {table}")
    plan: Plan | CommandPlan
    if isinstance(study, CommandStudy):
        plan = CommandPlan.open(study, store, folder, pruning)
    else:
        plan = Plan.open(study, store, data_root, pruning)
    # A sweep that is killed while it publishes leaves a newer record next to the table, but its
    # runs are in the store; otherwise lines are missing from the table.
    if len(run_ids) < recorded and len(whole_plan(plan).table()) < recorded:
        runs = f"{len(run_ids):,} of the {count(recorded, 'run')}"
        raise _damaged(table, f"{table} has {runs} that its record counts")
    return plan


def _published_runs(path: Path) -> tuple[set[str], int]:
    """Ids of the runs in the user's table, and their number by its record; none without a file."""
    try:
        if is_command_table(path):
            record = read_command_record(path)
            rows = read_command_rows(path, record.study)
            return {row["run_id"] for row in rows}, record.record.runs
        table = read_published(path)
        for name in ("run_id", "curve"):
            if name not in table:
                raise HpstudyError(f"{path} lacks the column {name!r}")
        return set(table["run_id"]), read_study_record(path).record.runs
    except FileNotFoundError:
        return set(), 0
    except HpstudyError as error:
        raise _damaged(path, str(error)) from None


def _damaged(table: Path, fault: str) -> HpstudyError:
    return HpstudyError(
        f"{fault.removesuffix('.')}; it stays as it is: `hpstudy check {shlex.quote(str(table))}` "
        f"names its faults; put back a whole copy of it and of {table.stem}.json, or move both "
        "elsewhere to go on from the store alone"
    )


def publish_results(plan: "Plan | CommandPlan", command: str, workers: int | None) -> Path:
    """Write the table and record of a study to the user's results; the path of the table.

    The variants of the params file that this plan leaves out keep the rows that they have.
    """
    from hpstudy.sweep.executors.local import worker_count
    from hpstudy.sweep.run import publish_study

    if plan.study.executor == LOCAL:
        workers = plan.workers or worker_count(workers, plan.share)
    return publish_study(plan, table_of(plan.study).parent, command, workers)


class SweepParameters(Frozen, strict=True):
    """Parameters of `notebooks/sweep.ipynb` beside a study's own; an empty one is the default."""

    model: str
    profile: str
    pruning: str
    params: str
    data_root: str
    workers: Annotated[int, Field(ge=0)]
    results: list[str]


@dataclass(frozen=True)
class NotebookSweep:
    """Study of a sweep notebook: its name, the folders of its table, and the pruning to show.

    Without a `plan` the table is as it was published, and nothing is trained.
    """

    name: str
    folders: list[str]
    pruning: str
    plan: "Plan | CommandPlan | None" = None
    workers: int | None = None

    @property
    def command(self) -> str:
        """Command that executes the notebook."""
        found = next(
            (path for path in params_files() if read_mapping(path).get("name") == self.name), None
        )
        params = found.relative_to(find_root()).as_posix() if found else "PARAMS.yaml"
        part = "" if self.pruning == "all" else f"-{self.pruning}"
        words = ["papermill", "notebooks/sweep.ipynb", f"runs/{self.name}{part}.ipynb"]
        words += ["-f", params, *(["-p", "pruning", self.pruning] if part else [])]
        return shlex.join(words)

    def train(self) -> None:
        """Train what is missing, record each run at once, and publish the table."""
        if self.plan is not None:
            from hpstudy.sweep.run import sweep

            publish = partial(publish_results, self.plan, self.command, self.workers)
            sweep(self.plan, self.workers, publish)
            publish()


def open_notebook(namespace: Mapping[str, Any]) -> NotebookSweep:
    """Open the study that the parameters of `notebooks/sweep.ipynb` name.

    These are a study's own keys (`papermill -f PARAMS.yaml`), the path of a params file, or its
    profile and model. papermill only warns of a parameter that a notebook does not have, and sets a
    variable of that name: such a variable in `namespace`, that of the notebook, is refused here.

    Raises
    ------
    HpstudyError
        Outside a clone, where the notebook could show nothing; for an unknown parameter, a value of
        a wrong type, or an unknown model, profile or pruning; names the nearest valid one.
    """
    show_messages()
    root = find_root()
    values = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_")
        and name not in ("In", "Out")
        and isinstance(value, str | int | float | list | dict | None)
    }
    own = {
        key: as_params_file(values[key])
        for key in Study.model_fields
        if values.get(key) is not None
    }
    given_study = bool(own.keys() - {"model"}) and not values.get("results")
    fields = SweepParameters.model_fields.keys()
    rest = {key: values[key] for key in values if key in fields or key not in Study.model_fields}
    if given_study:
        own |= {key: rest.pop(key) for key in rest.keys() - fields}
    try:
        given = SweepParameters.model_validate(rest)
        study = Study.model_validate(own) if given_study else None
    except ValidationError as error:
        kind = SweepParameters if error.title == SweepParameters.__name__ else Study
        raise HpstudyError(f"parameters: {one_sentence(error, kind)}") from None
    if given.results:
        return NotebookSweep(str(own.get("name")), given.results, given.pruning)
    source = study or given.params or params_file(given.profile, given.model)
    plan = open_plan(source, given.pruning, given.data_root or None)
    folders = [results_folder().relative_to(root).as_posix()]
    return NotebookSweep(plan.study.name, folders, given.pruning, plan, given.workers or None)


def params_files() -> list[Path]:
    """Params files of the clone."""
    return sorted((find_root() / "params").glob("*/*.yaml"))


def params_file(profile: str, model: str) -> Path:
    """Params file of a profile and a model, such as `params/quick/resnet56.yaml`."""
    folder = find_root() / "params"
    profiles = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if profile not in profiles:
        raise unknown("profile", profile, profiles)
    models = sorted(path.stem for path in (folder / profile).glob("*.yaml"))
    if model not in models:
        raise unknown("model", model, models)
    return folder / profile / f"{model}.yaml"
