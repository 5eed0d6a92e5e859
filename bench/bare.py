"""The least that any pipeline does with the messages of a source: pack them, shuffle them by shard, acknowledge them.

Nothing is decoded, so nobody knows whose a message is: a shard gets every so-manyth. Packing is the quickest way that
Python has. Modules of floors: `bench/pipeline.py` and `bench/flink_jobs.py`, whose workers find these steps by name.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from transforms import counters
from transforms.acknowledge import acknowledge_messages
from transforms.remote_run import RemoteRun, join
from user_state.events.message import Message

_CELL = ReadModifyWriteStateSpec("cell", BytesCoder())
_CELL_STATE = beam.DoFn.StateParam(_CELL)
_TRAVELS = 5
"""So many values of a message travel."""


def packed(messages: Sequence[Message]) -> bytes:
    """Return messages as bytes."""
    return pickle.dumps([tuple(message[:_TRAVELS]) for message in messages], protocol=5)


def unpacked(packet: bytes) -> list[Message]:
    """Return what `packed` packed."""
    return [Message(*parts) for parts in pickle.loads(packet)]


class SpreadFn(beam.DoFn):
    """Stands where decoding stands: as many packets, of the same messages, to shards in turn."""

    def __init__(self, shards: int, run: RemoteRun | None = None) -> None:
        self._shards = shards
        self._run = run

    def setup(self) -> None:
        """Take part in the run."""
        join(self._run)

    def process(self, pull: Sequence[Message]) -> Iterator[tuple[int, bytes]]:
        """Yield (shard, packet)."""
        counters.count(counters.READ, len(pull))
        for shard in range(self._shards):
            yield shard, packed(pull[shard :: self._shards])


class DropFn(beam.DoFn):
    """Stands where folding stands: the same partitioning by key, nothing done, acknowledges what has an ack id."""

    CELL = _CELL

    def __init__(self, run: RemoteRun | None = None) -> None:
        self._run = run

    def setup(self) -> None:
        """Take part in the run."""
        join(self._run)

    def start_bundle(self) -> None:
        """Begin with nothing."""
        self._messages: list[Message] = []

    def process(self, packet: tuple[Any, bytes], cell: Any = _CELL_STATE) -> None:
        """Hold a packet's messages."""
        self._messages += unpacked(packet[1])

    def finish_bundle(self) -> None:
        """Acknowledge."""
        acknowledge_messages(self._messages)
        counters.count(counters.APPLIED, len(self._messages))
