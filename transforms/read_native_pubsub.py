"""Read a Pub/Sub subscription as pulls with the runner's own source: for Dataflow, which replaces Beam's read by it.

Dataflow's service pulls, deduplicates redeliveries by message id, and acknowledges what it has committed to its own
shuffle. So messages come without acknowledgement ids, and nobody behind acknowledges. Beam's `id_label` is not used: it
wants the event's id as an attribute and forgets it after ten minutes, while the fold knows ids for `allowed_lateness`.

The messages of a bundle become one element, a pull, as the steps behind expect: elements cost more than bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.letter_forms import opened
from transforms.pubsub_check import parse_subscription
from transforms.pull import Pull
from transforms.read_pubsub import with_publish_times
from user_state.events.message import Message

PULL_MESSAGES = 5_000
PULL_BYTES = 8 << 20
_TIME = beam.DoFn.TimestampParam


class ReadFromNativePubSub(beam.PTransform):
    """Pulls of a subscription: `Pull`, a list of messages, timestamped with the latest publish time among them.

    Args:
        subscription: `projects/P/subscriptions/S`, with or without `pubsub://`.
        publish_time_attribute: as for `ReadFromPubSubSubscription`.

    Raises:
        InputError: `subscription` is no subscription path.
    """

    def __init__(self, subscription: str, *, publish_time_attribute: str | None = None) -> None:
        super().__init__()
        self._subscription = parse_subscription(subscription)
        self._attribute = publish_time_attribute

    def expand(self, pbegin: Any) -> Any:
        """Read, and gather what comes together."""
        messages = pbegin | "Messages" >> ReadFromPubSub(subscription=self._subscription, with_attributes=True)
        return messages | "Gather" >> beam.ParDo(_GatherFn(self._subscription, self._attribute)).with_output_types(Pull)


class _GatherFn(beam.DoFn):
    def __init__(self, origin: str, publish_time_attribute: str | None) -> None:
        self._origin = origin
        self._attribute = publish_time_attribute

    def start_bundle(self) -> None:
        self._pull = Pull()
        self._bytes = 0
        self._latest: Any = None

    def process(self, message: PubsubMessage, timestamp: Any = _TIME) -> Iterator[Pull]:
        data, attributes = opened(message.data or b"", dict(message.attributes or {}))
        published = message.publish_time
        # In whole microseconds: a float of seconds has too few digits.
        publish_us = None if published is None else int(published.timestamp()) * 1_000_000 + published.microsecond
        self._pull.append(Message(data, attributes, publish_us, None, self._origin))
        self._bytes += len(data)
        self._latest = timestamp if self._latest is None else max(self._latest, timestamp)
        if len(self._pull) >= PULL_MESSAGES or self._bytes >= PULL_BYTES:
            yield with_publish_times(self._pull, self._attribute)
            self._pull, self._bytes = Pull(), 0

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._pull:
            yield WindowedValue(with_publish_times(self._pull, self._attribute), self._latest, [GlobalWindow()])
