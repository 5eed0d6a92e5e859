"""Folding events into packed records: compiled where it can be, in numpy where it cannot.

Both ways come to the same record, but for the last bits of floating-point sums; docs/design/native.md says what is
compiled and why. The compiled code refuses whatever it was not made for (bytes that are no record, a record of another
layout), without a reason: numpy is asked then, and has the words for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from user_state.codec.record import MARKER, encode_records
from user_state.codec.sections import SECTIONS
from user_state.codec.strings import EMPTY
from user_state.core.events import I64, Events
from user_state.core.kll import unite
from user_state.core.plan import Plan
from user_state.core.records import Records, apply

if TYPE_CHECKING:
    from user_state import _native

try:
    from user_state._native import Folder as _CompiledFolder
except ImportError:  # installed where there was no compiler
    _CompiledFolder = None  # type: ignore[assignment,misc]


def is_compiled() -> bool:
    """Whether this installation has the compiled code."""
    return _CompiledFolder is not None


@dataclass(frozen=True)
class Heads:
    """What n records say without being unpacked: the fields of that name of `Records`, each (n,)."""

    clock_us: I64
    last_event_us: I64
    horizon_us: I64
    applied: I64

    def __len__(self) -> int:
        return len(self.clock_us)


class PackedRecords:
    """Reads and folds the packed records of one plan.

    Args:
        plan: what they hold.
        decode: packed records -> records, of whatever layout; None is a user without one.
        compiled: whether to use the compiled code where there is any.
    """

    def __init__(
        self, plan: Plan, decode: Callable[[Sequence[bytes | None]], Records], *, compiled: bool = True
    ) -> None:
        self._plan = plan
        self._decode = decode
        self._compiled = _compiled_for(plan) if compiled else None

    @property
    def compiled(self) -> bool:
        """Whether compiled code folds."""
        return self._compiled is not None

    def heads(self, blobs: Sequence[bytes | None]) -> Heads:
        """Return what n users' records say of their time.

        Raises:
            CodecError and others: as `decode`.
        """
        if self._compiled is not None and (found := self._compiled.heads(blobs)) is not None:
            return Heads(*found)
        records = self._decode(blobs)
        return Heads(records.clock_us, records.last_event_us, records.horizon_us, records.applied)

    def fold(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> list[bytes | None]:
        """Return the records of the n users of `events` with the events folded in, None for users without events.

        Args:
            blobs: n packed records, None being a user without one.
            events: of those users, in their order.
            horizon_us: (n,) what the records say of it from now on, unless they say more already.
            versions: n new versions, 8 bytes each.

        Raises:
            CodecError and others: as `decode`.
        """
        if self._compiled is not None:
            folded = self._compiled.fold(blobs, events, horizon_us, versions)
            if folded is not None:
                return folded
        records = self._decode(blobs)
        records = replace(records, horizon_us=horizon_us)
        return list(encode_records(apply(self._plan, records, events), self._plan.layout, versions))


def _compiled_for(plan: Plan) -> _native.Folder | None:
    if _CompiledFolder is None:
        return None
    blanks = [EMPTY, *(section.blank(plan.layout) for section in SECTIONS)]
    try:
        return _CompiledFolder(plan, MARKER, blanks, unite)
    except NotImplementedError:
        return None
