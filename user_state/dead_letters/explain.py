"""Dead letters in words: what was refused, most of it for which reason, one of them, and what would help.

Nothing of a message's body, attributes or ids is told, unless the payload is asked for; times are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from user_state.dead_letters.hints import hints, is_of_spec, times_of
from user_state.dead_letters.letters import Letter
from user_state.dead_letters.summary import OTHER, OfReason
from user_state.durations import SECOND_US
from user_state.events.looks_like import looks_like
from user_state.printable import printable
from user_state.spec import LoadedSpec
from user_state.times import format_time

PAYLOAD_BYTES = 200


def reason_lines(reason: str, held: OfReason, spec: LoadedSpec | None, *, most_details: int = 3) -> Iterator[str]:
    """Yield the lines about one reason: how many, the commonest details, what would help."""
    yield f"{printable(reason)} {held.number:,}"
    details = held.details.most_common(most_details)
    for wording, number in details:
        detail = held.wordings[wording]
        yield f"  {number:,}: {printable(detail)}" if len(held.details) > 1 else f"  {printable(detail)}"
    left = held.number - sum(number for _, number in details)
    if left:
        more = "" if OTHER in held.details else f", in {len(held.details) - len(details):,} other wordings"
        yield f"  {left:,}: ...{more}"
    if spec is not None:
        for hint in hints(spec, reason, held.samples):
            yield f"  what would help: {hint}"


def sample_line(letter: Letter, spec: LoadedSpec | None, *, payload: bool = False) -> str:
    """Return a line about one letter."""
    parts = []
    if spec is not None and (times := times_of(spec, [letter])):
        parts.append(f"happened {_time(times[0].event_us)}")
    if letter.published_us is not None:
        parts.append(f"published {_time(letter.published_us)}")
    if letter.dead_us is not None:
        parts.append(f"refused {_time(letter.dead_us)}")
    looks = looks_like(letter.data)
    known = looks is None or (
        spec is not None and (looks.encoding == spec.schema.bodies.encoding or is_of_spec(spec, letter))
    )
    parts.append(f"{len(letter.data):,} bytes" + ("" if looks is None or known else f" ({looks.words})"))
    if letter.attributes:
        parts.append(f"{len(letter.attributes)} attributes")
    parts.append(f"from {printable(letter.origin)}")
    line = ", ".join(parts)
    if payload:
        attributes = "".join(f" {printable(k)}={printable(v)!s}" for k, v in sorted(letter.attributes.items()))
        line += f"\n    {shown_bytes(letter.data)}{attributes}"
    return line


def shown_bytes(data: bytes) -> str:
    r"""Return the beginning of bytes as text, what is not printable escaped.

    >>> shown_bytes(b"a\x00\xc3\xbc\xff\n")
    'a\\x00ü\\xff\\n'
    """
    text = data[:PAYLOAD_BYTES].decode(errors="backslashreplace")
    rest = f"... ({len(data):,} bytes)" if len(data) > PAYLOAD_BYTES else ""
    return printable(text) + rest


def sample_json(letter: Letter, *, payload: bool = False) -> dict[str, Any]:
    """Return a letter as JSON values."""
    found: dict[str, Any] = {
        "detail": letter.detail,
        "origin": letter.origin,
        "published": None if letter.published_us is None else _time(letter.published_us),
        "refused": None if letter.dead_us is None else _time(letter.dead_us),
        "bytes": len(letter.data),
        "looks_like": None if (looks := looks_like(letter.data)) is None else looks.words,
    }
    if payload:
        found |= {"data_hex": letter.data.hex(), "attributes": letter.attributes}
    return found


def _time(time_us: int) -> str:
    return format_time(time_us // SECOND_US * SECOND_US)
