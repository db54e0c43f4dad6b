"""Executors train the jobs of a sweep: `local` on this machine, `ray` on a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.command_spec import CommandSpec
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import LOCAL, RAY
from hpstudy.errors import HpstudyError
from hpstudy.training.command import CommandCall
from hpstudy.training.state import RunOutcome

if TYPE_CHECKING:
    # Workers import this module, and need no plan.
    from hpstudy.sweep.any_plan import AnyPlan


class Job(NamedTuple):
    """One run to train.

    `run_id` is that of `spec`, and takes time to compute. `rank_filters` and `checkpoint` are those
    of `hpstudy.training.run.RunTrainer.train`. A `retry`, after a first attempt that failed, runs
    alone or on another device. A `call` takes the place of the trainer.
    """

    variant: str
    run_id: str
    spec: RunSpec | CommandSpec
    rank_filters: bool = False
    checkpoint: Path | None = None
    retry: bool = False
    call: CommandCall | None = None


class Failure(NamedTuple):
    """Why a job has no outcome: one line, and whether its machine went away."""

    reason: str
    lost: bool = False


Ended = tuple[Job, RunOutcome | Failure]


class CalibrationError(HpstudyError):
    """A step that cannot be measured, as where memory runs out or there is no compiler."""


def calibrated(spec: RunSpec, results: list[Any]) -> list[tuple[float, float]]:
    """Results of a calibration, of which none is a Failure."""
    for result in results:
        if isinstance(result, Failure):
            raise CalibrationError(f"{result.reason} while {spec.model} was calibrated")
    return results


class Executor(Protocol):
    """Trains jobs, several at a time."""

    @property
    def workers(self) -> int:
        """Jobs trained at once; changes as the machines of a cluster come and go."""

    @property
    def device(self) -> str:
        """Name of the devices, as "cpu" or "cuda:0"."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of workers of a GPU that a trial chooses from; none where it is fixed."""

    @property
    def slots(self) -> tuple[int | None, ...]:
        """Numbers of runs that a population may have on a GPU; None for the number asked for."""

    def adopt(self, arithmetic: str, per_device: int | None = None) -> None:
        """Go on with workers for an arithmetic; no job may be running.

        `per_device` is the number of runs at once on a device, by default that which the executor
        was opened with.
        """

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """`hpstudy.training.run.calibrate` by several workers at once, or CalibrationError."""

    def start(self, job: Job) -> bool:
        """Begin a job; False if it has to wait until others have ended."""

    def wait(self, seconds: float) -> list[Ended]:
        """Jobs that have ended since the last call, after at most `seconds`.

        Raises HpstudyError if no job can be trained any more, or one was refused.
        """


@contextmanager
def open_executor(
    plan: "AnyPlan", workers: int | None = None, address: str | None = None, train: bool = True
) -> Iterator[Executor]:
    """Workers of this machine or, for a study with `executor: ray`, of a Ray cluster.

    Parameters
    ----------
    plan : AnyPlan
    workers : int, optional
        Runs trained at once; by default one per GPU, of which a trial may take more where MPS
        answers, or one single-threaded one per core, and one per two of them with an arithmetic
        that ends in "-over2".
    address : str, optional
        HOST:PORT of the cluster; by default RAY_ADDRESS or, without that, a new one here.
    train : bool, default True
        Whether to load the images; without them the executor only calibrates.

    Raises
    ------
    HpstudyError
        If the data are unavailable, this machine lacks the study's precision, `workers` is below
        1, or no cluster answers at the address.
    """
    from hpstudy.sweep.executors.local import open_pool, worker_count
    from hpstudy.sweep.plan import Plan
    from hpstudy.training.datasets import load_dataset
    from hpstudy.training.device import check_precision

    if workers is not None and workers < 1:
        raise HpstudyError(f"workers must be 1 or more, not {workers}")
    ray = plan.study.executor == RAY
    if address is not None and not ray:
        raise HpstudyError(f"the address {address} needs the executor ray; the study has local")
    data = None
    if isinstance(plan, Plan):
        if ray and (plan.precision == POPULATION or plan.share > 1):
            raise HpstudyError(
                f"the arithmetic {plan.precision} is for the executor {LOCAL}, and the study has "
                f"{RAY}"
            )
        if not ray:
            check_precision(plan.precision)
        if train:
            data = load_dataset(plan.study.data, plan.data_root, plan.fingerprint)
    if ray:
        # Ray is an extra, and slow to import.
        from hpstudy.sweep.executors.ray import open_cluster

        with open_cluster(data, workers, address) as cluster:
            yield cluster
    else:
        command = not isinstance(plan, Plan)
        trial = not command and workers is None and plan.share == 1
        count = worker_count(workers, plan.share)
        with open_pool(count, data, command, trial, plan.share) as pool:
            # The workers read a file of their own.
            del data
            if isinstance(plan, Plan):
                pool.adopt(plan.precision)
            yield pool
