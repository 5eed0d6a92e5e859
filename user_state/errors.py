"""Every error this package raises, in one tree.

    UserStateError                 something the caller can act on; the CLI prints it and exits with 2
    +-- SpecError                  the spec file is wrong: says file, line, value and what is accepted
    +-- EventError                 bytes or fields that are no valid event (`reason`, `detail`)
    +-- CodecError                 bytes that are no valid record, seen-ids or layout
    +-- InputError                 an input, output or option that cannot be used
    +-- NotCompiled                the compiled core was not built for this Python; an ImportError too
    +-- StoreError                 Redis said no, for good: no such mode, a key of another type, ...
        +-- StoreUnavailable       Redis cannot be reached or is not ready; trying again may help
        |   +-- StoreDenied        Redis refuses the password, or a right; it helps once somebody has mended that
        +-- SpecSuperseded         a newer spec writes these records; this run has to stop

A command that has not begun its work reports any of them at once. A pipeline at work waits while the store is
unavailable, and so while it is denied to it: somebody may have changed a password, and not yet told the pipeline.

Third-party errors become one of these once, at the edge that calls the third party, `from exc`.
Messages are lower case without a full stop: what was expected, what came, where, and the likely cause.
"""

from __future__ import annotations


class UserStateError(Exception):
    """Base of every error raised on purpose."""


class SpecError(UserStateError):
    """The spec cannot be used."""


class EventError(UserStateError):
    """Bytes or fields that are no valid event.

    Attributes:
        reason: the dead-letter reason, `undecodable` or `invalid`.
        detail: one line for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CodecError(UserStateError):
    """Stored bytes that are no valid record, seen-ids or layout."""


class InputError(UserStateError):
    """An input, output or option that cannot be used."""


class NotCompiled(UserStateError, ImportError):
    """The compiled core was not built for this Python."""


class StoreError(UserStateError):
    """Redis refused, and trying again will not help."""


class StoreUnavailable(StoreError):
    """Redis cannot be reached, is loading, full or read-only: trying again may help."""


class SpecSuperseded(StoreError):
    """A newer spec of the same name writes these records; whoever writes by an older one has to stop."""


class StoreDenied(StoreUnavailable):
    """Redis refuses user, password or a right: trying again helps once somebody has mended that."""


def shorten(value: object, limit: int = 80) -> str:
    """Return `repr(value)` cut to `limit` characters, for messages.

    >>> shorten("a" * 100, 12)
    "'aaaaaaaa..."
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
