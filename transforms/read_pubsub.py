"""Read a Pub/Sub subscription as pulls: one `Pull` of messages per pull budget, on DirectRunner and Flink alike.

A splittable DoFn whose restriction never ends: each call takes what the process's puller has, emits it as one element
(elements cost more than bytes), and defers the rest of time. It holds no client and no message: both belong to the
process (`transforms.pubsub_puller`), and an instance left idle strands nothing.

Who acknowledges, one of

- **the step that stored** what became of a message (the default): ack ids travel with the messages, and nothing
  depends on the runner's checkpoints;
- **the runner's bundle finalizers**, for pipelines that end in the runner's own state: `transforms.pubsub_pending`
  says how that is made safe. Messages then carry no ack id, so that no step acknowledges them by mistake.

Pulls carry the wall time at which they began, and the watermark follows that time, whether anything comes or not. So no
message is ever late for the runner: one that was not acknowledged comes in a later pull, with its time. Event time
plays no part here, it is judged per user where events are folded.

docs/pubsub-source.md tells how to use this in other pipelines.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms import metrics
from transforms.drain import draining, paused
from transforms.letter_forms import opened
from transforms.pubsub_check import parse_subscription
from transforms.pubsub_pending import PROCESS, pending_of
from transforms.pubsub_puller import puller_of
from transforms.pull import Pull
from user_state.errors import shorten
from user_state.events.message import Message
from user_state.events.publish_times import EXPECTED, publish_time_us
from user_state.events.segments import Refusal, Why

FIRST_WAIT_S = 0.1
"""How long a call waits for a first message."""

IDLE_DEFER_S = 0.1
"""How long the runner is asked to wait after a call that found nothing."""


class ReadFromPubSubSubscription(beam.PTransform):
    """Pulls of a subscription: `Pull`, a list of messages, timestamped with the wall time of the pull.

    Args:
        subscription: `projects/P/subscriptions/S`, with or without `pubsub://`.
        shards: readers the runner may spread over workers.
        pull_budget_s: longest a call gathers messages into one element, seconds.
        max_messages: most messages of one element.
        ack_deadline_s: lease set on each message when pulled, seconds; 0 leaves the subscription's own.
        publish_time_attribute: attribute that holds the publish time (`events.publish_times`), where history is
            replayed; a message without it keeps the time Pub/Sub gave it, one with anything else in it is `invalid`.
        finalized: acknowledge what the runner says is safe, instead of leaving it to later steps. The runner must take
            checkpoints that do not overlap.

    Raises:
        InputError: `subscription` is no subscription path.
    """

    def __init__(
        self,
        subscription: str,
        *,
        shards: int = 2,
        pull_budget_s: float = 0.3,
        max_messages: int = 5000,
        ack_deadline_s: int = 60,
        publish_time_attribute: str | None = None,
        finalized: bool = False,
    ) -> None:
        super().__init__()
        self._shards = shards
        kind = _FinalizedPullFn if finalized else _PullFn
        self._read = kind(
            subscription=parse_subscription(subscription),
            pull_budget_s=pull_budget_s,
            max_messages=max_messages,
            ack_deadline_s=ack_deadline_s,
            publish_time_attribute=publish_time_attribute,
        )

    def expand(self, pbegin: Any) -> Any:
        """Give each shard a reader that never ends."""
        return (
            pbegin
            | "Impulse" >> beam.Impulse()  # not Create, whose steps are named after lines of Beam's source
            | "Shards" >> beam.ParDo(_ShardsFn(self._shards)).with_output_types(str)
            | "SpreadShards" >> beam.Reshuffle()
            | "Pull" >> beam.ParDo(self._read).with_output_types(Pull)
        )


class _ShardsFn(beam.DoFn):
    """Names the readers."""

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def process(self, impulse: bytes) -> Iterator[str]:
        for number in range(self._shards):
            yield f"shard-{number}"


def message_of(received: Any, origin: str) -> Message:
    """Return a received message (raw protobuf) as a Message; `publish_us` is Pub/Sub's."""
    body = received.message
    found = body.attributes
    attributes = dict(found) if found else {}  # copying protobuf's map costs more than all the rest
    published = body.publish_time
    publish_us = published.seconds * 1_000_000 + published.nanos // 1000
    data = body.data
    if attributes:
        data, attributes = opened(data, attributes)
    return Message(data, attributes, publish_us, received.ack_id, origin)


def delivered_before(received: Iterable[Any]) -> int:
    """Return how many received messages (raw protobuf) Pub/Sub says it has delivered before.

    It counts attempts, from 1, where the subscription has a dead-letter policy; elsewhere all messages have 0.
    """
    return sum(one.delivery_attempt > 1 for one in received)


def with_publish_times(messages: Iterable[Message], attribute: str | None) -> Pull:
    """Return a pull of messages whose publish times are what an attribute says, where they have it.

    What the attribute says in vain is refused as `invalid`: Pub/Sub's own time would make history look years late.
    """
    if attribute is None:
        return Pull(messages)
    pull, refused = Pull(), []
    for message in messages:
        text = message.attributes.get(attribute)
        published_us = message.publish_us if text is None else publish_time_us(text)
        if published_us is None and text is not None:
            detail = f"attribute {attribute} is {shorten(text)}; expected {EXPECTED}"
            refused.append(Refusal(message, Why("invalid", detail)))
        else:
            pull.append(message._replace(publish_us=published_us))
    pull.refused = refused
    return pull


