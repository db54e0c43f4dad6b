"""Progress of a training, its result, and the outcome of a run; importable without torch."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr

Curve = dict[str, list[float]]


@dataclass(frozen=True)
class RunResult:
    """Result of one training.

    Attributes
    ----------
    top1, top5, loss : float
        Accuracies in percent (equations 3.1, 3.2) and mean cross-entropy on the evaluation images
        after the last epoch; `top5` is None with 10 classes or fewer, in a folder of images with 5.
    best_top1, best_epoch : float, int
        Highest accuracy, biased upward because it is selected on the images that it is measured on,
        and the first epoch (from 1) that reached it.
    train_loss : float
        Mean cross-entropy over the steps of the last epoch.
    diverged : bool
        Whether `train_loss` is not finite, which ends a training, or above that of the first step.
    seconds : float
        Wall time of training and evaluation, without what an interruption lost.
    curve : dict of str to list of float
        `train_loss`, `loss` and `top1` of each epoch.
    """

    top1: float
    top5: float | None
    loss: float
    best_top1: float
    best_epoch: int
    train_loss: float
    diverged: bool
    epochs: int
    seconds: float
    images_per_second: float
    curve: Curve


class RunOutcome(NamedTuple):
    """Outcome of a run.

    `row` has the columns `hpstudy.storage.store.RESULT_COLUMNS`, and `ranking` the `scores` and
    `weights_sha256` of the trained network, if its filters were ranked.
    """

    row: dict[str, Any]
    ranking: Mapping[str, Any] | None


def _generator_state(value: Any) -> Any:
    import torch

    state = torch.Generator().get_state()
    if type(value) is not type(state) or (value.shape, value.dtype) != (state.shape, state.dtype):
        raise ValueError("must be the state of a generator")
    return value


class TrainingState(BaseModel, extra="forbid", strict=True):
    """Progress of a training.

    Attributes
    ----------
    order : Tensor
        State of the generator that draws the views of an epoch, before those of the epoch in
        progress; None where no views are drawn.
    steps : int
        Steps taken in that epoch: of its evaluation if `train_loss` is known, else of its training.
    train_loss : float or None
        Mean cross-entropy of that epoch, while it is evaluated.
    curve, top5
        See `RunResult`, after the last finished epoch.
    """

    order: Annotated[Any, AfterValidator(_generator_state)] = None
    steps: int = Field(0, ge=0)
    train_loss: float | None = None
    curve: Curve = {"train_loss": [], "loss": [], "top1": []}
    top5: float | None = None
    seconds: dict[str, float] = {"training": 0.0, "evaluation": 0.0}
    _since: float = PrivateAttr(default_factory=time.perf_counter)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.curve["train_loss"])

    def clock(self) -> float:
        """Seconds since the last call."""
        before, self._since = self._since, time.perf_counter()
        return self._since - before

    def add_epoch(self, train_loss: float, loss: float, top1: float) -> None:
        """Finish the epoch in progress."""
        for key, value in {"train_loss": train_loss, "loss": loss, "top1": top1}.items():
            self.curve[key].append(value)
        self.train_loss = None

    def ended(self, epochs: int) -> bool:
        """Whether the training is over: all epochs done, or loss not finite."""
        if self.steps or not self.epochs:
            return False
        return self.epochs == epochs or not math.isfinite(self.curve["train_loss"][-1])

    def result(self, images: int, first_loss: float) -> RunResult:
        """Result after the last epoch, from the images per epoch and the loss of the first step."""
        best, train_loss = max(self.curve["top1"]), self.curve["train_loss"][-1]
        return RunResult(
            top1=self.curve["top1"][-1],
            top5=self.top5,
            loss=self.curve["loss"][-1],
            best_top1=best,
            best_epoch=self.curve["top1"].index(best) + 1,
            train_loss=train_loss,
            diverged=not math.isfinite(train_loss) or train_loss > first_loss,
            epochs=self.epochs,
            seconds=sum(self.seconds.values()),
            images_per_second=self.epochs * images / self.seconds["training"],
            curve=self.curve,
        )
