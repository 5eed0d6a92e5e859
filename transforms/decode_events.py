"""Messages -> events by shard or user; what is no event goes to the dead letters.

What nobody wants, and what is older than the retention, ends here, acknowledged. `user_state.events.screening` decides,
by the wall clock at the time of the pull.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import TaggedOutput

from transforms import counters
from transforms.acknowledge import acknowledge_ids, ids_by_origin
from transforms.hot_users import HotUsers
from transforms.packet import KEYED_PACKETS, USERS_PACKETS, DeadLetter, pack_dead
from transforms.pull import FilePull, Pull, decoded_of
from transforms.remote_run import RemoteRun, bundle_ended, join
from transforms.waiting_decoder import WaitingDecoder
from user_state.events.decode import IGNORED
from user_state.events.message import Message
from user_state.events.screening import Screened, ahead_detail, keeping_days, screen
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import AckIdsSoFar, EventBatch

DEAD = "dead"
DECODED = "decoded"
HOT = ("hot_user", "more events of one user in one second than --user_events_per_second allows")


class DecodeEvents(beam.PTransform):
    """Pulls (`Pull`) -> `decoded`: (shard or user, packet of events); `dead`: packets of dead letters.

    Args:
        spec: the events' schema and the fields that are read.
        shards: how many keys users are spread over; one worker owns a shard's users. None makes each user a key.
        most_a_second: events of one user and second of publish time, 0 for any number; the rest are dead letters.
        run: the run this is part of, if its command is another process; the source is in the worker of this step.
    """

    def __init__(
        self, spec: LoadedSpec, shards: int | None, *, most_a_second: int = 0, run: RemoteRun | None = None
    ) -> None:
        super().__init__()
        self._decode = _DecodeFn(spec, shards, most_a_second, run)
        # Said outright, so that the shuffle gets fixed coders: a key that any runner can partition by, and bytes.
        self._packets = USERS_PACKETS if shards is None else KEYED_PACKETS

    def expand(self, pulls: Any) -> Any:
        """Decode each pull."""
        outputs = pulls | "Decode" >> beam.ParDo(self._decode).with_outputs(DEAD, main=DECODED)
        outputs[DECODED].element_type = self._packets
        outputs[DEAD].element_type = bytes
        return outputs


class _DecodeFn(beam.DoFn):
    def __init__(self, spec: LoadedSpec, shards: int | None, most_a_second: int, run: RemoteRun | None) -> None:
        self._spec = spec
        self._shards = shards
        self._most_a_second = most_a_second
        self._run = run

    def setup(self) -> None:
        join(self._run)
        self._plan: Plan = compile_plan(self._spec)
        self._decoder = WaitingDecoder(self._plan, self._spec.schema)
        self._hot = HotUsers(self._most_a_second)

    def start_bundle(self) -> None:
        self._ended = AckIdsSoFar()
        self._counts: Counter[str] = Counter()

    def process(self, pull: Pull | FilePull) -> Iterator[Any]:
        counters.count(counters.READ, len(pull) + len(pull.refused))
        batch, refused, _ = decoded_of(pull) or self._decoder.batch(pull.listed if isinstance(pull, FilePull) else pull)
        dead = [
            DeadLetter(message, error.reason, error.detail) for message, error in refused if error.reason != IGNORED
        ]
        if len(dead) < len(refused):  # deleted rows, where the spec has them ignored
            self._ignore([message for message, error in refused if error.reason == IGNORED])
        dead += [DeadLetter(message, *why) for message, why in pull.refused]
        packets = self._by_key(batch, dead)
        if dead:
            yield TaggedOutput(DEAD, pack_dead(dead))
        yield from packets

    def _ignore(self, messages: Sequence[Message]) -> None:
        """Count messages as ignored, and acknowledge them with the bundle."""
        self._counts[counters.IGNORED] += len(messages)
        self._ended.add(ids_by_origin(messages))

    def _by_key(self, batch: EventBatch, dead: list[DeadLetter]) -> Sequence[tuple[int | str, bytes]]:
        """Return (key, packet) of each key that has events; those from the future or of hot users go to `dead`."""
        now_us = time.time_ns() // 1000
        screened = screen(self._plan, batch, now_us)
        self._count(batch, screened, now_us)
        is_within = self._hot.within(batch)
        passed = screened == Screened.PASSED
        for at in np.flatnonzero(screened == Screened.FROM_FUTURE).tolist():
            detail = ahead_detail(self._plan, int(batch.published_us[at]), now_us)
            dead.append(DeadLetter(Message(*batch.message(at)), "from_future", detail))
        for at in np.flatnonzero(passed & ~is_within).tolist():
            dead.append(DeadLetter(Message(*batch.message(at)), *HOT))
        ended = (screened == Screened.IGNORED) | (screened == Screened.EXPIRED)
        self._ended.add(batch.ack_ids(np.flatnonzero(ended)))
        going_on = np.flatnonzero(passed & is_within)
        if self._shards is None:
            return batch.pack_by_user(going_on)
        return batch.pack_by_shard(going_on, self._shards)

    def _count(self, batch: EventBatch, screened: npt.NDArray[np.int8], now_us: int) -> None:
        expired = screened == Screened.EXPIRED
        self._counts[counters.IGNORED] += int((screened == Screened.IGNORED).sum())
        self._counts[counters.EXPIRED] += int(expired.sum())
        if self._counts[counters.EXPIRED]:
            self._counts.update(map(counters.expired_needing, keeping_days(now_us - batch.time_us[expired]).tolist()))

    def finish_bundle(self) -> None:
        self._counts.update(
            {counters.IGNORED: 0, counters.EXPIRED: 0, counters.REGISTRY_UNAVAILABLE: 0}
        )  # there before they are needed
        for name, number in self._counts.items():
            counters.count(name, number)
        acknowledge_ids(self._ended.take())
        bundle_ended()
