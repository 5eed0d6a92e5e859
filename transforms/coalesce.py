"""Holding a shard's packets back for a while, so that a user's burst becomes one write.

The packets wait in Beam state, one append each. The timer follows the watermark, which for our sources is the wall
time of their pulls: it fires in live running as time passes, and when the pipeline drains, on every runner. (Timers
that follow the clock would turn DirectRunner to its old, slow engine.) A runner may fire it early: DirectRunner does
after each round of pulls, whatever the watermark, and any runner once the watermark has gone to the end of time. So the
clock decides: too early, and the timer is set again, after a pause, since it may fire again at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms.drain import wait
from transforms.packet import KEYED_PACKETS
from transforms.remote_run import RemoteRun, join

EARLY_PAUSE_S = 0.02
"""Keeps a runner that drains, while the request to drain has not reached this process, from firing in a tight loop."""

_WAITING = BagStateSpec("waiting", BytesCoder())
_DUE_US = ReadModifyWriteStateSpec("due_us", VarIntCoder())
_FLUSH = TimerSpec("flush", TimeDomain.WATERMARK)
# How Beam is told what to pass to `process`: by default values of these types.
_KEY = beam.DoFn.KeyParam
_TIME = beam.DoFn.TimestampParam
_WAITING_STATE = beam.DoFn.StateParam(_WAITING)
_DUE_STATE = beam.DoFn.StateParam(_DUE_US)
_FLUSH_TIMER = beam.DoFn.TimerParam(_FLUSH)


class CoalesceShards(beam.PTransform):
    """(shard, packet) -> the same, at most `flush_interval_s` later and all of a shard's together.

    Args:
        flush_interval_s: how long packets wait, seconds.
        run: the run this is part of, if its command is another process.
    """

    def __init__(self, flush_interval_s: float, *, run: RemoteRun | None = None) -> None:
        super().__init__()
        self._coalesce = _CoalesceFn(flush_interval_s, run)

    def expand(self, packets: Any) -> Any:
        """Hold packets back."""
        return packets | "Coalesce" >> beam.ParDo(self._coalesce).with_output_types(KEYED_PACKETS)


class _CoalesceFn(beam.DoFn):
    WAITING = _WAITING
    DUE_US = _DUE_US
    FLUSH = _FLUSH

    def __init__(self, flush_interval_s: float, run: RemoteRun | None) -> None:
        self._interval = Duration(seconds=flush_interval_s)
        self._run = run

    def setup(self) -> None:
        join(self._run)

    def process(
        self,
        packet: tuple[int, bytes],
        timestamp: Any = _TIME,
        waiting: Any = _WAITING_STATE,
        due_us: Any = _DUE_STATE,
        flush: Any = _FLUSH_TIMER,
    ) -> None:
        waiting.add(packet[1])
        if due_us.read() is None:
            due_us.write((Timestamp.now() + self._interval).micros)
            flush.set(timestamp + self._interval)

    @on_timer(_FLUSH)
    def flush(
        self,
        shard: Any = _KEY,
        waiting: Any = _WAITING_STATE,
        due_us: Any = _DUE_STATE,
        flush: Any = _FLUSH_TIMER,
    ) -> Iterator[tuple[int, bytes]]:
        due = Timestamp(micros=due_us.read() or 0)
        if Timestamp.now() < due and not wait(EARLY_PAUSE_S):
            flush.set(due)
            return
        packets = list(waiting.read())
        waiting.clear()
        due_us.clear()
        for packet in packets:
            yield shard, packet
