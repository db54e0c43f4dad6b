"""The executor that a study asks for, ready to train its runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hpstudy.config.study import RAY
from hpstudy.errors import HpstudyError
from hpstudy.storage.locks import scratch_folder
from hpstudy.sweep.executors.base import Executor
from hpstudy.sweep.executors.local import open_pool, worker_count
from hpstudy.sweep.executors.worker import save_dataset
from hpstudy.sweep.plan import Plan
from hpstudy.training.data import load_dataset
from hpstudy.training.device import check_arithmetic


@contextmanager
def open_executor(
    plan: Plan, workers: int | None = None, address: str | None = None, train: bool = True
) -> Iterator[Executor]:
    """Workers of this machine or, for a study with `executor: ray`, of a Ray cluster.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Runs trained at once; by default one per GPU, or one single-threaded one per core.
    address : str, optional
        Of the cluster (see `hpstudy.sweep.executors.ray.open_cluster`).
    train : bool, default True
        Whether the images are loaded, to train on and not only to calibrate.

    Raises
    ------
    HpstudyError
        If the data cannot be had, this machine lacks the study's arithmetic, `workers` is below 1,
        or there is no such cluster.
    """
    if workers is not None and workers < 1:
        raise HpstudyError(f"workers must be 1 or more, not {workers}")
    ray = plan.study.executor == RAY
    if address is not None and not ray:
        raise HpstudyError(f"the address {address} is one for the executor ray, not for local")
    if not ray:
        check_arithmetic(plan.arithmetic)
    data = load_dataset(plan.study.data, plan.data_root) if train else None
    with ExitStack() as stack:
        if ray:
            # Ray is an extra, and takes its time to be imported.
            from hpstudy.sweep.executors.ray import open_cluster

            yield stack.enter_context(open_cluster(data, workers, address))
            return
        path = None
        if data is not None:
            path = stack.enter_context(scratch_folder()) / "data.pt"
            save_dataset(data, path)
            del data
        yield stack.enter_context(open_pool(worker_count(workers), path))
