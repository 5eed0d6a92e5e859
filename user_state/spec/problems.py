"""What is wrong with a spec: one line of text for one line of the file, and the nearest right word.

Nothing here knows what a spec contains.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from user_state.errors import shorten

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the file, such as ("features", "views", "windows", 0)."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend; `line` counts from 1."""

    line: int
    text: str


def describe(problems: Iterable[Problem], name: str) -> str:
    """Return the problems of the file `name`, one a line in the order of its lines, each once."""
    return "\n".join(f"{name}:{problem.line}: {problem.text}" for problem in sorted(set(problems)))


def spell(path: KeyPath) -> str:
    """Return a key path as people write it.

    >>> spell(("features", "views", "windows", 1))
    'features.views.windows[1]'
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += "." * bool(text) + (key if _PLAIN_KEY.fullmatch(key) else shorten(key, 40))
    return text


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` most likely is a misspelling of, or None."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    # Ratios of very long words take quadratic time, and nobody misspells those.
    found = difflib.get_close_matches(word[:100].casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(word: object, candidates: Iterable[str]) -> str:
    """Return "; did you mean `right`?" to append to a message, or nothing if no candidate is near."""
    right = nearest(word, candidates) if isinstance(word, str) else None
    return "" if right is None else f"; did you mean `{right}`?"


def listing(words: Iterable[str], limit: int = 20) -> str:
    """Return `words` as a comma-separated list, cut after `limit` of them.

    >>> listing(["user", "id", "time"], 2)
    'user, id, ...'
    """
    listed = list(words)
    return ", ".join(listed[:limit] + ["..."] * (len(listed) > limit))
