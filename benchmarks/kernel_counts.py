"""What a kernel of a population must move, by its arguments."""

from hpstudy.training.population.launch import Launch


def traffic(launch: Launch) -> int:
    """Bytes of activations that a kernel reads and writes for an image."""
    given = launch.arguments
    if "CO" not in given:
        return 0
    read = 2 * given["SIDE"] ** 2 * given["CI"]
    written = 2 * (given["SIDE"] // given["STRIDE"]) ** 2 * given["CO"]
    if launch.kernel.__name__ == "forward":
        return read * (1 + bool(given["SKIP"]) + given["KEEP"]) + written
    if launch.kernel.__name__ == "backward_kernel":
        return read + 2 * written
    return 2 * written + read * (2 + 2 * bool(given["SKIP"]))
