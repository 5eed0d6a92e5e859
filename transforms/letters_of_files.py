"""Dead letters of a job that reads files without Beam: stored where a pipeline stores them, in batches."""

from __future__ import annotations

import time

from transforms import letter_samples
from transforms.dead_letter_sinks import Sink, open_sink
from transforms.packet import DeadLetter
from user_state.errors import InputError
from user_state.history.event_source import Refused
from user_state.printable import printable

TRIES, PAUSE_S = 5, 1.0


class LetterSink:
    """Stores what a job's files hold in place of events; opened once there is something to store.

    Args:
        target: a folder, made if missing, or `pubsub://projects/P/topics/T`.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._sink: Sink | None = None
        letter_samples.reset()

    def store(self, refused: list[Refused]) -> None:
        """Return once all are stored.

        Raises:
            InputError: they cannot be.
        """
        if self._sink is None:
            self._sink = open_sink(self._target)
        left = [DeadLetter(*one) for one in refused]
        problem: Exception | None = None
        for tried in range(TRIES):
            if tried:
                time.sleep(PAUSE_S)
            stored, problem = self._sink(left)
            letter_samples.keep(letter for letter, is_stored in zip(left, stored, strict=True) if is_stored)
            left = [letter for letter, is_stored in zip(left, stored, strict=True) if not is_stored]
            if not left:
                return
        said = printable(str(problem) or type(problem).__name__)
        raise InputError(f"cannot store dead letters in {self._target}: {said}")
