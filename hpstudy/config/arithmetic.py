"""The arithmetics that a network can be trained in: each gives numbers of its own."""

from typing import Literal, get_args

# Precision of products; "-compiled" where torch.compile makes the kernels, and "-padded" where
# pruned layers are trained at multiples of 8 channels (`hpstudy.training.values`). In a population
# networks of one shape are trained as one program (`hpstudy.training.population`).
Arithmetic = Literal[
    "float32",
    "tf32",
    "bfloat16",
    "float32-compiled",
    "tf32-compiled",
    "bfloat16-compiled",
    "bfloat16-compiled-padded",
    "bfloat16-population",
]
ARITHMETICS: tuple[str, ...] = get_args(Arithmetic)
COMPILED, PADDED, POPULATION = "-compiled", "-padded", "bfloat16-population"
NEED_GPU = ("tf32", "tf32-compiled", POPULATION)
