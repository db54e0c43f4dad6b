"""Refusals: one sentence with the value, where it stands, and the nearest valid one."""

import difflib
from collections.abc import Iterable, Sized

MOST_NAMES, MOST_LETTERS = 40, 100


class HpstudyError(ValueError):
    """Refusal in one sentence that names the offending value and the valid ones.

    Characters that a terminal does not print, such as line breaks in names of files, are written
    as escape sequences. The sentence ends with a full stop.
    """

    def __init__(self, sentence: str):
        super().__init__(f"{printed(sentence).removesuffix('.')}.")

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing a stack, so that a notebook ends with the sentence.
        return [f"{type(self).__name__}: {self}"]


def unknown(kind: str, name: object, valid: Iterable[str]) -> HpstudyError:
    """Error saying that `name` is no valid `kind`, with the nearest valid one and all of them."""
    words = [str(word) for word in valid]
    hint = did_you_mean(name, words)
    return HpstudyError(f"unknown {kind} {shown(str(name))}{hint}; valid: {listed(words)}.")


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Hint at the valid word nearest in spelling, such as " (did you mean 'lr'?)", or no text."""
    close = nearest(str(name), valid)
    return f" (did you mean {shown(close)}?)" if close else ""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Valid word closest in spelling to `name`, or None where nothing is close."""
    words = [str(word) for word in valid]
    close = difflib.get_close_matches(name[:MOST_LETTERS], words, n=1, cutoff=0.5)
    return close[0] if close else None


def one_line(error: BaseException) -> str:
    """Type and message of an exception in a line of at most 300 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def printed(text: str) -> str:
    """Text with every character that a terminal does not print as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shown(value: object) -> str:
    """Value as Python writes it, cut where it is too long to read."""
    text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def listed(names: Iterable[object]) -> str:
    """Names with commas; of very many, the first ones and the number of the others."""
    names = names if isinstance(names, Sized) else list(names)
    first = [str(name) for name, _ in zip(names, range(MOST_NAMES), strict=False)]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def count(number: int, noun: str) -> str:
    """Number with its noun: "1 point", "2 points"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
