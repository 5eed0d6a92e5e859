"""What a message's attributes say of its body, and how a body is unpacked before it is decoded.

    content-encoding            gzip: the body is decompressed, at most MOST_UNPACKED_BYTES; identity; no other
    googclient_schemaencoding   as Pub/Sub says it of a topic with a schema: BINARY goes with `encoding: raw`, JSON with
                                `encoding: json`
    googclient_schemarevisionid which revision of that schema the event is of, if the spec tells them apart

Names of attributes are taken in any case. What does not go with the spec is refused, though the body may look right:
who sends it says otherwise. A message keeps its bytes and attributes as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from user_state.errors import EventError
from user_state.events.containers import Contained, only_record, read_head
from user_state.events.known_writers import KnownWriters, Unreadable
from user_state.events.unpacking import Limited
from user_state.events.writers import SINGLE_OBJECT, head_of
from user_state.spec.bodies import Bodies, Encoding
from user_state.state.event_batch import MessageList

COMPRESSION = "content-encoding"
PUBSUB_ENCODING = "googclient_schemaencoding"
REVISION = "googclient_schemarevisionid"
_PLAIN = {"", "identity"}
_OF_PUBSUB: dict[str, Encoding] = {"BINARY": "raw", "JSON": "json"}
Unpack = Callable[[], bytes | tuple[str, str]]
"""Returns the body as it is decoded, or reason and detail."""


class Unpacking:
    """Finds the messages whose bodies are not decoded as they stand.

    Args:
        bodies: what the spec says.
        own: the fingerprint of the spec's schema.
        known: which schemas can be read; those that bodies bring along are added.
    """

    def __init__(self, bodies: Bodies, own: bytes, known: KnownWriters) -> None:
        encoding = self._encoding = bodies.encoding
        self._revisions = bodies.by_revision
        self._known = known
        fitting = {name for name, one in _OF_PUBSUB.items() if one == encoding}
        self._asked = {COMPRESSION: _PLAIN, PUBSUB_ENCODING: fitting}
        if self._revisions:
            self._asked[REVISION] = {name for name, one in self._revisions.items() if one.fingerprint == own}

    def of_messages(self, held: MessageList) -> dict[int, Unpack]:
        """Return, by index, how bodies are unpacked that have to be."""
        self._known.forget_some()
        found: dict[int, dict[str, str]] = {}
        for at, name, value in held.attributes_but(self._asked):
            found.setdefault(at, {})[name] = value
        if self._encoding == "container":
            return {at: self._of_container(held, at, found.get(at, {})) for at in range(len(held))}
        return {at: self._later(held, at, said) for at, said in found.items()}

    def unpacked(self, body: bytes, attributes: Mapping[str, str]) -> bytes:
        """Return one body as it is decoded.

        Raises:
            EventError: `undecodable`.
        """
        body = self._headed(body, self._said(attributes))
        if self._encoding != "container" or body.startswith(SINGLE_OBJECT):
            return body
        return self._event_of(body, *self._head(body))

    def decompressed(self, body: bytes, attributes: Mapping[str, str]) -> bytes:
        """Return a body without its compression.

        Raises:
            EventError: `undecodable`, also where the attributes do not go with the spec.
        """
        return self._plain(body, self._said(attributes))

    def _said(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Return the attributes that a body cannot be read without."""
        said = {name.lower(): value for name, value in attributes.items()}
        return {name: said[name] for name, fine in self._asked.items() if said.get(name) not in {None, *fine}}

    def _headed(self, body: bytes, said: Mapping[str, str]) -> bytes:
        """Return a body without its compression, behind the header of its revision's schema if it has one."""
        body = self._plain(body, said)
        revision = said.get(REVISION)
        if not revision or body[: len(SINGLE_OBJECT) + 8] in self._known.named_heads:
            return body
        schema = self._revisions.get(revision)
        if schema is None:
            known = ", ".join(sorted(self._revisions))
            raise EventError(
                "undecodable",
                f"expected a revision of the schema that `registry:` has a file of: {known}; got {revision[:40]}",
            )
        return head_of(schema) + body

    def _plain(self, body: bytes, said: Mapping[str, str]) -> bytes:
        """Return a body without its compression, if the attributes go with the spec."""
        encoding = said.get(PUBSUB_ENCODING)
        if encoding:
            fitting = _OF_PUBSUB.get(encoding)
            advice = "" if fitting is None else f"; set events.encoding: {fitting}"
            raise EventError(
                "undecodable",
                f"Pub/Sub says that the topic's messages are {encoding[:40]!r} ({PUBSUB_ENCODING}), and the spec that"
                f" they are {self._encoding}{advice}",
            )
        compression = said.get(COMPRESSION, "")
        if compression.lower() in _PLAIN:
            return body
        if compression.lower() not in ("gzip", "x-gzip"):
            raise EventError("undecodable", f"expected {COMPRESSION} gzip or identity, got {compression[:40]!r}")
        return Limited("gzip").unpacked(body)

    def _later(self, held: MessageList, at: int, said: Mapping[str, str]) -> Unpack:
        return lambda: _tried(lambda: self._headed(held.message(at)[0], said))

    def _of_container(self, held: MessageList, at: int, said: Mapping[str, str]) -> Unpack:
        """Look at the head of a file now, since its schema has to be known before the event is decoded."""
        body = held.message(at)[0]
        if not said and body.startswith(SINGLE_OBJECT):
            return lambda: body
        try:
            body = self._plain(body, said)
            if body.startswith(SINGLE_OBJECT):
                return lambda: _tried(lambda: self._plain(held.message(at)[0], said))
            head = self._head(body)
        except EventError as exc:
            why = (exc.reason, exc.detail)
            return lambda: why
        return lambda: _tried(lambda: self._event_of(self._plain(held.message(at)[0], said), *head))

    def _head(self, body: bytes) -> tuple[Contained, bytes]:
        """Return what a file says of itself, and what stands before an event of its schema."""
        head = read_head(body)
        writer = self._known.of_text(head.schema)
        if isinstance(writer, Unreadable):
            raise EventError("undecodable", writer.why)
        return head, writer.head

    def _event_of(self, body: bytes, head: Contained, before: bytes) -> bytes:
        return before + only_record(body, head)


def _tried(unpack: Callable[[], bytes]) -> bytes | tuple[str, str]:
    try:
        return unpack()
    except EventError as exc:
        return exc.reason, exc.detail
