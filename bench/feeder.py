"""Keeps some messages waiting in a Pub/Sub topic, as a stream that is always a little ahead of its reader.

The emulator goes through all messages that wait at every pull: with 150,000 of them it takes more processor time than
everything else together, and what is measured is the emulator. So messages are published as they are read. Requests are
made ahead of time and sent as bytes, so that publishing takes little from the two cores.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

import fastavro
import grpc  # type: ignore[import-untyped]
from google.pubsub_v1 import PublishRequest

AHEAD = 20_000
"""Messages that are to wait, or to be on their way through the pipeline."""

REQUEST_MESSAGES = 1_000
REQUESTS_UNDER_WAY = 4
TIMEOUT_S = 30.0


class Feeder:
    """Publishes a file of messages (`avro/message.avsc`) to a topic, some at a time.

    Args:
        host: where the emulator answers, host:port.
        topic: `projects/P/topics/T`.
        file: the messages.
    """

    def __init__(self, host: str, topic: str, file: Path) -> None:
        self._channel = grpc.insecure_channel(host)
        self._publish = self._channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
        self._requests: deque[tuple[int, bytes]] = deque()
        self._under_way: deque[Any] = deque()
        self.sent = 0
        with file.open("rb") as opened:
            messages: Any = fastavro.reader(opened)
            while listed := list(islice(messages, REQUEST_MESSAGES)):
                made = [{"data": one["data"], "attributes": one["attributes"]} for one in listed]
                request = PublishRequest.serialize(PublishRequest(topic=topic, messages=made))
                self._requests.append((len(made), request))

    def keep_ahead(self, done: int) -> None:
        """Publish until AHEAD messages are sent and not done, or none is left."""
        while self._requests and self.sent - done < AHEAD:
            messages, request = self._requests.popleft()
            self._under_way.append(self._publish.future(request, timeout=TIMEOUT_S))
            self.sent += messages
            if len(self._under_way) >= REQUESTS_UNDER_WAY:
                self._under_way.popleft().result()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
