"""All errors of this package, as one tree.

    UserStateError                 something the caller can act on; the CLI prints it and exits with 2
    +-- SpecError                  the spec file is invalid: names file, line, value and what is accepted
    +-- EventError                 invalid bytes or fields of an event (`reason`, `detail`)
    +-- CodecError                 invalid bytes of a record, of remembered ids or of a layout; a record that cannot
                                   answer for the time it is read at
    +-- InputError                 an input, output or option that cannot be used
    +-- NotCompiled                the compiled core was not built for this Python; an ImportError too
    +-- StoreError                 Redis refuses, and a retry does not help: a key of another type, ...
        +-- StoreUnavailable       Redis cannot be reached or is not ready; a retry can help
        |   +-- StoreDenied        Redis refuses the password, or a right; a retry helps after that is fixed
        |   +-- RegistryUnavailable  the schema registry does not answer as one, or refuses us; as with a store
        +-- SpecSuperseded         a newer spec writes these records; this run must stop

A command that has not started its work reports any of them immediately. A running pipeline waits while the store is
unavailable or denied: a password may have been changed in Redis, and not yet for the pipeline.

Third-party errors are converted to one of these once, where the third party is called, `from exc`.
Messages are lower case without a full stop: what was expected, what came, where, and the likely cause.
"""

from __future__ import annotations


class UserStateError(Exception):
    """Base of all errors of this package."""


class SpecError(UserStateError):
    """The spec cannot be used."""


class EventError(UserStateError):
    """Invalid bytes or fields of an event.

    Attributes:
        reason: the dead-letter reason, `undecodable` or `invalid`.
        detail: one line for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CodecError(UserStateError):
    """Stored bytes of a record, of remembered ids or of a layout that cannot be read, or not for the time asked for."""


class InputError(UserStateError):
    """An input, output or option that cannot be used."""


class NotCompiled(UserStateError, ImportError):
    """The compiled core was not built for this Python."""


class StoreError(UserStateError):
    """Redis refuses, and a retry does not help."""


class StoreUnavailable(StoreError):
    """Redis cannot be reached, is loading, full or read-only: a retry can help."""


class SpecSuperseded(StoreError):
    """A newer spec of the same name writes these records; writers with an older one must stop."""


class StoreDenied(StoreUnavailable):
    """Redis refuses the user, the password or a right: a retry helps after that is fixed."""


class RegistryUnavailable(StoreUnavailable):
    """The schema registry cannot be reached, answers as none would, or refuses us: a retry can help."""


def shorten(value: object, limit: int = 80) -> str:
    """Return `repr(value)` cut to `limit` characters, for messages.

    >>> shorten("a" * 100, 12)
    "'aaaaaaaa..."
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
