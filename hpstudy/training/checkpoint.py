"""What a long training is kept in, so that it goes on to the same bits after a kill."""

import hashlib
import io
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hpstudy.training.state import TrainingState

logger = logging.getLogger(__name__)

# Work that a kill may cost; a training that is shorter writes no file.
CHECKPOINT_SECONDS = 300
_DIGEST = hashlib.sha256().digest_size


class State:
    """All that the steps of a training change: tensors that stay in place, and generators.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
        With all its tensors, which its first step would make.
    others : dict of str to Tensor
        What else steps leave.
    device : torch.device
        Whose generator, beside the CPU's, a layer may draw from.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        others: dict[str, Tensor],
        device: torch.device,
    ):
        self.model, self.optimizer, self.others = model, optimizer, others
        self.generators = {"cpu": torch.default_generator}
        if device.type == "cuda":
            self.generators["cuda"] = torch.cuda.default_generators[device.index]

    def read(self) -> dict[str, dict[str, Tensor]]:
        """The tensors themselves, and the generators' states."""
        momentum = [state["momentum_buffer"] for state in self.optimizer.state.values()]
        return {
            "model": self.model.state_dict(),
            "momentum": {str(number): buffer for number, buffer in enumerate(momentum)},
            "others": self.others,
            "random": {name: source.get_state() for name, source in self.generators.items()},
        }

    def write(self, kept: dict[str, dict[str, Tensor]]) -> None:
        """Copy tensors that fit (`fits`) to their places, and set the generators."""
        for part, places in self.read().items():
            for name, place in places.items():
                if part == "random":
                    self.generators[name].set_state(kept[part][name])
                else:
                    place.copy_(kept[part][name])

    def fits(self, kept: Any) -> bool:
        """Whether `kept` has the very names, shapes and kinds of numbers that `read` has."""
        return _outline(kept) == _outline(self.read())


class _RefusedError(Exception):
    """Why a file cannot be gone on from; ends a sentence that begins with its path."""


class Checkpoint:
    """The file of one training: SHA-256 of what follows, then what torch saves.

    It is replaced as a whole: a kill leaves the old or the new one, and perhaps the part of
    another beside it. Only tensors and plain values are read from it; nothing in it is executed.

    Parameters
    ----------
    path : Path
        Its folder is made when it is first written.
    run_id : str
        Of the run that is trained; a file of another run is not gone on from.
    device : torch.device
        A CPU and a GPU round differently: a file of the other kind is not gone on from.

    Attributes
    ----------
    there : bool
        Whether the file is of this training.
    """

    def __init__(self, path: Path, run_id: str, device: torch.device):
        self.path, self.there = path, False
        self._of = {"run": run_id, "torch": str(torch.__version__), "device": device.type}
        self._said = False
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether `CHECKPOINT_SECONDS` have passed since the start, or since the last writing."""
        return time.monotonic() - self._last >= CHECKPOINT_SECONDS

    def write(self, state: State, course: TrainingState) -> None:
        """Replace the file; where that fails, say so the first time, and the training goes on."""
        payload = io.BytesIO()
        torch.save(self._of | {"state": state.read(), "course": dict(course)}, payload)
        part = _part(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(hashlib.sha256(payload.getbuffer()).digest())
                file.write(payload.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
            _sync_folder(self.path.parent)
            self.there = True
        except OSError as error:
            _remove(part)
            if not self._said:
                logger.warning(
                    f"checkpoint {self.path} cannot be written ({error.strerror}): the training "
                    "goes on, and what it has come to is lost if it is interrupted"
                )
            self._said = True
        # After a failure too: a full disk is tried again, but not at every step.
        self._last = time.monotonic()

    def resume(self, state: State) -> TrainingState | None:
        """Put a training back to where its file has it.

        Parameters
        ----------
        state : State
            Changed only if there is a file to go on from.

        Returns
        -------
        TrainingState or None
            None where there is no file, or one that cannot be gone on from, which is said.
        """
        if not os.path.lexists(self.path):
            return None
        try:
            kept = self._read()
            course = TrainingState.model_validate(kept["course"])
            if not state.fits(kept["state"]):
                raise _RefusedError("its tensors are not those of this network and recipe")
        except ValidationError:
            return self._refuse("it does not say how far the training had come")
        except _RefusedError as reason:
            return self._refuse(reason)
        state.write(kept["state"])
        self.there, self._last = True, time.monotonic()
        return course

    def _refuse(self, reason: object) -> None:
        logger.warning(f"checkpoint {self.path} is not used, and the training starts over: {reason}")

    def _read(self) -> dict[str, Any]:
        """The content of a sound file of this run."""
        try:
            with self.path.open("rb") as file:
                digest, payload = file.read(_DIGEST), file.read()
        except OSError as error:
            raise _RefusedError(f"it cannot be read ({error.strerror})") from None
        if hashlib.sha256(payload).digest() != digest:
            raise _RefusedError("it is damaged, cut short or no checkpoint")
        try:
            kept = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception:  # whatever torch may say, its advice to load it nevertheless included
            raise _RefusedError("it holds something else than tensors and plain values") from None
        if not isinstance(kept, dict) or set(kept) != {*self._of, "state", "course"}:
            raise _RefusedError("it is no checkpoint")
        for name, value in self._of.items():
            if kept[name] != value:
                raise _RefusedError(f"its {name} is {kept[name]!r}, not {value!r}")
        return kept


def discard(path: Path) -> None:
    """Remove the file of a training whose outcome is recorded, and what a kill left beside it."""
    _remove(path)
    _remove(_part(path))


def _outline(parts: Any) -> Any:
    """Names, shapes and kinds of numbers of nested dictionaries of tensors."""
    if isinstance(parts, dict):
        return {name: _outline(part) for name, part in parts.items()}
    return (parts.shape, parts.dtype) if isinstance(parts, Tensor) else type(parts)


def _part(path: Path) -> Path:
    """What is written before it replaces `path`: one name, so that kills leave one file at most."""
    return path.with_name(f"{path.name}.part")


def _remove(path: Path) -> None:
    # One that stays, as on a disk that has become read-only, does no harm.
    with suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Have the disk know a file by its new name before anything else happens."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
