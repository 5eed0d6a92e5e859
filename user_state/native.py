"""The compiled core, which decodes, judges, folds, merges, migrates, reads and replays; `native/` has its sources.

There is no other: what needs it cannot be imported where it was not built, or where it was built of other sources than
those beside it in a checkout. Such a core takes other arguments, or reads other bytes, and fails far from the cause.
"""

from __future__ import annotations

import importlib
import os

from user_state.errors import NotCompiled
from user_state.source_id import source_id

_CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _check_sources(checkout: str) -> None:
    """Raise NotCompiled if the core was built of other sources than those of the checkout, if there is one."""
    sources = os.path.join(checkout, "native")
    if not (os.path.isfile(os.path.join(checkout, "setup.py")) and os.path.isfile(os.path.join(sources, "plan.hpp"))):
        return
    built = importlib.import_module("user_state._native")
    if getattr(built, "SOURCE_ID", None) != source_id(sources):
        raise NotCompiled(
            f"{built.__file__} was built of other sources than those in {sources}: build it again with"
            " `python setup.py build_ext --inplace --force`"
        )


try:
    _check_sources(_CHECKOUT)
    from user_state._native import (
        FAMILIES,
        MARKER,
        EventBatch,
        EventDecoder,
        FileLayout,
        Folding,
        MessageList,
        ReadingProgram,
        Relevance,
        columns_of_rows,
        hashes_of_texts,
        heads,
        pack_mget,
        replay,
        sampled,
    )
except NotCompiled:
    raise
except ImportError as exc:
    raise NotCompiled(
        "the compiled part of user-state cannot be loaded: build it with `make`, or with"
        " `python setup.py build_ext --inplace` in a checkout, or install a wheel. Building needs a C++20 compiler,"
        f" or the Python package ziglang ({exc})"
    ) from exc

__all__ = [
    "FAMILIES",
    "MARKER",
    "EventBatch",
    "EventDecoder",
    "FileLayout",
    "Folding",
    "MessageList",
    "ReadingProgram",
    "Relevance",
    "columns_of_rows",
    "hashes_of_texts",
    "heads",
    "pack_mget",
    "replay",
    "sampled",
]
