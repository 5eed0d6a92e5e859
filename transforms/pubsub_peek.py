"""Dead letters on a Pub/Sub topic, looked at through a subscription without taking them.

What is pulled is leased, and given back as soon as the looking is over, so that it comes again to whoever reads it
next; or it is acknowledged, once it was published elsewhere. A topic itself keeps nothing that can be read: one of its
subscriptions does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from transforms.letter_forms import CUT, DETAIL, ORIGIN, REASON, opened
from transforms.pubsub_check import PUBSUB
from user_state.dead_letters.letters import Letter
from user_state.errors import InputError

PULL_MESSAGES = 1000
IDLE_S = 3.0
"""How long nothing has to come before a subscription counts as empty."""
LEASE_S = 600
ACKS_AT_ONCE = 1000


class Leased(NamedTuple):
    """A dead letter, and what acknowledges it."""

    letter: Letter
    ack_id: str


class Peek:
    """A subscription that dead letters are looked at through.

    Args:
        where: `pubsub://projects/P/subscriptions/S`, or a topic that has exactly one subscription.

    Raises:
        InputError: there is no such subscription or topic, or the topic has none or several.
    """

    def __init__(self, where: str) -> None:
        from google.cloud.pubsub_v1 import SubscriberClient

        self.subscription = _subscription_of(where)
        self._client = SubscriberClient()
        self._leased: list[str] = []
        self.others = 0

    def letters(self, most: int) -> Iterator[Leased]:
        """Yield up to `most` dead letters; `others` counts messages without a reason, which are none.

        Raises:
            InputError: the subscription cannot be read.
        """
        from google.api_core.exceptions import DeadlineExceeded, GoogleAPIError

        seen: set[str] = set()
        last_s, found = time.monotonic(), 0
        while found < most and time.monotonic() - last_s < IDLE_S:
            wanted = min(PULL_MESSAGES, most - found)
            try:
                pulled = self._client.pull(subscription=self.subscription, max_messages=wanted, timeout=IDLE_S)
            except DeadlineExceeded:
                continue
            except GoogleAPIError as exc:
                raise InputError(f"cannot read {self.subscription}: {exc}") from exc
            taken = [held.ack_id for held in pulled.received_messages]
            self._leased += taken
            self._modify(taken, LEASE_S)
            for held in pulled.received_messages:
                if held.message.message_id in seen:
                    continue
                seen.add(held.message.message_id)
                last_s = time.monotonic()
                letter = letter_of(held.message)
                if letter is None:
                    self.others += 1
                    continue
                found += 1
                yield Leased(letter, held.ack_id)

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Take these for good."""
        taken = list(ack_ids)
        for at in range(0, len(taken), ACKS_AT_ONCE):
            self._client.acknowledge(subscription=self.subscription, ack_ids=taken[at : at + ACKS_AT_ONCE])
        self._leased = [held for held in self._leased if held not in set(taken)]

    def close(self) -> None:
        """Give back what was not acknowledged."""
        self._modify(self._leased, 0)
        self._client.close()

    def _modify(self, ack_ids: list[str], lease_s: int) -> None:
        for at in range(0, len(ack_ids), ACKS_AT_ONCE):
            self._client.modify_ack_deadline(
                subscription=self.subscription, ack_ids=ack_ids[at : at + ACKS_AT_ONCE], ack_deadline_seconds=lease_s
            )


@contextmanager
def peeking(where: str) -> Iterator[Peek]:
    """Look at dead letters for the length of a `with` block; what was not acknowledged is given back."""
    peek = Peek(where)
    try:
        yield peek
    finally:
        peek.close()


def letter_of(message: Any) -> Letter | None:
    """Return the dead letter that a Pub/Sub message carries, with the message as it was; None if it carries none."""
    attributes = dict(message.attributes)
    if REASON not in attributes:
        return None
    as_it_was = opened(message.data, attributes)
    detail = attributes.get(DETAIL, "")
    if CUT in attributes:
        detail += f" (only the beginning of the message is here: there were {attributes[CUT]})"
    refused_us = message.publish_time.timestamp() * 1_000_000 if message.publish_time else None
    return Letter(
        as_it_was.data,
        as_it_was.attributes,
        None,  # the topic has the time of the letter alone
        attributes[REASON],
        detail,
        attributes.get(ORIGIN, ""),
        None if refused_us is None else round(refused_us),
    )


def _subscription_of(where: str) -> str:
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.cloud.pubsub_v1 import PublisherClient

    from transforms.pubsub_check import check_subscription

    path = where.removeprefix(PUBSUB)
    if "/topics/" not in path:
        check_subscription(where)
        return path
    try:
        found: list[str] = sorted(PublisherClient().list_topic_subscriptions(topic=path))
    except NotFound as exc:
        raise InputError(f"there is no topic {path}") from exc
    except GoogleAPIError as exc:
        raise InputError(f"cannot look for subscriptions of {path}: {exc}") from exc
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"{path} has no subscription, so it keeps no message; make one before letters are written")
    raise InputError(f"{path} has {len(found)} subscriptions; name one of them: {', '.join(found)}")
