"""Publishes to the Pub/Sub emulator, cheaply, and keeps a stream always a little ahead of its reader.

The emulator goes through all messages that wait at every pull: with 150,000 of them it takes more processor time than
everything else together, and what is measured is the emulator. So messages are published as they are read. Requests are
put together from raw protobuf, or ahead of time, so that publishing takes little from the two cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import fastavro
import grpc  # type: ignore[import-untyped]
from google.pubsub_v1 import PublishRequest, PubsubMessage

AHEAD = 40_000
"""Messages that are sent and not known to be read. Workers say every half second what they have read, and hold ten
thousand in queues: with half as many ahead, nothing could be faster than 30,000 a second."""

REQUEST_MESSAGES = 1_000
REQUESTS_UNDER_WAY = 4
TIMEOUT_S = 30.0

_RawRequest = type(PublishRequest.pb(PublishRequest()))
_RawMessage = type(PubsubMessage.pb(PubsubMessage()))


class Feeder:
    """Publishes to a topic.

    Args:
        host: where the emulator answers, host:port.
        topic: `projects/P/topics/T`.
        file: messages (`avro/message.avsc`) for `keep_ahead`.
    """

    def __init__(self, host: str, topic: str, file: Path) -> None:
        self._topic = topic
        self._channel = grpc.insecure_channel(host)
        self._publish = self._channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
        self._under_way: deque[Any] = deque()
        self._requests: deque[tuple[int, bytes]] = deque()
        self.sent = 0
        with file.open("rb") as opened:
            messages: Any = fastavro.reader(opened)
            while listed := list(islice(messages, REQUEST_MESSAGES)):
                self._requests.append(
                    (len(listed), self._request([(one["data"], one["attributes"]) for one in listed]))
                )

    def keep_ahead(self, read: int, most: int) -> None:
        """Publish until AHEAD messages are sent and not read, or `most` are sent, or none is left."""
        while self._requests and self.sent < most and self.sent - read < AHEAD:
            messages, request = self._requests.popleft()
            self._send(request)
            self.sent += messages

    def publish(self, bodies: Sequence[bytes]) -> None:
        """Publish these."""
        for begin in range(0, len(bodies), REQUEST_MESSAGES):
            self._send(self._request([(body, {}) for body in bodies[begin : begin + REQUEST_MESSAGES]]))
        self.sent += len(bodies)

    def close(self) -> None:
        """Wait for what is under way, and close the channel."""
        while self._under_way:
            self._under_way.popleft().result()
        self._channel.close()

    def _request(self, messages: Sequence[tuple[bytes, dict[str, str]]]) -> bytes:
        made = [_RawMessage(data=data, attributes=attributes) for data, attributes in messages]
        request: bytes = _RawRequest(topic=self._topic, messages=made).SerializeToString()
        return request

    def _send(self, request: bytes) -> None:
        self._under_way.append(self._publish.future(request, timeout=TIMEOUT_S))
        if len(self._under_way) >= REQUESTS_UNDER_WAY:
            self._under_way.popleft().result()
