"""Folding by the compiled code beside folding in numpy: the same records from the same bytes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.trying import same_record
from user_state.codec.record import decode_records, encode_records, open_record
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records, apply
from user_state.errors import CodecError
from user_state.state.records import PackedRecords


def unpacked(plan: Plan, blobs: Sequence[bytes | None]) -> Records:
    """Return packed records of the plan's layout as records."""
    return decode_records([None if blob is None else open_record(blob) for blob in blobs], plan.layout)


def in_numpy(plan: Plan, blobs: Sequence[bytes | None], events: Events, versions: Sequence[bytes]) -> list[bytes]:
    """Return the records with the events folded in."""
    records = replace(unpacked(plan, blobs), horizon_us=np.zeros(len(blobs), np.int64))
    return encode_records(apply(plan, records, events), plan.layout, versions)


class Both:
    """Users' records, folded in both ways; after every batch they must say the same."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stored: dict[str, bytes | None] = {}
        self.compiled = PackedRecords(plan)

    def fold(self, rows: Sequence[EventRow], values: bool = True) -> bool:
        """Fold a batch of rows in; what the compiled code makes is what the next batch finds.

        Returns whether both ways came to the same bytes, to the last bits of sums.
        """
        events = Events.from_rows(self.plan, rows)
        held = [self.stored.get(user) for user in events.users]
        versions = [number.to_bytes(8, "big") for number in range(len(held))]
        expected = in_numpy(self.plan, held, events, versions)
        folded, wrong = self.compiled.fold(held, events, np.zeros(len(held), np.int64), versions)
        assert wrong == {}
        same_record(self.plan, unpacked(self.plan, folded), unpacked(self.plan, expected), values)
        for mine, numpys in zip(folded, expected, strict=True):
            assert mine is not None
            assert mine[:26] == numpys[:26]  # marker, version, layout
        self.stored.update(zip(events.users, folded, strict=True))
        return folded == expected

    def refuses(self, blob: bytes, rows: Sequence[EventRow], values: bool = True) -> bool:
        """Return whether the compiled code refuses bytes; it must if numpy does, and must agree otherwise.

        `values` as for `same_record`.
        """
        events = Events.from_rows(self.plan, rows)
        [folded], wrong = self.compiled.fold([blob], events, np.zeros(1, np.int64), [bytes(8)])
        assert (folded is None) == bool(wrong)
        try:
            expected = in_numpy(self.plan, [blob], events, [bytes(8)])
        except CodecError:
            assert folded is None, "the compiled code took what numpy refuses"
        else:
            if folded is not None:
                same_record(self.plan, unpacked(self.plan, [folded]), unpacked(self.plan, expected), values)
        return folded is None
