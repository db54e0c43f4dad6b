"""Checkpoints of a long training, which resumes from them to the same bits."""

import hashlib
import io
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hpstudy.errors import HpstudyError
from hpstudy.training.state import TrainingState

# Work that a kill may cost; a shorter training writes no file.
CHECKPOINT_SECONDS = 300
_DIGEST = hashlib.sha256().digest_size
logger = logging.getLogger(__name__)

# Everything that training steps change, by part and name.
Values = dict[str, dict[str, Tensor]]


def values_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a network by name, those too that its state dict leaves out."""
    values = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach() for name, value in values}


def copy_values(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Copy the values of tensors to those of the same names, which stay in place."""
    for name, value in target.items():
        value.copy_(source[name])


class Checkpoint:
    """File of one training: the SHA-256 of the rest, then tensors and plain values by torch.save.

    It is replaced as a whole: a kill leaves the old file or the new one, and perhaps a part of
    another beside it. Nothing in it is executed. A file of another run, torch or kind of device is
    not resumed: CPU and GPU round differently. `written` says whether the file is of this training.
    """

    def __init__(self, path: Path, run_id: str, device: torch.device):
        self.path, self.written = path, False
        self._identity = {"run": run_id, "torch": str(torch.__version__), "device": device.type}
        self._warned = False
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether `CHECKPOINT_SECONDS` have passed since the start or the last writing."""
        return time.monotonic() - self._last >= CHECKPOINT_SECONDS

    def write(self, values: Values, state: TrainingState) -> None:
        """Replace the file; the first failure to do so is logged, and the training continues."""
        payload = io.BytesIO()
        torch.save(self._identity | {"state": values, "course": dict(state)}, payload)
        part = _part(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(hashlib.sha256(payload.getbuffer()).digest())
                file.write(payload.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
            # The new name is on the disk before anything else happens.
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self.written = True
        except OSError as error:
            _remove(part)
            if not self._warned:
                logger.warning(
                    f"checkpoint {self.path} cannot be written ({error.strerror}): the training "
                    "continues, and starts over if it is interrupted"
                )
            self._warned = True
        # After a failure too: a full disk is tried again, but not at every step.
        self._last = time.monotonic()

    def resume(self, current: Values) -> tuple[Values, TrainingState] | None:
        """Values and progress in the file; None without one that can be resumed, which is logged.

        Names, shapes and dtypes must be those of the `current` values.
        """
        if not os.path.lexists(self.path):
            return None
        try:
            values, state = self._read()
            if _outline(values) != _outline(current):
                raise HpstudyError("its tensors are not those of this network and recipe")
        except HpstudyError as reason:
            logger.warning(f"checkpoint {self.path} is not used, the training restarts: {reason}")
            return None
        self.written, self._last = True, time.monotonic()
        return values, state

    def _read(self) -> tuple[Any, TrainingState]:
        """Values of tensors, and the progress, in an undamaged file of this run."""
        try:
            with self.path.open("rb") as file:
                digest, payload = file.read(_DIGEST), file.read()
        except OSError as error:
            raise HpstudyError(f"it cannot be read ({error.strerror})") from None
        if hashlib.sha256(payload).digest() != digest:
            raise HpstudyError("it is damaged, cut short or no checkpoint")
        try:
            saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception:  # whatever torch may raise; its advice to load it nevertheless is dropped
            raise HpstudyError("it holds something else than tensors and plain values") from None
        if not isinstance(saved, dict) or set(saved) != {*self._identity, "state", "course"}:
            raise HpstudyError("it is no checkpoint")
        for name, value in self._identity.items():
            if saved[name] != value:
                raise HpstudyError(f"its {name} is {saved[name]!r}, not {value!r}")
        try:
            return saved["state"], TrainingState.model_validate(saved["course"])
        except ValidationError:
            raise HpstudyError("its progress of the training is not valid") from None


def discard(path: Path) -> None:
    """Remove the file of a training whose outcome is recorded, and what a kill left beside it."""
    _remove(path, _part(path))


def _outline(parts: Any) -> Any:
    """Names, shapes and dtypes of nested dictionaries of tensors."""
    if isinstance(parts, dict):
        return {name: _outline(part) for name, part in parts.items()}
    return (parts.shape, parts.dtype) if isinstance(parts, Tensor) else type(parts)


def _part(path: Path) -> Path:
    """File that is written before it replaces `path`: one name, so that kills leave one at most."""
    return path.with_name(f"{path.name}.part")


def _remove(*paths: Path) -> None:
    for path in paths:
        # A file that stays, as on a disk that has become read-only, does no harm.
        with suppress(OSError):
            path.unlink()
