"""How a training goes: how far it has come, whether it is over, what it came to."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr

from hpstudy.training.early_stopping import StopReason

Stop = Callable[[dict[str, list[float]]], bool]


@dataclass(frozen=True)
class RunResult:
    """Outcome of one training.

    Attributes
    ----------
    top1, top5 : float
        Accuracy on the evaluation images after the last epoch, in percent (equations 3.1, 3.2);
        `top5` is None where there are 10 classes or fewer.
    loss : float
        Mean cross-entropy on the evaluation images after the last epoch.
    best_top1, best_epoch : float, int
        Highest accuracy over the epochs, and the first epoch (from 1) that reached it: selected
        on the images that it is measured on, hence biased upward.
    train_loss : float
        Mean cross-entropy over the last epoch's training steps.
    diverged : bool
        The training loss stopped being finite (training ends with that epoch), or the last
        epoch's is above that of the first step: the network ended worse than it began.
        Accuracies stay as measured.
    epochs : int
        Epochs trained.
    seconds : float
        Wall time of training and evaluation; of an interrupted training, that of all its parts
        without what was lost.
    images_per_second : float
        Training images over the wall time of training alone.
    curve : dict of str to list of float
        One value per epoch of `train_loss`, `loss` and `top1`.
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
    curve: dict[str, list[float]]


def _new_generator_state() -> Any:
    import torch

    return torch.Generator().get_state()


def _generator_state(value: Any) -> Any:
    fresh = _new_generator_state()
    if (getattr(value, "shape", None), getattr(value, "dtype", None)) != (fresh.shape, fresh.dtype):
        raise ValueError("must be the state of a generator")
    return value


class TrainingState(BaseModel, arbitrary_types_allowed=True, extra="forbid", strict=True):
    """How far a training has come.

    Attributes
    ----------
    order : Tensor
        State of the generator that draws the order and augmentation of the images, as it was
        before the epoch in progress was drawn.
    steps : int
        Taken in that epoch: of its training or, once that has come to its `train_loss`, of its
        evaluation.
    train_loss : float or None
        Mean cross-entropy over that epoch's training steps, while it is evaluated.
    curve : dict of str to list of float
        One value of `train_loss`, `loss` and `top1` for each epoch that has been evaluated.
    top5 : float or None
        After the last of these, in percent.
    seconds : dict of str to float
        Wall time of `training` and `evaluation`; what a kill lost does not count.
    """

    order: Annotated[Any, AfterValidator(_generator_state)] = Field(
        default_factory=_new_generator_state
    )
    steps: int = Field(0, ge=0)
    train_loss: float | None = None
    curve: dict[str, list[float]] = Field(
        default_factory=lambda: {"train_loss": [], "loss": [], "top1": []}
    )
    top5: float | None = None
    seconds: dict[str, float] = Field(default_factory=lambda: {"training": 0.0, "evaluation": 0.0})
    _since: float = PrivateAttr(default_factory=time.perf_counter)

    @property
    def epochs(self) -> int:
        """Epochs that have been evaluated."""
        return len(self.curve["train_loss"])

    def clock(self) -> float:
        """Seconds since it was last asked."""
        before, self._since = self._since, time.perf_counter()
        return self._since - before

    def over(self, epochs: int, stop: Stop | None) -> bool:
        """Whether the training ends with the epoch that has just been evaluated, if one has.

        Parameters
        ----------
        epochs : int
            The most to train.
        stop : callable or None
            Asked, with the curve, unless it was the last epoch or its loss is no number.
        """
        if self.steps or not self.epochs:
            return False
        if self.epochs == epochs or not math.isfinite(self.curve["train_loss"][-1]):
            return True
        return stop is not None and stop(self.curve)

    def result(self, images: int, first_loss: float) -> RunResult:
        """What the training came to.

        Parameters
        ----------
        images : int
            That an epoch trains on.
        first_loss : float
            Of its first step.
        """
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


class RunOutcome(NamedTuple):
    """What a run comes to.

    Attributes
    ----------
    row : dict
        The columns `hpstudy.storage.database.RESULT_COLUMNS`, as measured when it ended.
    ranking : dict or None
        For `hpstudy.storage.store.Store.record`.
    stop_reason : StopReason or None
        Why it was stopped early, if it was.
    """

    row: dict[str, Any]
    ranking: Mapping[str, Any] | None
    stop_reason: StopReason | None
