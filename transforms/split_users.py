"""A shard's packets -> a packet a user, where state is kept a user, and packets waited by shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from transforms.packet import USERS_PACKETS, pack_decoded, unpack_decoded
from user_state.core.events import EventRow
from user_state.events.message import Message


class SplitUsers(beam.PTransform):
    """(shard, packet of rows and messages) -> (user, packet of that user's)."""

    def expand(self, packets: Any) -> Any:
        """Split each packet."""
        return packets | "Split" >> beam.ParDo(_SplitFn()).with_output_types(USERS_PACKETS)


class _SplitFn(beam.DoFn):
    def process(self, packet: tuple[int, bytes]) -> Iterator[tuple[str, bytes]]:
        users: dict[str, tuple[list[EventRow], list[Message]]] = {}
        for row, message in zip(*unpack_decoded(packet[1]), strict=True):
            rows, messages = users.setdefault(row[0], ([], []))
            rows.append(row)
            messages.append(message)
        for user, (rows, messages) in users.items():
            yield user, pack_decoded(rows, messages)
