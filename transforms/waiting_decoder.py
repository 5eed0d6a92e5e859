"""Decoding that waits for the schema registry: while it is away, no message can be said to be of no known schema."""

from __future__ import annotations

from collections.abc import Sequence

from transforms import counters
from transforms.backoff import Backoff
from user_state.events.decode import Decoded, EventDecoder
from user_state.events.message import Message
from user_state.state.event_batch import MessageList


class WaitingDecoder(EventDecoder):
    """Decodes as any other; where a schema has to be asked for, it waits as long as that takes."""

    def batch(self, messages: Sequence[Message] | MessageList) -> Decoded:
        """Return the events of messages.

        Raises:
            RegistryUnavailable: the pipeline drains, and the registry stays away.
        """
        decode = super().batch
        return Backoff(counters.REGISTRY_UNAVAILABLE).to_get(lambda: decode(messages))
