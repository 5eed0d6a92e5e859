"""Events of one schema read as another: the same as fastavro makes of them, or an error where it has one too."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import event, given, settings

from tests.events.random_schemas import Pair, pairs
from tests.random_worlds import QUICK
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.event_reader import event_reader
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.resolution import mismatches


def body_of(schema: Any, value: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


def by_name(event: dict[str, Any]) -> str:
    """The event as text, so that 1, 1.0 and True are three things."""
    return repr(sorted(event.items()))


def _agrees_with_fastavro(pair: Pair) -> None:
    writer, reader = parse_event_schema(pair.writer), parse_event_schema(pair.reader)
    found = mismatches(writer.whole, reader.whole)
    event("resolves" if not found else "but for null" if all(one.null_only for one in found) else "does not resolve")
    if not all(one.null_only for one in found):
        return
    read = event_reader(writer, reader)
    reference = SingleObject(pair.reader, [pair.writer])
    header = SingleObject(pair.writer).header
    for written in pair.events:
        body = body_of(writer.parsed, written)
        try:
            expected = reference.decode(header + body)
        except EventError:
            assert found, "what resolves can be read, whatever the value"
            with pytest.raises(ValueError):  # noqa: PT011  # the words are the decoder's, and tested there
                read(body)
        else:
            assert by_name(read(body)) == by_name(expected)
        for damaged in (body + b"\0", body[:-1]):
            if damaged != body:
                with pytest.raises(ValueError):  # noqa: PT011  # as above
                    read(damaged)


@pytest.mark.slow
@given(pairs())
@settings(QUICK, max_examples=600)
def test_flat_events_are_read_as_fastavro_resolves_them(pair: Pair) -> None:
    _agrees_with_fastavro(pair)


@pytest.mark.slow
@given(pairs(nested=True))
@settings(QUICK, max_examples=200)
def test_nested_events_are_read_as_fastavro_resolves_them(pair: Pair) -> None:
    _agrees_with_fastavro(pair)
