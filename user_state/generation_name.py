"""What generations of a spec's records are called, and what their keys begin with."""

from __future__ import annotations

import re

from user_state.errors import InputError, shorten

BASE = "base"
"""What the records of no generation are called where a generation is asked for."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def generation_name(text: str) -> str | None:
    """Return the generation that somebody names; None for BASE.

    Raises:
        InputError: it is no name of one.
    """
    if not _NAME.fullmatch(text):
        raise InputError(
            f"expected a generation named by lower-case letters, digits, _ and -, at most 40, got {shorten(text)}"
        )
    return None if text == BASE else text


def keyspace(name: str, generation: str | None) -> str:
    """Return what the keys of the records begin with, of the spec called `name`.

    >>> keyspace("feed", None), keyspace("feed", "2026-11")
    ('feed', 'feed@2026-11')
    """
    return name if generation is None else f"{name}@{generation}"
