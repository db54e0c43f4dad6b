"""The recipe: one loop that trains a network from scratch and says how it went."""

import copy
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.config.study import Recipe
from hpstudy.training.augmentation import Batches, check_last_batch
from hpstudy.training.checkpoint import Checkpoint, State
from hpstudy.training.datasets import Dataset
from hpstudy.training.state import RunResult, Stop, TrainingState
from hpstudy.training.step import (
    Capture,
    CapturedStep,
    capture_for,
    casting,
    compiled,
    set_precision,
)

EVALUATION_BATCH = 500


class Trainer:
    """Trains one network again and again, from whatever weights it holds, by one recipe.

    Parameters
    ----------
    model : torch.nn.Module
        In the precision to train with; moved to the data's device.
    data : Dataset
        Resident on the device to train on.
    recipe : Recipe
        Epochs, batch size, momentum and learning-rate steps; the last, smaller batch of an epoch
        is trained on too.
    arithmetic : str
        One of `hpstudy.config.study.ARITHMETICS`.
    capture : callable, optional
        How steps are repeated; by default as the device's `capture_for`.

    Raises
    ------
    HpstudyError
        If the last batch of an epoch would hold a single image, which batch normalisation cannot
        take.

    References
    ----------
    Thesis, section 3.1.3, equation 2.1 and Table 3.3.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe,
        arithmetic: str = "float32",
        capture: Capture | None = None,
    ):
        check_last_batch(len(data.train), recipe.batch_size)
        self.data, self.recipe, self.arithmetic = data, recipe, arithmetic
        self.device = data.train.labels.device
        self.dtype = next(model.parameters()).dtype
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.train_batches = Batches(data.train, data.image_size)
        self.test_batches = Batches(data.test, data.image_size)
        number = dict(dtype=self.dtype, device=self.device)
        # Factors (3, 1, 1) that take a uint8 pixel to zero mean and unit deviation.
        self.scale = (1 / (255 * data.std)).to(**number)[:, None, None]
        self.shift = (-data.mean / data.std).to(**number)[:, None, None]
        # What a step reads and what it leaves are tensors in place, which a CUDA graph needs.
        self.lr, self.weight_decay = torch.zeros((), **number), torch.zeros((), **number)
        self.last_loss, self.first_loss = torch.zeros((), **number), torch.zeros((), **number)
        self.totals = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.parameters = list(model.parameters())
        self.optimizer = torch.optim.SGD(
            self.parameters, self.lr, momentum=recipe.momentum, fused=True
        )
        # Made by the first step otherwise: here, what is kept of a training can be put back.
        for parameter in self.parameters:
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        others = {"totals": self.totals, "first_loss": self.first_loss}
        self._state = State(self.model, self.optimizer, others, self.device)
        self._compiled_loss = compiled(self._loss) if arithmetic.endswith("compiled") else None
        self._capture = capture or capture_for(self.device)
        self._programs: dict[tuple[bool, int], CapturedStep] = {}
        if self._capture or self._compiled_loss:
            self._prepare()

    def run(
        self,
        lr: float,
        weight_decay: float,
        seed: int,
        stop: Stop | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> RunResult:
        """Train the network from its present weights, and evaluate it after every epoch.

        Parameters
        ----------
        lr, weight_decay : float
            Initial learning rate, and torch's coupled weight decay, applied to every parameter: a
            step shrinks the weights by lr x weight_decay (equation 2.1).
        seed : int
            Of the order and augmentation of the images.
        stop : callable, optional
            Asked after every epoch but the last, with the curve so far, whether to end here.
        checkpoint : Checkpoint, optional
            Where the training is kept from time to time and, if it has been, when it has ended.
            A training that is there already is gone on with, whatever the present weights are.

        Returns
        -------
        RunResult
        """
        set_precision(self.arithmetic)
        for state in self.optimizer.state.values():
            state["momentum_buffer"].zero_()
        self.weight_decay.fill_(weight_decay)
        generator = torch.Generator().manual_seed(seed)
        course = checkpoint.resume(self._state) if checkpoint else None
        course = course or TrainingState(order=generator.get_state())
        while not course.over(self.recipe.epochs, stop):
            course.clock()
            if course.train_loss is None:
                decays = sum(course.epochs >= decay for decay in self.recipe.lr_decay_epochs)
                self.lr.fill_(lr * self.recipe.lr_decay**decays)
                generator.set_state(course.order)
                views = self.train_batches.random(generator)
                course.train_loss = self.train(views, course, checkpoint)
                course.order = generator.get_state()
            top1, course.top5, loss = self.evaluate(EVALUATION_BATCH, course, checkpoint)
            values = {"train_loss": course.train_loss, "loss": loss, "top1": top1}
            for key, value in values.items():
                course.curve[key].append(value)
            course.train_loss = None
        if checkpoint and checkpoint.there:
            checkpoint.write(self._state, course)
        return course.result(len(self.data.train), self.first_loss.item())

    def train(
        self,
        views: Tensor,
        course: TrainingState | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> float:
        """Train on one epoch; its mean cross-entropy.

        Parameters
        ----------
        views : Tensor of shape (4, images)
            As `Batches.random` draws them, or a part of them.
        course : TrainingState, optional
            Its steps are not taken again.
        checkpoint : Checkpoint, optional
            Where the training is kept after a step, whenever that is due.
        """
        size = self.recipe.batch_size
        totals = self._take(True, views, size, course or TrainingState(), checkpoint)
        return totals[0] / len(self.data.train)

    def evaluate(
        self,
        batch_size: int = EVALUATION_BATCH,
        course: TrainingState | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> tuple[float, float | None, float]:
        """Top-1 and top-5 accuracy in percent and mean cross-entropy on the evaluation images.

        One centre view of each image. Top-5 is None with 10 classes or fewer. An image whose
        logits are not numbers counts as an error.

        Parameters
        ----------
        batch_size : int
        course, checkpoint
            See `train`.

        References
        ----------
        Thesis, equations 3.1 and 3.2.
        """
        views = self.test_batches.centred()
        totals = self._take(False, views, batch_size, course or TrainingState(), checkpoint)
        top1, top5, loss = (total / len(self.data.test) for total in totals)
        return 100 * top1, 100 * top5 if self.data.classes > 10 else None, loss

    def _take(
        self,
        training: bool,
        views: Tensor,
        batch_size: int,
        course: TrainingState,
        checkpoint: Checkpoint | None,
    ) -> list[float]:
        """Take one step on each batch but those that were taken before; the totals over all."""
        batches = self.train_batches if training else self.test_batches
        phase = "training" if training else "evaluation"
        self.model.train(training)
        if not course.steps:
            self.totals.zero_()
        for images, labels in batches.take(views, batch_size, course.steps):
            self._program(training, len(labels))(images, labels)
            if training and course.steps == course.epochs == 0:
                self.first_loss.copy_(self.last_loss)
            course.steps += 1
            if checkpoint and checkpoint.due():
                self.totals.tolist()
                course.seconds[phase] += course.clock()
                checkpoint.write(self._state, course)
                course.clock()
        # But for checkpoints, the only moment at which the device is waited for.
        totals = self.totals.tolist()
        course.seconds[phase] += course.clock()
        course.steps = 0
        return totals

    def measure(self, seconds: float) -> tuple[float, float]:
        """Median seconds per image of training and of evaluation, each over `seconds` of steps.

        The weights are not changed; the statistics of batch normalisation are.
        """
        set_precision(self.arithmetic)
        self.lr.zero_()
        # A GPU works through several steps while the next are being asked for.
        steps = 1 if self.device.type == "cpu" else 10
        measured = []
        for training, batches, size in self._phases():
            self.model.train(training)
            views = batches.centred()[:, : steps * size]
            timed: list[float] = []
            # The first block also warms up.
            while len(timed) < 4 or sum(timed[1:]) < seconds:
                started = time.perf_counter()
                for images, labels in batches.take(views, size):
                    self._program(training, len(labels))(images, labels)
                self.totals[0].item()
                timed.append(time.perf_counter() - started)
            measured.append(statistics.median(timed[1:]) / views.shape[1])
        return measured[0], measured[1]

    def _phases(self) -> tuple[tuple[bool, Batches, int], ...]:
        """Whether it trains, its images, and how many at once: of training and of evaluation."""
        return (
            (True, self.train_batches, self.recipe.batch_size),
            (False, self.test_batches, EVALUATION_BATCH),
        )

    def _program(self, training: bool, count: int) -> CapturedStep:
        """The step for batches of `count` images."""
        key = training, count
        if key not in self._programs:
            function = self._train_step if training else self._evaluation_step
            self._programs[key] = CapturedStep(function, self._capture)
        return self._programs[key]

    def _prepare(self) -> None:
        """Compile and record every step of an epoch; the network stays as it was."""
        set_precision(self.arithmetic)
        before = copy.deepcopy(self.model.state_dict())
        self.lr.zero_()
        for training, batches, size in self._phases():
            self.model.train(training)
            views = batches.centred()
            for number in {min(size, views.shape[1]), views.shape[1] % size} - {0}:
                for images, labels in batches.take(views[:, :number], number):
                    self._program(training, number).prepare(images, labels)
        self.model.load_state_dict(before)

    def _logits(self, images: Tensor) -> Tensor:
        inputs = torch.addcmul(self.shift, images.to(self.dtype), self.scale)
        with casting(self.arithmetic, self.device):
            logits = self.model(inputs.contiguous(memory_format=torch.channels_last))
        return logits.to(self.dtype)

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self._logits(images), labels)

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        # The one smaller batch of an epoch is not worth a second compilation.
        full = len(labels) == self.recipe.batch_size
        loss = (self._compiled_loss if self._compiled_loss and full else self._loss)(images, labels)
        loss.backward()
        # The optimiser takes its weight decay as a number, which a CUDA graph would keep for ever.
        decay = torch._foreach_mul([p.detach() for p in self.parameters], self.weight_decay)
        torch._foreach_add_([p.grad for p in self.parameters], decay)
        self.optimizer.step()
        self.last_loss.copy_(loss.detach())
        self.totals[0] += loss.detach() * len(labels)

    @torch.no_grad()
    def _evaluation_step(self, images: Tensor, labels: Tensor) -> None:
        logits = self._logits(images)
        finite = torch.isfinite(logits).all(1)
        ranked = logits.topk(min(5, self.data.classes), 1).indices == labels[:, None]
        self.totals[0] += (ranked[:, 0] & finite).sum()
        self.totals[1] += (ranked.any(1) & finite).sum()
        self.totals[2] += F.cross_entropy(logits, labels, reduction="sum")
