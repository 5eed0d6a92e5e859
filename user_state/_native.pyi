"""The compiled core: see docs/design/native.md."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import F64, I64, U64, Events
from user_state.core.layout import Layout
from user_state.core.plan import Plan

FAMILIES: tuple[str, ...]
MARKER: bytes

class Folding:
    def __init__(self, plan: Plan) -> None: ...
    def add_layout(self, layout: Layout) -> None: ...
    def fold(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> tuple[list[bytes | None], list[tuple[int, int, str | bytes]]]: ...
    def merge(
        self, a: Sequence[bytes | None], b: Sequence[bytes | None], versions: Sequence[bytes]
    ) -> tuple[list[bytes | None], list[tuple[int, int, str | bytes]]]: ...
    def migrate(
        self, blobs: Sequence[bytes | None]
    ) -> tuple[list[bytes | None], list[tuple[int, int, str | bytes]]]: ...

def crc32c(bytes: bytes) -> int: ...
def crc32c_portable(bytes: bytes) -> int: ...
def heads(blobs: Sequence[bytes | None]) -> tuple[I64, list[tuple[int, int, str]]]: ...
def with_horizon(blob: bytes, horizon_us: int, version: bytes) -> bytes: ...

class ReadingProgram:
    def __init__(self, described: dict[str, Any]) -> None: ...
    def features(
        self, folding: Folding, blobs: Sequence[bytes | None], at_us: I64
    ) -> tuple[tuple[Any, ...], list[tuple[int, int, str | bytes]]]: ...
    def histories(
        self, folding: Folding, blobs: Sequence[bytes | None], logs: Sequence[int]
    ) -> tuple[tuple[Any, ...], list[tuple[int, int, str | bytes]]]: ...
    def sums(
        self, folding: Folding, blobs: Sequence[bytes | None], part: int
    ) -> tuple[tuple[I64, F64, F64], list[tuple[int, int, str | bytes]]]: ...

def replay(
    program: ReadingProgram,
    folding: Folding,
    events: Events,
    user: I64,
    at_us: I64,
    visible: I64,
    logs: Sequence[int],
    seen_ids_cap: int,
    most_bytes: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_], tuple[Any, ...], tuple[Any, ...] | None, I64]: ...

class RowReader:
    def __init__(self, writers: Sequence[tuple[bytes, Any, Any]], limits: Any, width: int) -> None: ...
    def rows(self, bodies: list[bytes], published: list[int | None]) -> list[Any]: ...

class Admission:
    def __init__(self, allowed_lateness_us: int, max_clock_skew_us: int, seen_ids_cap: int) -> None: ...
    def admit(
        self, clock_us: I64, horizon_us: I64, seen: Sequence[bytes | None], events: Events
    ) -> tuple[npt.NDArray[np.int8], list[bytes], I64, int, list[tuple[int, str]]]: ...

def columns_of_rows(
    kinds: str, rows: Sequence[tuple[Any, ...]]
) -> tuple[list[str], I64, U64, I64, I64, tuple[npt.NDArray[Any], ...], dict[str, int]] | None: ...
def unite_klls(
    k: int, sketches: Sequence[tuple[Sequence[int], float, float, F64]], numbers: F64
) -> tuple[tuple[int, ...], float, float, F64]: ...
