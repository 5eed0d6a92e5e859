"""Holding a shard's packets back for a while, so that a user's burst becomes one write.

The packets wait in Beam state, one append each. The timer follows the watermark, which for our sources is the wall
time of their pulls: it fires in live running as time passes, and at once when the pipeline drains, on every runner.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Duration

from transforms.packet import KEYED_PACKETS

_WAITING = BagStateSpec("waiting", BytesCoder())
_ARMED = ReadModifyWriteStateSpec("armed", VarIntCoder())
_FLUSH = TimerSpec("flush", TimeDomain.WATERMARK)
# How Beam is told what to pass to `process`: by default values of these types.
_KEY = beam.DoFn.KeyParam
_TIME = beam.DoFn.TimestampParam
_WAITING_STATE = beam.DoFn.StateParam(_WAITING)
_ARMED_STATE = beam.DoFn.StateParam(_ARMED)
_FLUSH_TIMER = beam.DoFn.TimerParam(_FLUSH)


class CoalesceShards(beam.PTransform):
    """(shard, packet) -> the same, at most `flush_interval_s` later and all of a shard's together."""

    def __init__(self, flush_interval_s: float) -> None:
        super().__init__()
        self._coalesce = _CoalesceFn(flush_interval_s)

    def expand(self, packets: Any) -> Any:
        """Hold packets back."""
        return packets | "Coalesce" >> beam.ParDo(self._coalesce).with_output_types(KEYED_PACKETS)


class _CoalesceFn(beam.DoFn):
    WAITING = _WAITING
    ARMED = _ARMED
    FLUSH = _FLUSH

    def __init__(self, flush_interval_s: float) -> None:
        self._interval = Duration(seconds=flush_interval_s)

    def process(
        self,
        packet: tuple[int, bytes],
        timestamp: Any = _TIME,
        waiting: Any = _WAITING_STATE,
        armed: Any = _ARMED_STATE,
        flush: Any = _FLUSH_TIMER,
    ) -> None:
        waiting.add(packet[1])
        if not armed.read():
            armed.write(1)
            flush.set(timestamp + self._interval)

    @on_timer(_FLUSH)
    def flush(
        self, shard: Any = _KEY, waiting: Any = _WAITING_STATE, armed: Any = _ARMED_STATE
    ) -> Iterator[tuple[int, bytes]]:
        packets = list(waiting.read())
        waiting.clear()
        armed.clear()
        for packet in packets:
            yield shard, packet