class _EndlessTracker(RestrictionTracker):
    """A restriction that never ends: it is going on, or was handed back. It says how often, and by which process."""

    def __init__(self, shard: str) -> None:
        self._shard = shard
        self._handed_back = False

    def current_restriction(self) -> str:
        return self._shard

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(completed=0.0, remaining=1.0)  # Prism fails on a progress that is not finite

    def check_done(self) -> bool:
        return True  # a drain ends it anywhere

    def is_bounded(self) -> bool:
        return False

    def try_claim(self, position: Any) -> bool:
        return not self._handed_back

    def try_split(self, fraction_of_remainder: float) -> tuple[str, str] | None:
        if fraction_of_remainder != 0 or self._handed_back:
            return None
        self._handed_back = True
        return self._shard, str(Place.of(self._shard).next(PROCESS))


class Place(NamedTuple):
    """Where a shard's reading is: the text of its restriction, `shard@position@process`.

    Attributes:
        shard: its name.
        position: how often it was handed back.
        process: who handed it back last; empty for nobody, and in savepoints of earlier versions.
    """

    shard: str
    position: int
    process: str

    @classmethod
    def of(cls, restriction: str) -> Place:
        """Return the place that a restriction says.

        >>> Place.of("shard-0@7@ab12"), Place.of("shard-0@7")
        (Place(shard='shard-0', position=7, process='ab12'), Place(shard='shard-0', position=7, process=''))
        """
        shard, position, process = (*restriction.split("@"), "")[:3]
        return cls(shard, int(position), process)

    def next(self, process: str) -> Place:
        """Return the place that follows when `process` hands the shard back.

        >>> str(Place.of("shard-0@7").next("ab12"))
        'shard-0@8@ab12'
        """
        return Place(self.shard, self.position + 1, process)

    def __str__(self) -> str:
        return f"{self.shard}@{self.position}@{self.process}"


class _EndlessRestrictions(RestrictionProvider):
    """The shard's name and how often it was handed back, as text, stand for all of its future.

    Text, not a number: Beam takes a false-like remainder, such as 0, for none, and ends the read in silence.
    """

    def initial_restriction(self, element: str) -> str:
        return f"{element}@0"

    def create_tracker(self, restriction: str) -> _EndlessTracker:
        return _EndlessTracker(restriction)

    def restriction_size(self, element: str, restriction: str) -> int:
        return 1

    def restriction_coder(self) -> StrUtf8Coder:
        return StrUtf8Coder()

    def truncate(self, element: str, restriction: str) -> None:
        return None  # a runner that drains the pipeline need not read on


_LAG = metrics.gauge("source_lag_ms")
_AHEAD = metrics.gauge("pulled_ahead")
_AGAIN = metrics.counter("redelivered")
# How Beam is told what to pass to `process`: by default values of these types.
_TRACKER = beam.DoFn.RestrictionParam(_EndlessRestrictions())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())
_FINALIZER = beam.DoFn.BundleFinalizerParam


class _PullFn(beam.DoFn):
    """Takes from the process's puller, once a call."""

    def __init__(
        self,
        *,
        subscription: str,
        pull_budget_s: float,
        max_messages: int,
        ack_deadline_s: int,
        publish_time_attribute: str | None,
    ) -> None:
        self._subscription = subscription
        self._pull_budget_s = pull_budget_s
        self._max_messages = max_messages
        self._ack_deadline_s = ack_deadline_s
        self._publish_time_attribute = publish_time_attribute

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        shard: str,
        tracker: Any = _TRACKER,
        watermark: Any = _WATERMARK,
    ) -> Iterator[TimestampedValue]:
        """Emit at most one pull."""
        yield from self._read_on(shard, tracker, watermark)

    def _read_on(self, shard: str, tracker: Any, watermark: Any) -> Iterator[TimestampedValue]:
        puller = puller_of(self._subscription, self._ack_deadline_s)
        if draining():
            puller.halt()
            return
        if not tracker.try_claim(shard):
            return
        began = Timestamp.now()
        reached = watermark.current_watermark()
        if reached is not None and reached > began:
            began = reached  # the wall clock may be set back; a watermark may not
        if paused():
            puller.halt()
            received = []
        else:
            received = puller.take(self._max_messages, self._pull_budget_s, FIRST_WAIT_S, reader=shard)
        lag_us = 0
        if received:
            origin, attribute = self._subscription, self._publish_time_attribute
            pull = with_publish_times((message_of(one, origin) for one in received), attribute)
            published_us = [message.publish_us or 0 for message in pull]
            lag_us = time.time_ns() // 1000 - min(published_us, default=time.time_ns() // 1000)
            yield TimestampedValue(pull, began)
        _AGAIN.inc(delivered_before(received))
        _LAG.set(max(0, lag_us // 1000))
        _AHEAD.set(puller.waiting)
        watermark.set_watermark(began)
        if not draining():
            tracker.defer_remainder(Duration(seconds=0 if received else IDLE_DEFER_S))


class _FinalizedPullFn(_PullFn):
    """The same, acknowledging what the runner has finalized for long enough."""

    @beam.DoFn.unbounded_per_element()
    def process(  # the finalizer has to come before the other two: Beam passes them by place
        self,
        shard: str,
        finalizer: Any = _FINALIZER,
        tracker: Any = _TRACKER,
        watermark: Any = _WATERMARK,
    ) -> Iterator[TimestampedValue]:
        """Emit at most one pull."""
        pending = pending_of(self._subscription, shard, self._ack_deadline_s)
        place = Place.of(tracker.current_restriction())
        ticket = pending.began(place.position, place.process)
        for pull in self._read_on(shard, tracker, watermark):
            pending.passed_on(message.ack_id for message in (*pull.value, *(one.message for one in pull.value.refused)))
            passed = Pull(message._replace(ack_id=None) for message in pull.value)
            passed.refused = [one._replace(message=one.message._replace(ack_id=None)) for one in pull.value.refused]
            yield TimestampedValue(passed, pull.timestamp)
        named = pending.finalizer(ticket)
        if named is not None:
            finalizer.register(named)
