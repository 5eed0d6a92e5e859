"""Records and remembered ids as Redis would hold them, in a dict: the store of one process that measures."""

from __future__ import annotations

from collections.abc import Sequence

from user_state.plan.layout import Layout
from user_state.state.envelope import version_of
from user_state.store.registry import Writer
from user_state.store.store import Answer, Refused, Replaced, Replacement, Stored


class MemoryStore:
    """A `StateStore` without a server; nobody else writes to it."""

    def __init__(self) -> None:
        self._held: dict[str, Stored] = {}
        self._layouts: dict[bytes, Layout] = {}
        self._replaced: dict[str, None] = {}

    def read(self, users: Sequence[str]) -> list[Stored]:
        """Return what is held of each user."""
        nothing = Stored(None, None)
        return [self._held.get(user, nothing) for user in users]

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """Replace those whose version is still the expected one."""
        answers: list[Answer | Refused] = []
        for new in replacements:
            held = self._held.get(new.user)
            matches = version_of(None if held is None else held.record) == new.expected
            if matches and new.record is not None:
                self._held[new.user] = Stored(new.record, new.seen)
                self._replaced[new.user] = None
            answers.append(Answer.DONE if matches else Answer.CONFLICT)
        return Replaced(answers)

    def take_replaced(self) -> list[str]:
        """Return whose bytes were replaced since the last call."""
        replaced, self._replaced = list(self._replaced), {}
        return replaced

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that was registered, or None."""
        return self._layouts.get(fingerprint)

    def claim(self, writer: Writer) -> None:
        """Remember the writer's layout; nobody else writes here."""
        self._layouts[writer.layout.fingerprint] = writer.layout
