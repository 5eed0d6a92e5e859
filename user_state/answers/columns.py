"""The columns of logged answers, beside those of outputs, which are a training set's (user_state/history/rows.py).

    served.user            text of the id
    served.at              the reading time, microseconds UTC
    served.version         the record's version, 16 hexadecimal digits; null without a record
    served.clock           greatest publish time among the applied events; null without a record
    served.last_event      greatest event time among the applied events, likewise
    served.applied         how many events the record was made of; 0 without a record
    served.generation      which generation of records was read
    served.spec            fingerprint of the spec that the client reads by
    served.item_versions   JSON: table of item vectors -> version

No output's name has a dot, so none of these clashes with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "served."
USER, AT, VERSION, CLOCK, LAST_EVENT, APPLIED, GENERATION, SPEC, ITEM_VERSIONS = (
    f"{PREFIX}{name}"
    for name in ("user", "at", "version", "clock", "last_event", "applied", "generation", "spec", "item_versions")
)


def served_schema() -> pa.Schema:
    """Return names and types of these columns."""
    import pyarrow as pa

    time = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            (USER, pa.string()),
            (AT, time),
            (VERSION, pa.string()),
            (CLOCK, time),
            (LAST_EVENT, time),
            (APPLIED, pa.int64()),
            (GENERATION, pa.string()),
            (SPEC, pa.string()),
            (ITEM_VERSIONS, pa.string()),
        ]
    )
