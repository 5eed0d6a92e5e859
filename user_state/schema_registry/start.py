"""What a run asks of the schema registry before anything runs: does it answer, and has it what producers write with?

    GET /schemas/types                   it is a registry, and lets us in
    GET /subjects/S/versions/latest      with `events.subject`: the schema that producers use now
    GET /subjects                        only where there is no such subject: which others there are

Older schemas of the subject are not asked for: nobody may write them any more. An event that has one is read by its id.
"""

from __future__ import annotations

from urllib.parse import quote

from user_state.errors import InputError, RegistryUnavailable, shorten
from user_state.schema_registry.http import NotThere, Registry
from user_state.schema_registry.schemas import RegisteredSchemas
from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import did_you_mean, listing
from user_state.spec.version_checks import unread

_SHOWN = 10


def check_registry(schema: EventSchema) -> None:
    """Find out whether the registry of the events' bodies answers, and can say how they are read; none is right too.

    Raises:
        RegistryUnavailable: it does not answer.
        InputError: it has no such subject, or the subject's schema cannot be read as `schema`.
    """
    url, subject = schema.bodies.registry, schema.bodies.subject
    if url is None:
        return
    registry = Registry(url)
    registry.check()
    if subject is None:
        return
    try:
        held = registry.get(f"/subjects/{quote(subject, safe='')}/versions/latest")
    except NotThere as exc:
        raise InputError(
            f"the schema registry {url} has no subject {shorten(subject)} (events.subject in the spec)"
            f"{_others(registry, subject)}"
        ) from exc
    number = held.get("id") if isinstance(held, dict) else None
    if not isinstance(number, int):
        raise RegistryUnavailable(f"expected a schema with an id from the schema registry {url}, of subject {subject}")
    found = RegisteredSchemas(registry).schema(number)
    which = f"the latest schema of subject {subject} in the schema registry {url}"
    if isinstance(found, str):
        raise InputError(f"{which}: {found}")
    wrong = unread(found, schema) if isinstance(found, EventSchema) else []
    if wrong:
        raise InputError(f"{which} (id {number}) cannot be read as {schema.name} of {schema.file}: {wrong[0]}")


def _others(registry: Registry, subject: str) -> str:
    try:
        found = registry.get("/subjects")
    except (NotThere, RegistryUnavailable):  # not everybody may list them
        return ""
    names = sorted(name for name in found if isinstance(name, str)) if isinstance(found, list) else []
    if not names:
        return ", and no other"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{did_you_mean(subject, names)}; it has {listing(names[:_SHOWN])}{more}"
