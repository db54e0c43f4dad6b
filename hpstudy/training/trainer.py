"""One loop that trains a network from scratch by a recipe, and evaluates it after every epoch."""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.config.arithmetic import COMPILED, split_arithmetic
from hpstudy.config.study import Recipe
from hpstudy.training.augmentation import Batches, check_last_batch
from hpstudy.training.checkpoint import Checkpoint, Values
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import Capture, compiled, cuda_graph, recorded, set_precision
from hpstudy.training.evaluation import count_right, evaluation_batch, median_seconds
from hpstudy.training.shared import Share, add_up, share_statistics, sum_gradients
from hpstudy.training.state import RunResult, TrainingState
from hpstudy.training.values import copy_values, values_of


class Trainer:
    """Trains one network again and again, from whatever weights it holds, by one recipe.

    The last, smaller batch of an epoch is trained on too. Thesis, section 3.1.3 and Table 3.3.

    Parameters
    ----------
    model : torch.nn.Module
        Network in the precision to train in; it is moved to the data's device.
    data : Dataset
        Images on the device to train on.
    recipe : Recipe
    arithmetic : str, default "float32"
        Name of an `hpstudy.config.arithmetic.Arithmetic`. With "-over2", two processes make the
        same calls, each on a device of its own (`hpstudy.training.shared`).
    capture : callable, optional
        How steps are repeated: by default, as a CUDA graph on a GPU, and as calls on a CPU.
    layout : torch.memory_format, optional
        Order of the values of images and weights in memory.

    Raises
    ------
    HpstudyError
        If the last batch holds a single image, which batch normalisation cannot take.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe,
        arithmetic: str = "float32",
        capture: Capture | None = None,
        layout: torch.memory_format = torch.channels_last,
    ):
        self.data, self.recipe = data, recipe
        self.arithmetic, devices = split_arithmetic(arithmetic)
        check_last_batch(len(data.train), recipe.batch_size, devices)
        self.share, self._images = Share.of_process(devices), recipe.batch_size
        if devices > 1:
            share_statistics(model, self.share)
        self.device = data.train.labels.device
        self.dtype = next(model.parameters()).dtype
        self.layout = layout
        self.model = model.to(self.device).to(memory_format=layout)
        self.train_batches = Batches(data.train, data.image_size, self.share)
        self.test_batches = Batches(data.test, data.image_size, self.share)
        self.test_views = self.test_batches.centred()
        self.test_size = min(evaluation_batch(self.device, data.image_size), len(data.test))
        # Whether it trains, and its batch size, of training and of evaluation.
        self._phases = (True, recipe.batch_size), (False, self.test_size)
        # Factors (3, 1, 1) that take a uint8 pixel to zero mean and unit deviation.
        self.scale = (1 / (255 * data.std)).to(self.device, self.dtype)[:, None, None]
        self.shift = (-data.mean / data.std).to(self.device, self.dtype)[:, None, None]
        # Inputs and outputs of a step are tensors that stay in place, as a CUDA graph needs them.
        self.lr, self.weight_decay, self.last_loss, self.first_loss = (
            torch.zeros((), dtype=self.dtype, device=self.device) for _ in range(4)
        )
        self.totals = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.parameters = [value for value in model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.SGD(
            self.parameters, self.lr, momentum=recipe.momentum, fused=True
        )
        # Made here and not by the first step, so that a checkpoint can be copied into them.
        for parameter in self.parameters:
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        self._generators = {"cpu": torch.default_generator}
        if self.device.type == "cuda":
            self._generators["cuda"] = torch.cuda.default_generators[self.device.index]
            capture = capture or partial(cuda_graph, self.device)
        self._compiled_loss = self._compiled_logits = None
        if COMPILED in arithmetic:
            self._compiled_loss = compiled(self._loss)
            # On a CPU, numbers stay those of earlier versions.
            self._compiled_logits = compiled(self._logits) if self.device.type == "cuda" else None
        self._state = TrainingState()
        self._checkpoint: Checkpoint | None = None
        # By whether they train, and their number of images.
        self._recorded: dict[tuple[bool, int], Callable[..., None]] = {}
        if capture or self._compiled_loss:
            self._prepare(capture)

    def run(
        self, lr: float, weight_decay: float, seed: int, checkpoint: Checkpoint | None = None
    ) -> RunResult:
        """Train the network from its present weights, or from a checkpoint, to the last epoch.

        Parameters
        ----------
        lr, weight_decay : float
            Initial learning rate, and torch's coupled weight decay on every parameter: a step
            shrinks the weights by lr x weight_decay (equation 2.1).
        seed : int
            Seed of the order and augmentation of the images.
        checkpoint : Checkpoint, optional
            File that a long training is saved to and resumed from.
        """
        set_precision(self.arithmetic)
        for buffers in self.optimizer.state.values():
            buffers["momentum_buffer"].zero_()
        self.weight_decay.fill_(weight_decay)
        generator = torch.Generator().manual_seed(seed)
        state = TrainingState(order=generator.get_state())
        if checkpoint and (resumed := checkpoint.resume(self._values())):
            values, state = resumed
            self._restore(values)
        # Processes that share a training are in the same state: the first one's is written.
        checkpoint = checkpoint if self.share.number == 0 else None
        self._state, self._checkpoint = state, checkpoint
        generator.set_state(state.order)
        coming: list[Tensor] = []

        def draw() -> None:
            coming.append(self.train_batches.random(generator))

        while not state.ended(self.recipe.epochs):
            state.clock()
            if state.train_loss is None:
                decays = sum(state.epochs >= epoch for epoch in self.recipe.lr_decay_epochs)
                self.lr.fill_(lr * self.recipe.lr_decay**decays)
                if not coming:
                    draw()
                state.train_loss = self.train_epoch(coming.pop())
                # That before the next epoch's views, which are drawn while this one is evaluated.
                state.order = generator.get_state()
            last = state.epochs + 1 == self.recipe.epochs
            top1, state.top5, loss = self.evaluate(meanwhile=None if last else draw)
            state.add_epoch(state.train_loss, loss, top1)
        self._checkpoint = None
        if checkpoint and checkpoint.written:
            checkpoint.write(self._values(), state)
        return state.result(len(self.data.train), self.first_loss.item())

    def train_epoch(self, views: Tensor) -> float:
        """Mean cross-entropy of training on the `views` (4, images) of an epoch (see `Batches`)."""
        return self._take_steps(True, self.recipe.batch_size, views)[0] / views.shape[1]

    def evaluate(
        self, batch_size: int | None = None, meanwhile: Callable[[], None] | None = None
    ) -> tuple[float, float | None, float]:
        """Top-1 and top-5 accuracy in percent, and mean cross-entropy, on the evaluation images.

        Top-5 is None where `Dataset.has_top5` is false. `meanwhile` is called while a GPU works.
        Thesis, equations 3.1 and 3.2.
        """
        size = batch_size or self.test_size
        totals = self._take_steps(False, size, self.test_views, meanwhile)
        top1, top5, loss = (total / len(self.data.test) for total in totals)
        return 100 * top1, 100 * top5 if self.data.has_top5 else None, loss

    def _take_steps(
        self, training: bool, size: int, views: Tensor, meanwhile: Callable[[], None] | None = None
    ) -> list[float]:
        """Totals of an epoch's training or evaluation; steps taken before are not repeated."""
        state, phase = self._state, "training" if training else "evaluation"
        batches, called = self._source(training)
        self.model.train(training)
        if not state.steps:
            self.totals.zero_()
        for inputs in batches.inputs(views, size, state.steps):
            self._images = min(size, views.shape[1] - state.steps * size)
            self._recorded.get((training, self._images), called)(*inputs)
            if training and state.steps == state.epochs == 0:
                self.first_loss.copy_(self.last_loss)
            state.steps += 1
            if self._checkpoint and self._checkpoint.due():
                # Waits for the device, so that the clock is right.
                self.totals.tolist()
                state.seconds[phase] += state.clock()
                self._checkpoint.write(self._values(), state)
                state.clock()
        if meanwhile:
            meanwhile()
        totals: list[float] = self.totals.tolist()
        state.seconds[phase] += state.clock()
        state.steps = 0
        return totals

    def _values(self) -> Values:
        """Everything that steps change: the tensors themselves, and the generators' states."""
        momentum = [state["momentum_buffer"] for state in self.optimizer.state.values()]
        return {
            "model": values_of(self.model),
            "momentum": {str(number): buffer for number, buffer in enumerate(momentum)},
            "others": {"totals": self.totals, "first_loss": self.first_loss},
            "random": {name: source.get_state() for name, source in self._generators.items()},
        }

    def _restore(self, saved: Values) -> None:
        """Copy saved values to where a recorded step finds them."""
        for name, source in self._generators.items():
            source.set_state(saved["random"][name])
        for part, tensors in self._values().items():
            if part != "random":
                copy_values(saved[part], tensors)

    def measure(self, seconds: float) -> tuple[float, float]:
        """Median seconds per image of training and of evaluation, each over `seconds` of steps.

        The weights are not changed; the statistics of batch normalisation are.
        """
        set_precision(self.arithmetic)
        self.lr.zero_()
        # A GPU works through several steps while the next ones are queued.
        steps = 1 if self.device.type == "cpu" else 10
        medians: list[float] = []
        for training, size in self._phases:
            views = self._source(training)[0].centred()[:, : steps * size]
            work = partial(self._take_steps, training, size, views)
            agreed = partial(self.share.agreed, device=self.device)
            medians.append(median_seconds(work, seconds, agreed) / views.shape[1])
        return medians[0], medians[1]

    def _source(self, training: bool) -> tuple[Batches, Callable[..., None]]:
        """Batches of training or evaluation, and the step from the inputs of one of them."""
        batches = self.train_batches if training else self.test_batches
        step = self._train_step if training else self._evaluation_step
        return batches, lambda *inputs: step(*batches.cut(*inputs))

    def _prepare(self, capture: Capture | None) -> None:
        """Compile and record every step of an epoch; the network stays as it was."""
        set_precision(self.arithmetic)
        before = copy.deepcopy(values_of(self.model))
        self.lr.zero_()
        for training, size in self._phases:
            self.model.train(training)
            batches, step = self._source(training)
            views = batches.centred()
            for number in {min(size, views.shape[1]), views.shape[1] % size} - {0}:
                (inputs,) = batches.inputs(views[:, :number], number)
                self._images = number
                if capture:
                    self._recorded[training, number] = recorded(step, capture, *inputs)
                else:
                    step(*inputs)
        copy_values(before, values_of(self.model))

    def _logits(self, images: Tensor) -> Tensor:
        inputs = torch.addcmul(self.shift, images.to(self.dtype), self.scale)
        bfloat16 = self.arithmetic.startswith("bfloat16")
        # A cache of cast weights would outlive the step that a CUDA graph records.
        kind = self.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=bfloat16, cache_enabled=False):
            logits: Tensor = self.model(inputs.contiguous(memory_format=self.layout))
        return logits.to(self.dtype)

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(self._logits(images), labels)
        return loss * (len(labels) / self._images) if self.share.devices > 1 else loss

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        # The one smaller batch of an epoch is not worth a second compilation.
        full = self._images == self.recipe.batch_size
        loss = (self._compiled_loss if self._compiled_loss and full else self._loss)(images, labels)
        loss.backward()
        # The optimiser takes its weight decay as a number, which a CUDA graph would keep for ever.
        # Parameters that play no part in the loss have none.
        pairs = [(p.detach(), p.grad) for p in self.parameters if p.grad is not None]
        gradients, loss = [gradient for _, gradient in pairs], loss.detach()
        if self.share.devices > 1:
            loss = sum_gradients(gradients, loss)
        decay = torch._foreach_mul([weights for weights, _ in pairs], self.weight_decay)
        torch._foreach_add_(gradients, decay)
        self.optimizer.step()
        self.last_loss.copy_(loss)
        self.totals[0] += loss * self._images

    @torch.no_grad()
    def _evaluation_step(self, images: Tensor, labels: Tensor) -> None:
        totals = self.totals if self.share.devices == 1 else torch.zeros_like(self.totals)
        # The last batch may have too few images for all processes.
        if len(labels):
            full = self._images == self.test_size
            logits = (full and self._compiled_logits or self._logits)(images)
            count_right(logits, labels, totals)
        if self.share.devices > 1:
            self.totals += add_up(totals)
