"""The other versions of the events' schema: read, told apart, and each readable as the schema itself.

What cannot be read as the schema is found out here, before anything starts, and not by the first event of its kind.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from user_state.errors import InputError, SpecError
from user_state.spec.event_schema import EventSchema, load_event_schema
from user_state.spec.problems import Problem
from user_state.spec.resolution import Mismatch, mismatches
from user_state.spec.schema_bounds import ways_to_write
from user_state.spec.yaml_document import Document

MOST_WAYS = 1000
"""fastavro tries each where a few bytes ask for it."""


def load_versions(document: Document, schema: EventSchema, beside: Path) -> tuple[EventSchema, list[Problem]]:
    """Return `schema` with the versions that the spec names, and what is wrong with them."""
    problems: list[Problem] = []
    known = {schema.fingerprint: schema}
    named = document.items(("events", "versions")) if "versions" in document.mapping("events") else ()
    for path, name in named:
        if not isinstance(name, str):
            continue  # said already
        try:
            version = load_event_schema(name, beside)
        except SpecError as exc:
            problems.append(document.problem(path, str(exc)))
            continue
        wrong = unread(version, schema)
        problems += [
            document.problem(path, f"events of {name} cannot be read as {schema.name} of {schema.file}: {found}")
            for found in wrong
        ]
        if version.fingerprint in known and not wrong:
            twin = known[version.fingerprint].file
            problems.append(
                document.problem(
                    path,
                    f"expected another schema than {twin}, got {name} with the same fingerprint"
                    f" {version.fingerprint.hex()}; aliases, defaults, docs and logical types do not change it:"
                    f" leave it out, its events are read as {twin}",
                )
            )
        known.setdefault(version.fingerprint, version)
    return replace(schema, versions=tuple(known.values())[1:]), problems


def check_resolves(path: str, writer: EventSchema, reader: EventSchema) -> None:
    """Find out whether events of the file `path`, written with `writer`, can be read as `reader`.

    Raises:
        InputError: they cannot; says which field is in the way.
    """
    wrong = unread(writer, reader)
    if wrong:
        more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(
            f"expected events that can be read as {reader.name} in {path}, got {writer.name}: {wrong[0]}{more}"
        )


def check_written_anew(path: str, writer: EventSchema, reader: EventSchema) -> None:
    """Find out whether events of the file `path`, written with `writer`, can be written again with `reader`.

    They have to be unless the spec names `writer`: then nobody could make anything of their fingerprint.

    Raises:
        InputError: it could take long; says what to do.
    """
    if reader.knows(writer):
        return
    ways = ways_to_write(reader.whole)
    if ways > MOST_WAYS:
        raise InputError(
            f"expected events in {path} that the spec names the schema of: as {reader.name}, whose unions have records"
            f" with unions of records in them, each could be written in up to {ways} ways; save the file's schema and"
            " name it under `versions:`"
        )


def unread(writer: EventSchema, reader: EventSchema) -> list[Mismatch]:
    """Return why no event of `writer` can be read as one of `reader`; nothing if all but certain nulls can."""
    return [found for found in mismatches(writer.whole, reader.whole) if not found.null_only]
