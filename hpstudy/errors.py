"""What a user is told when something is wrong: one sentence, with the nearest valid word."""

import difflib
from collections.abc import Iterable, Sized

# More names than this are no help, and a longer value is no reading.
MOST_NAMES, MOST_LETTERS = 40, 100


class HpstudyError(ValueError):
    """Refusal in one sentence that names the offending value and the valid ones.

    Names of files and cells of tables stand in it: what a terminal would not print of them, such
    as line breaks and control characters, is written as an escape sequence. It ends with a full
    stop.
    """

    def __init__(self, sentence: str):
        super().__init__(f"{printed(sentence).removesuffix('.')}.")

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing a stack, so that a notebook ends with the sentence.
        return [f"{type(self).__name__}: {self}"]


def one_line(error: BaseException) -> str:
    """Kind of an exception and what it says, in a line of at most 300 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def printed(text: str) -> str:
    """Text with every character that is not printed as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def shown(value: object) -> str:
    """Value as Python writes it, cut where it is too long to read."""
    text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def listed(names: Iterable[object]) -> str:
    """Names with commas; of very many the first ones, and how many there are more."""
    names = names if isinstance(names, Sized) else list(names)
    first = [str(name) for name, _ in zip(names, range(MOST_NAMES), strict=False)]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Valid word closest in spelling to `name`, or None where nothing is close."""
    words = [str(word) for word in valid]
    close = difflib.get_close_matches(str(name)[:MOST_LETTERS], words, n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(kind: str, name: object, valid: Iterable[str]) -> HpstudyError:
    """Error saying that `name` is no valid `kind`, with the nearest valid one and all of them."""
    words = [str(word) for word in valid]
    close = nearest(str(name), words)
    hint = f" (did you mean {close!r}?)" if close else ""
    return HpstudyError(f"unknown {kind} {shown(str(name))}{hint}; valid: {listed(words)}.")
