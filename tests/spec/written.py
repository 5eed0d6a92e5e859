"""Specs as tests write them: five correct lines, and what a case adds to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from user_state.errors import SpecError
from user_state.spec import parse_spec

EXAMPLE = Path(__file__).parents[2] / "examples" / "starter" / "user_state.yaml"

HEAD = """\
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
"""
"""Five correct lines: what a case adds begins on line 6."""

VIEWS = "features: {views: {aggregate: count, windows: 1h}}\n"

KINDS_SCHEMA = """\
{"type": "record", "name": "Kinds", "fields": [
  {"name": "user", "type": "string"},
  {"name": "id", "type": ["null", "string"]},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "action", "type": {"type": "enum", "name": "Action", "symbols": ["view", "like"]}},
  {"name": "stars", "type": "int"},
  {"name": "price", "type": ["null", "float"]},
  {"name": "paid", "type": "boolean"},
  {"name": "raw", "type": "bytes"},
  {"name": "tags", "type": {"type": "array", "items": "string"}},
  {"name": "extra", "type": {"type": "map", "values": "string"}},
  {"name": "device", "type": {"type": "record", "name": "Device", "fields": []}}
]}
"""
KINDS_HEAD = HEAD.replace("interaction.avsc", "kinds.avsc").replace(
    "user: user_id, id: event_id, time: event_time", "user: user, id: id, time: at"
)
"""The same lines, of a schema with fields of all types."""


def message_of(text: str, beside: Path = EXAMPLE.parent) -> str:
    """Return what is said of a spec that has mistakes."""
    with pytest.raises(SpecError) as caught:
        parse_spec(text, beside=beside, name="spec.yaml")
    return str(caught.value)


def feature(body: str) -> str:
    """Return a spec with one feature."""
    return f"{HEAD}features:\n  views: {{{body}}}\n"
