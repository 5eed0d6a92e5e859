"""The compiled core, which decodes, judges, folds, merges, migrates, reads and replays; `native/` has its sources.

There is no other: what needs it cannot be imported where it was not built.
"""

from __future__ import annotations

from user_state.errors import NotCompiled

try:
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
    )
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
]
