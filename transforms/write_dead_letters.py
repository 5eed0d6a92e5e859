"""Dead letters, stored durably with their bytes, then acknowledged.

What cannot be stored, since the topic is gone or the disk is full, must neither be lost nor hold up the others:

- messages that this pipeline acknowledges are given back: not acknowledged, they come again when their leases end;
- for all others, those of files and those that the runner acknowledges by itself, the bundle waits.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import apache_beam as beam

from transforms import counters, letter_samples
from transforms.acknowledge import acknowledge_messages
from transforms.backoff import Backoff
from transforms.dead_letter_sinks import Sink, open_sink
from transforms.health import goes_on, hindered
from transforms.packet import DeadLetter, unpack_dead
from transforms.remote_run import bundle_ended
from user_state.errors import StoreUnavailable
from user_state.printable import printable

TROUBLE_LASTS_S = 90.0
"""What is given back comes again when its lease ends, usually after a minute; only then is it known to be stored."""

_LOG = logging.getLogger(__name__)


class WriteDeadLetters(beam.PTransform):
    """Packets of dead letters -> stored.

    Args:
        target: a folder, made if missing, or `pubsub://projects/P/topics/T`.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def expand(self, packets: Any) -> Any:
        """Store each bundle's dead letters."""
        return packets | "Store" >> beam.ParDo(_StoreFn(self._target))


class _StoreFn(beam.DoFn):
    def __init__(self, target: str) -> None:
        self._target = target

    def setup(self) -> None:
        self._sink: Sink = open_sink(self._target)

    def start_bundle(self) -> None:
        self._letters: list[DeadLetter] = []

    def process(self, packet: bytes) -> None:
        self._letters += unpack_dead(packet)

    def finish_bundle(self) -> None:
        if not self._letters:
            return
        self._store_or_give_back([letter for letter in self._letters if letter.message.ack_id is not None])
        self._store_waiting([letter for letter in self._letters if letter.message.ack_id is None])
        counters.count(counters.DEAD_LETTERS_UNAVAILABLE, 0)  # there before it is needed
        bundle_ended()

    def _store_or_give_back(self, letters: list[DeadLetter]) -> None:
        left, problem = self._store(letters)
        counters.count(counters.GIVEN_BACK, len(left))
        if problem is not None:
            counters.count(counters.DEAD_LETTERS_UNAVAILABLE)
            hindered(self._target, problem, TROUBLE_LASTS_S)
            _LOG.warning("%d messages are given back and come again: %s", len(left), problem)

    def _store_waiting(self, letters: list[DeadLetter]) -> None:
        """Store all.

        Raises:
            StoreUnavailable: the pipeline drains and they could not be stored for a while.
        """
        left = letters

        def store() -> None:
            nonlocal left
            left, problem = self._store(left)
            if problem is not None:
                raise StoreUnavailable(problem)

        Backoff(counters.DEAD_LETTERS_UNAVAILABLE).for_store(store)

    def _store(self, letters: list[DeadLetter]) -> tuple[list[DeadLetter], str | None]:
        """Store, acknowledge and count what can be stored; return the others, and what kept them from it."""
        if not letters:
            return [], None
        stored, problem = self._sink(letters)
        done = [letter for letter, is_stored in zip(letters, stored, strict=True) if is_stored]
        letter_samples.keep(done)
        acknowledge_messages(letter.message for letter in done)
        counters.count(counters.DEAD_LETTER, len(done))
        for reason, held in Counter(letter.reason for letter in done).items():
            counters.count(f"{counters.DEAD_LETTER}_{reason}", held)
        left = [letter for letter, is_stored in zip(letters, stored, strict=True) if not is_stored]
        if problem is None:
            goes_on(self._target)
            return left, None
        said = printable(str(problem) or type(problem).__name__)
        return left, f"cannot store dead letters in {self._target}: {said}"
