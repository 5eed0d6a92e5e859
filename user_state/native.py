"""The compiled core, which decodes, judges, folds, merges, migrates, reads and replays; `native/` has its sources.

There is no other: what needs it cannot be imported where it was not built.
"""

from __future__ import annotations

from user_state.errors import NotCompiled

try:
    from user_state._native import (
        FAMILIES,
        MARKER,
        Admission,
        EventBatch,
        EventDecoder,
        FileLayout,
        Folding,
        MessageList,
        ReadingProgram,
        columns_of_rows,
        heads,
        pack_mget,
        replay,
        with_horizon,
    )
except ImportError as exc:
    raise NotCompiled(
        "expected the compiled part of user-state (user_state._native), got none that this Python can load: build it"
        " with `make`, or with `python setup.py build_ext --inplace` where the sources are, or install a wheel;"
        f" building needs a C++20 compiler, or the Python package ziglang ({exc})"
    ) from exc

__all__ = [
    "FAMILIES",
    "MARKER",
    "Admission",
    "EventBatch",
    "EventDecoder",
    "FileLayout",
    "Folding",
    "MessageList",
    "ReadingProgram",
    "columns_of_rows",
    "heads",
    "pack_mget",
    "replay",
    "with_horizon",
]
