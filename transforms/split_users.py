"""A shard's packets -> a packet a user, where state is kept a user, and packets waited by shard."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from transforms.packet import USERS_PACKETS
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import EventBatch


class SplitUsers(beam.PTransform):
    """(shard, packet of events) -> (user, packet of that user's).

    Args:
        spec: of the events.
    """

    def __init__(self, spec: LoadedSpec) -> None:
        super().__init__()
        self._split = _SplitFn(spec)

    def expand(self, packets: Any) -> Any:
        """Split each packet."""
        return packets | "Split" >> beam.ParDo(self._split).with_output_types(USERS_PACKETS)


class _SplitFn(beam.DoFn):
    def __init__(self, spec: LoadedSpec) -> None:
        self._spec = spec

    def setup(self) -> None:
        self._plan: Plan = compile_plan(self._spec)

    def process(self, packet: tuple[int, bytes]) -> list[tuple[str, bytes]]:
        return EventBatch.join(self._plan, [packet[1]]).pack_by_user()
