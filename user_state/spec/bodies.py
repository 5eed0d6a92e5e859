"""How the spec says that message bodies are encoded, and where the schemas are that they name by number.

    encoding        a body is                                                        names its schema by
    raw             the event alone, in Avro's binary encoding                       nothing: it is of the spec's
    single_object   C3 01, fingerprint (8 bytes), event                              fingerprint
    container       a whole Avro file of one event                                   the schema itself
    confluent       00, schema id (4 bytes, big-endian), event                       id
    json            the event as JSON                                                nothing: it is of the spec's

A topic of Pub/Sub's with a schema says in an attribute which revision of it an event alone was written with.

Whatever the spec says, a body that begins with the single-object header of a schema that the spec names is read as
that: no other body begins with those ten bytes, and it is what this package writes itself. Nothing here reads bodies or
speaks to a registry; a folder of schemas is read with the spec, which is invalid if one of them cannot be read as the
events' schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from user_state.errors import SpecError, shorten
from user_state.spec.defaults import unfit_defaults
from user_state.spec.problems import Problem
from user_state.spec.yaml_document import Document

if TYPE_CHECKING:
    from user_state.spec.event_schema import EventSchema

Encoding = Literal["raw", "single_object", "container", "confluent", "json"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
MOST_ID = (1 << 31) - 1
"""Registries count from 1, in 31 bits."""
_REGISTRY = ("events", "registry")


_ID = r"[1-9][0-9]{0,9}"
_NO_URL = "expected a folder with a file REVISION.avsc for each revision of the topic's schema, got a URL"


class _Names(NamedTuple):
    """How files of schemas are called: what to say of them, and what their names match without `.avsc`."""

    file: str
    what: str
    pattern: str


_NAMES = {
    "confluent": _Names("ID.avsc", "schema id, such as 7.avsc", _ID),
    "raw": _Names("REVISION.avsc", "Pub/Sub's revision id, such as 0a1b2c3d.avsc", r"[0-9a-f]{8}"),
}


@dataclass(frozen=True)
class Bodies:
    """How bodies of a schema are encoded.

    Attributes:
        encoding: one of ENCODINGS.
        registry: the URL of the registry that knows schemas by id, without a `/` at its end; None where there is none.
        by_id: the schemas of a folder, by id; each resolves to the events' schema.
        by_revision: the same of `raw`, by the id that Pub/Sub gives to a revision; empty where none are told apart.
        subject: under which the registry has the schema that producers use; None where the spec does not say.
        rows: paths of the records above the user's field that may be null, as they are where a row was deleted.
        ignores_deletes: whether such change events, and empty bodies, are ignored.
        declared: whether the spec says so.
    """

    encoding: Encoding = "raw"
    registry: str | None = None
    by_id: Mapping[int, EventSchema] = field(default_factory=dict)
    declared: bool = False
    by_revision: Mapping[str, EventSchema] = field(default_factory=dict)
    subject: str | None = None
    rows: tuple[str, ...] = ()
    ignores_deletes: bool = False


def load_bodies(document: Document, schema: EventSchema, beside: Path) -> tuple[EventSchema, list[Problem]]:
    """Return `schema` with what the spec says of bodies, and what is wrong with that."""
    events = document.mapping("events")
    encoding, registry = events.get("encoding", "raw"), events.get("registry")
    if encoding not in ENCODINGS or not isinstance(registry, str | None):
        return schema, []  # said already
    declared = "encoding" in events
    problems: list[Problem] = []
    if "subject" in events and (registry is None or "://" not in registry):
        said = "`subject:` is for a `registry:` that is a URL, which has schemas by subject"
        problems.append(document.problem(("events", "subject"), said))
    if schema.is_json and encoding not in ("json", "confluent"):
        said = f"{schema.file} is a JSON Schema, which is for `encoding: json`; got `encoding: {encoding}`"
        problems.append(document.problem(("events", "encoding" if declared else "schema"), said))
    if registry is None and encoding != "confluent":
        unfit = unfit_defaults(schema.whole) if encoding == "json" else ()
        problems += [document.problem(("events", "schema"), found) for found in unfit]
        return replace(schema, bodies=Bodies(encoding, declared=declared)), problems
    if encoding not in ("confluent", "raw"):
        said = "`registry:` is for `encoding: confluent`, whose bodies name their schema by id"
        return schema, [*problems, document.problem(_REGISTRY, f"{said}; got `encoding: {encoding}`")]
    if registry is None:
        said = "encoding confluent needs `registry:`, a folder with a file ID.avsc for each schema, or a registry's URL"
        return schema, [document.problem(("events", "encoding"), said)]
    if "://" in registry:
        wrong = _wrong_url(registry) if encoding == "confluent" else _NO_URL
        if wrong is not None:
            return schema, [document.problem(_REGISTRY, wrong)]
        named = events.get("subject")
        subject = named if isinstance(named, str) else None
        return replace(schema, bodies=Bodies(encoding, registry.rstrip("/"), declared=True, subject=subject)), problems
    held: dict[str, EventSchema] = {}
    for name, found in _of_folder(beside / registry, schema, _NAMES[encoding]):
        if isinstance(found, str):
            problems.append(document.problem(_REGISTRY, found))
        else:
            held[name] = found
    if encoding == "raw":
        return replace(schema, bodies=Bodies(encoding, declared=declared, by_revision=held)), problems
    by_id = {int(name): one for name, one in held.items()}
    return replace(schema, bodies=Bodies(encoding, None, by_id, declared=True)), problems


def _wrong_url(url: str) -> str | None:
    """Return what is wrong with a registry's URL; None if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        return f"expected the URL of a registry: {exc}"
    if parts.scheme not in ("http", "https") or not host:
        return "expected the URL of a registry, such as https://registry.internal:8081, or a folder of schemas"
    if parts.username is not None or parts.password is not None:
        return (
            "expected the URL of a registry without user and password, which would be part of jobs and of what they"
            " show: set USER_STATE_REGISTRY_USERNAME and USER_STATE_REGISTRY_PASSWORD where workers run"
        )
    if parts.query or parts.fragment:
        return "expected the URL of a registry without `?` and `#`"
    return None


def _of_folder(folder: Path, schema: EventSchema, names: _Names) -> Iterator[tuple[str, EventSchema | str]]:
    """Yield the name of each file and its schema, or what is wrong with it."""
    from user_state.spec.event_schema import load_event_schema
    from user_state.spec.version_checks import unread

    try:
        files = sorted(folder.glob("*.avsc")) if folder.is_dir() else []
    except OSError as exc:
        yield "", f"expected a folder of schemas: {exc.strerror}"
        return
    if not files:
        what = "which has none" if folder.is_dir() else "which is no folder"
        yield "", f"expected a folder with a file {names.file} for each schema, got {shorten(folder.name)}, {what}"
        return
    for file in files:
        if not re.fullmatch(names.pattern, file.stem) or (names.pattern == _ID and int(file.stem) > MOST_ID):
            yield "", f"expected files called by {names.what}, got {shorten(file.name)}"
            continue
        try:
            found = replace(load_event_schema(file.name, folder), file=f"{folder.name}/{file.name}")
        except SpecError as exc:
            yield file.stem, str(exc)
            continue
        wrong = unread(found, schema)
        if wrong:
            yield file.stem, f"events of {found.file} cannot be read as {schema.name} of {schema.file}: {wrong[0]}"
        else:
            yield file.stem, found
