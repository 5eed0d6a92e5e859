"""What a source emits: the messages of one pull, as one element.

A type of its own for its coder's sake. Sources and the decoder run in one stage, so that pulls are never encoded to
travel; but Beam samples how large elements are, nearly every pull of a short bundle, and of a plain list it finds out
by pickling it. That took more than decoding.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.coders import Coder, registry

from user_state.events.avro_blocks import each_message
from user_state.events.decode import Decoded
from user_state.events.message import Message
from user_state.events.segments import Refusal
from user_state.state.event_batch import MessageList

MESSAGE_BYTES = 250
"""About what a message's publish time, origin and acknowledgement id take."""


class Pull(list[Message]):
    """Messages that came together, in order.

    Attributes:
        refused: others that the source knows to be no event of use, and why.
    """

    refused: Sequence[Refusal] = ()


class FilePull:
    """The same of files, not yet taken apart into objects of Python.

    Args:
        listed: the messages.
        size: about how many bytes they have.
        refused: as a `Pull` has them.
        decoded: the events of `listed`, where the source had to decode them already.
    """

    def __init__(
        self,
        listed: MessageList | Sequence[Message],
        size: int,
        refused: Sequence[Refusal] = (),
        decoded: Decoded | None = None,
    ) -> None:
        self.listed = listed
        self.size = size
        self.refused = refused
        self.decoded = decoded

    def __len__(self) -> int:
        return len(self.listed)

    def __iter__(self) -> Iterator[Message]:
        return each_message(self.listed)


def decoded_of(pull: Pull | FilePull) -> Decoded | None:
    """Return the events of a pull that were decoded already."""
    return pull.decoded if isinstance(pull, FilePull) else None


class PullCoder(Coder):
    """Pickles pulls, whose size it estimates without doing so. Written and read by the same code, never stored."""

    def encode(self, value: Pull | FilePull) -> bytes:
        """Return the pull's bytes."""
        pull = Pull(value)
        pull.refused = list(value.refused)
        return pickle.dumps(pull, protocol=5)

    def decode(self, encoded: bytes) -> Pull:
        """Return the pull."""
        return pickle.loads(encoded)  # type: ignore[no-any-return]  # noqa: S301 - written by this pipeline, see above

    def estimate_size(self, value: Pull | FilePull) -> int:
        """Return about how many bytes the pull would be."""
        if isinstance(value, FilePull):
            return value.size
        return sum(len(message.data) for message in value) + MESSAGE_BYTES * len(value)

    def is_deterministic(self) -> bool:
        """Return False: nobody groups by pulls."""
        return False

    def to_type_hint(self) -> type[Pull]:
        """Return what this is the coder of."""
        return Pull

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


registry.register_coder(Pull, PullCoder)
