"""A line for whoever watches a command."""

import sys

from tqdm import tqdm


def say(words: str) -> None:
    """Print a line on standard error, above a progress bar if there is one."""
    tqdm.write(words, sys.stderr)
