"""Reads for a client and logs what it answers to sampled users: what a call does for its log."""

from __future__ import annotations

from user_state.answers.log import AnswerLog
from user_state.answers.tables import Answer, rows_of
from user_state.spec import LoadedSpec
from user_state.state_reads import StateRead, StateReads


class Recording:
    """One client's log.

    Args:
        log: where answers go.
        spec: what answers are made by.
    """

    def __init__(self, log: AnswerLog, spec: LoadedSpec) -> None:
        log.of_spec(spec)
        self.log = log

    def read(
        self, reads: StateReads, generation: str, users: tuple[str, ...], at_us: int, select: tuple[str, ...] | None
    ) -> StateRead:
        """Read as `reads` does, and log what was read of the sampled users."""
        try:
            rows = self.log.sampled(users)
        except UnicodeEncodeError:
            rows = []  # the reading says what is wrong with them
        read = reads.read(users, at_us, select, rows)
        if rows:
            finished, reader = read.finished, reads.reader_of(select)
            errors = finished.errors
            self.log.put(
                Answer(
                    users=tuple(users[row] for row in rows),
                    at_us=at_us,
                    records=read.kept,
                    values=finished.values[rows],
                    errors={at: errors[row] for at, row in enumerate(rows) if row in errors} if errors else {},
                    finished=rows_of(finished, rows) if reader.composes else None,
                    again=reader.features,
                    plan=reader.plan,
                    generation=generation,
                )
            )
        return read
