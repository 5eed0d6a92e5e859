"""Folding by the compiled code beside folding in numpy: the same records from the same bytes."""

from collections.abc import Sequence

import numpy as np

from tests.trying import same_record
from user_state.codec.packed import PackedRecords
from user_state.codec.record import decode_records, open_record
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records


def unpacked(plan: Plan, blobs: Sequence[bytes | None]) -> Records:
    """Return packed records of the plan's layout as records."""
    return decode_records([None if blob is None else open_record(blob) for blob in blobs], plan.layout)


class Both:
    """Users' records, folded in both ways; after every batch they must say the same."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stored: dict[str, bytes | None] = {}
        self.compiled, self.plain = (
            PackedRecords(plan, lambda blobs: unpacked(plan, blobs), compiled=how) for how in (True, False)
        )
        assert self.compiled.compiled

    def fold(self, rows: Sequence[EventRow], values: bool = True) -> bool:
        """Fold a batch of rows in; what the compiled code makes is what the next batch finds.

        Returns whether both ways came to the same bytes, to the last bits of sums.
        """
        events = Events.from_rows(self.plan, rows)
        held = [self.stored.get(user) for user in events.users]
        horizon_us = np.zeros(len(held), np.int64)
        versions = [number.to_bytes(8, "big") for number in range(len(held))]
        expected, broken = self.plain.fold(held, events, horizon_us, versions)
        assert broken == {}
        # Past the fallback, which would hide a refusal.
        folded = self.compiled._compiled.fold(held, events, horizon_us, versions)
        assert folded is not None, "the compiled code refused the batch"
        assert None not in folded, "the compiled code refused a record"
        same_record(self.plan, unpacked(self.plan, folded), unpacked(self.plan, expected), values)
        for mine, numpys in zip(folded, expected, strict=True):
            assert mine[:26] == numpys[:26]  # marker, version, layout
        self.stored.update(zip(events.users, folded, strict=True))
        return bool(folded == expected)

    def refuses(self, blob: bytes, rows: Sequence[EventRow], values: bool = True) -> bool:
        """Return whether the compiled code refuses bytes; it must if numpy does, and must agree otherwise.

        `values` as for `same_record`.
        """
        events = Events.from_rows(self.plan, rows)
        versions, horizon_us = [bytes(8)], np.zeros(1, np.int64)
        [folded] = self.compiled._compiled.fold([blob], events, horizon_us, versions)
        [expected], broken = self.plain.fold([blob], events, horizon_us, versions)
        if broken:
            assert folded is None, "the compiled code took what numpy refuses"
        elif folded is not None:
            same_record(self.plan, unpacked(self.plan, [folded]), unpacked(self.plan, [expected]), values)
        return folded is None
