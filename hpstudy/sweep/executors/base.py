"""What trains runs for a sweep: this machine's workers, or a cluster's."""

from pathlib import Path
from typing import NamedTuple, Protocol

from hpstudy.config.runspec import RunSpec
from hpstudy.training.early_stopping import Race
from hpstudy.training.state import RunOutcome


class Job(NamedTuple):
    """One run for an executor to train.

    Attributes
    ----------
    spec : RunSpec
    keep_scores : bool
        Whether to rank the filters of the trained network.
    race : Race or None
        What may stop it early.
    checkpoint : Path or None
        File that a long training is kept in while it goes on.
    again : bool
        Whether its first attempt failed: it then has the machine to itself, or goes elsewhere.
    """

    spec: RunSpec
    keep_scores: bool = False
    race: Race | None = None
    checkpoint: Path | None = None
    again: bool = False


class Failure(NamedTuple):
    """Why a run came to nothing.

    Attributes
    ----------
    reason : str
        One line, without a full stop.
    lost : bool
        The machine that it ran on went away: the run itself is not to blame.
    """

    reason: str
    lost: bool = False


class Ended(NamedTuple):
    """A job that an executor is done with; either an outcome or a failure.

    Attributes
    ----------
    job : Job
    outcome : RunOutcome or None
    failure : Failure or None
    """

    job: Job
    outcome: RunOutcome | None = None
    failure: Failure | None = None


class Executor(Protocol):
    """Where runs are trained.

    Attributes
    ----------
    workers : int
        Runs that it trains at once; it may change as the machines of a cluster come and go.
    device : str
        What it trains on, in words.
    """

    workers: int
    device: str

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """Seconds per image of training and of evaluation, as measured by several workers at once.

        See `hpstudy.sweep.executors.worker.calibrate`. What that raises is raised here.

        Raises
        ------
        HpstudyError
            If a worker ends.
        """

    def start(self, job: Job) -> bool:
        """Begin a job; False if it cannot be begun yet, as one that waits for others to end."""

    def wait(self, seconds: float) -> list[Ended]:
        """Jobs that have ended since the last call; waits at most so long for the first of them.

        Raises
        ------
        HpstudyError
            If nothing can be trained here any more, or a run was refused.
        """
