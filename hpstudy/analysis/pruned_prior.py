"""Prior of the hypotheses on a pruned network's landscape (`hpstudy.analysis.pruned_landscape`)."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from hpstudy.analysis.intervals import Array

# Amplitudes of the difference: multiples of the noise, and of the depth of the dense network.
ADDITIVE, DEEPENING = (0.1, 0.25, 0.6, 1.5, 4.0), (0.1, 0.3, 0.8)
# Lengths in spans of the grid, of the difference and of a landscape without the dense one.
LENGTHS, OWN_LENGTHS = (0.15, 0.35, 0.8), (0.3, 0.6, 1.2)
# Amplitudes of such a landscape in deviations of the dense one's values.
OWN = (0.5, 1.0, 2.0)
SCALES = np.array([0.4, 0.7, 1.0, 1.4, 2.2])
# Decades, along each axis.
SHIFTS = np.array([-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9])
# Noise of the pruned network over that of the dense one. Where each dense setting has one run, its
# noise is read off the surface, and one seed's surface can be smooth.
NOISES = np.array([0.45, 0.65, 0.85, 1.0, 1.2, 1.6, 2.3, 3.5, 5.5])


class Prior(NamedTuple):
    """Prior of the hypotheses, as probabilities along each of their dimensions.

    `kernel` is of shape (additive, deepening, lengths), `scale`, `shift` (axes, shifts) and
    `noise` go with the constants of this module; the latter's rows are for dense networks with
    replicates and without. `own` is the probability that the dense landscape says nothing,
    `own_kernel` of shape (amplitudes, lengths) what then holds.
    """

    kernel: Array
    scale: Array
    shift: Array
    noise: Array
    own: float
    own_kernel: Array

    @classmethod
    def vague(cls) -> "Prior":
        """Prior before any pair of networks was measured."""
        shift = np.exp(-0.5 * (SHIFTS / 0.45) ** 2)
        kernel = np.ones((len(ADDITIVE), len(DEEPENING), len(LENGTHS)))
        own = np.ones((len(OWN), len(OWN_LENGTHS)))
        return cls(
            kernel=kernel / kernel.size,
            scale=np.array([0.1, 0.2, 0.4, 0.2, 0.1]),
            shift=np.array([shift, shift]) / shift.sum(),
            noise=np.full((2, len(NOISES)), 1 / len(NOISES)),
            own=0.1,
            own_kernel=own / own.size,
        )

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Prior":
        """Prior from a mapping of its fields, as JSON has them."""
        own = float(values["own"])
        rest = {name: np.array(values[name]) for name in cls._fields if name != "own"}
        return cls(own=own, **rest)

    def logs(self, replicated: bool) -> tuple[Array, Array]:
        """Log probabilities: (kernels, noises, scales x shifts), and (own kernels, noises)."""
        noise = self.noise[0 if replicated else 1]
        means = self.scale[:, None, None] * self.shift[0][:, None] * self.shift[1]
        kernel, own = self.kernel.reshape(-1, 1, 1), self.own_kernel.reshape(-1, 1)
        with np.errstate(divide="ignore"):
            return (
                np.log((1 - self.own) * kernel * noise[:, None] * means.ravel()),
                np.log(self.own * own * noise),
            )


@cache
def fitted() -> dict[str, Any]:
    """Content of `published/pruned_prior.json`, which benchmarks/retune.py writes."""
    file = files("hpstudy").joinpath("published", "pruned_prior.json")
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values
