"""What a user is told when something is wrong: one sentence, with the nearest valid word."""

import difflib
from collections.abc import Iterable


class HpstudyError(ValueError):
    """Refusal in one sentence that names the offending value and the valid ones."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing a stack, so that a notebook ends with the sentence.
        return [f"{type(self).__name__}: {self}"]


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Valid word closest in spelling to `name`, or None where nothing is close."""
    close = difflib.get_close_matches(str(name), [str(word) for word in valid], n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(kind: str, name: object, valid: Iterable[str]) -> HpstudyError:
    """Error saying that `name` is no valid `kind`, with the nearest valid one and all of them."""
    words = [str(word) for word in valid]
    close = nearest(str(name), words)
    hint = f"; did you mean {close!r}?" if close else ";"
    return HpstudyError(f"unknown {kind} {str(name)!r}{hint} Valid: {', '.join(words)}.")
