"""What would help against dead letters: a guess from a few of them and the spec, one line each.

A hint says what was seen and names the option, the key of the spec or the place to look at. It holds nothing of the
messages but times and what kind of bytes they are.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from user_state.dead_letters.letters import Letter
from user_state.durations import SECOND_US, format_duration
from user_state.errors import EventError, RegistryUnavailable
from user_state.events.avro_files import SingleObject
from user_state.events.decode import SINGLE_OBJECT, EventDecoder
from user_state.events.known_writers import ID_HEAD
from user_state.events.publish_times import publish_time_us
from user_state.events.screening import DAY_US, clock_tolerance_us, roughly
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.spec.event_field import UNITS

HISTORY_US = 2 * DAY_US
"""Whoever publishes events this long after they happened, beyond what the spec allows, replays history."""
YEAR_US = 365 * DAY_US
HOUR_US = 3600 * SECOND_US
YEAR_2000_US, YEAR_2100_US = 946_684_800 * SECOND_US, 4_102_444_800 * SECOND_US
UNIT_NAMES = {"us": "microseconds", "ms": "milliseconds", "s": "seconds", "ns": "nanoseconds", "d": "days"}

_MEMBER = re.compile(r" as JSON of \S+: (field [^,]+), at byte \d+: (.*)")
"""Of the detail of a dead letter (`native/events/event_decoder.cpp`)."""


class Times(NamedTuple):
    """When an event happened, and when it was published, microseconds UTC."""

    event_us: int
    published_us: int


def hints(spec: LoadedSpec, reason: str, letters: Sequence[Letter]) -> list[str]:
    """Return what would help against dead letters of one reason, the likeliest first; empty if nothing is known."""
    if reason == "undecodable":
        return list(_of_bodies(spec, letters))
    if reason == "invalid":
        return list(_of_units(spec, letters))
    if reason in ("too_late", "from_future"):
        times = times_of(spec, letters)
        return list((_too_late if reason == "too_late" else _from_future)(spec, letters, times)) if times else []
    return {
        "hot_user": [
            "one user has more events a second than --user_events_per_second: is history published at once? then name"
            " its time with --publish_time_attribute; 0 turns the limit off"
        ],
        "oversized": ["records would be larger than `max_record` in the spec: `user-state check` says what fills them"],
        "bad_record": ["Redis holds something else under these users' keys: docs/recovery.md says what to do"],
    }.get(reason, [])


def times_of(spec: LoadedSpec, letters: Sequence[Letter]) -> list[Times]:
    """Return the times of those letters that are events."""
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    found = []
    for letter in letters:
        try:
            row = decoder.row(decoder.decode(letter.data, letter.attributes), letter.published_us)
        except EventError:
            continue
        except RegistryUnavailable:  # nobody knows their schemas just now
            break
        found.append(Times(row[2], row[3]))
    return found


def is_of_spec(spec: LoadedSpec, letter: Letter) -> bool:
    """Return whether a body says that it is of one of the spec's schemas, by fingerprint or by id."""
    bodies = spec.schema.bodies
    if bodies.encoding == "confluent" and letter.data[:1] == ID_HEAD:
        return int.from_bytes(letter.data[1:5], "big") in bodies.by_id
    known = {one.fingerprint for one in (spec.schema, *spec.schema.versions)}
    return letter.data[:2] == SINGLE_OBJECT and letter.data[2:10] in known


def _of_bodies(spec: LoadedSpec, letters: Sequence[Letter]) -> Iterator[str]:
    others = [letter for letter in letters if not is_of_spec(spec, letter)]
    if 2 * len(others) < len(letters):
        yield "most bodies name a schema of the spec and are damaged: cut short, or changed on their way"
        return
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    seen = Counter(looks for one in others if (looks := decoder.looks(one.data, one.attributes)) is not None)
    if not seen:
        if spec.schema.bodies.encoding == "json":
            yield from _of_members(letters)
        return
    (looks, number), *_ = seen.most_common(1)
    some = "" if number == len(letters) else f"{number} of {len(letters)} looked at: "
    if looks.kind == "single object":
        yield f"{some}the bodies are {looks.words}, which the spec does not name: add that schema to `events.versions`"
    elif looks.kind == "empty":
        yield f"{some}the bodies are empty: is the event in an attribute, or the subscription of another topic?"
    else:
        yield f"{some}the bodies look like {looks.words}; {looks.advice}"


def _of_members(letters: Sequence[Letter]) -> Iterator[str]:
    """Say which member of JSON bodies is refused most often, and why."""
    wrong = Counter(found.groups() for one in letters if (found := _MEMBER.search(one.detail)) is not None)
    if wrong:
        ((field, why), number), *_ = wrong.most_common(1)
        yield f"{number} of {len(letters)} looked at: {field}: {why}; does the schema say what is sent?"


def _of_units(spec: LoadedSpec, letters: Sequence[Letter]) -> Iterator[str]:
    """Say in which unit times that are refused would make sense."""
    name, stated = spec.spec.events.time, spec.spec.events.time_unit
    unit = spec.schema.fields[name].unit
    expected_ns = compile_plan(spec).time_unit_ns
    versions = [version.original for version in spec.schema.versions]
    bodies = SingleObject(spec.schema.original, versions, spec.schema.bodies)
    fitting: Counter[str] = Counter()
    for letter in letters:
        try:
            value = _at(bodies.decode(letter.data, letter.attributes), name)
        except EventError:
            continue
        if isinstance(value, int) and not _is_plausible(value * expected_ns):
            fitting.update(other for other in UNIT_NAMES if _is_plausible(value * UNITS[other]))
    if fitting:
        (likely, _), *_ = fitting.most_common(1)
        by = "the schema" if unit else "`events.time_unit`"
        yield f"values of {name} look like {UNIT_NAMES[likely]}; {by} says {UNIT_NAMES[unit or stated or 'us']}"


def _is_plausible(time_ns: int) -> bool:
    return YEAR_2000_US <= time_ns // 1000 < YEAR_2100_US


def _at(event: Any, path: str) -> Any:
    """Return what lies at a path through records, None if something else is on the way."""
    for name in path.split("."):
        event = event.get(name) if isinstance(event, Mapping) else None
    return event


def _too_late(spec: LoadedSpec, letters: Sequence[Letter], times: Sequence[Times]) -> Iterator[str]:
    lateness_us = spec.spec.allowed_lateness
    gap_us = int(statistics.median(one.published_us - one.event_us for one in times))
    allowed = f"`allowed_lateness` ({format_duration(lateness_us)})"
    if gap_us <= lateness_us:
        yield (
            "these events came after events of the same users that were published later: are the files in order of"
            f" time, or several read at once? {allowed} says how late an event may come"
        )
        return
    ago = f"publish times are {in_words(gap_us)} after event times"
    if gap_us < max(HISTORY_US, 2 * lateness_us):
        yield f"{ago}, more than {allowed}: a longer one takes them"
    elif any(letter.published_us is None for letter in letters):
        yield f"{ago}: history? leave `events.published` out of the spec while you read it"
    else:
        name = time_attribute(letters, times)
        if name is not None:
            yield f"{ago}: history? --publish_time_attribute {name}"
        else:
            yield (
                f"{ago}: history? no attribute of these messages holds their event times; publish it with one, and name"
                " that with --publish_time_attribute"
            )


def _from_future(spec: LoadedSpec, letters: Sequence[Letter], times: Sequence[Times]) -> Iterator[str]:
    dead_us = [letter.dead_us for letter in letters if letter.dead_us is not None]
    published_us = int(statistics.median(one.published_us for one in times))
    tolerance_us = clock_tolerance_us(compile_plan(spec))
    if dead_us and published_us - statistics.median(dead_us) > tolerance_us:
        ahead_us = int(published_us - statistics.median(dead_us))
        yield f"publish times are {in_words(ahead_us)} ahead of the reading machine's clock: one of the two is wrong"
        return
    ahead_us = int(statistics.median(one.event_us - one.published_us for one in times))
    hours = round(ahead_us / HOUR_US)
    zone = 0 < hours <= 14 and abs(ahead_us - hours * HOUR_US) <= spec.spec.max_clock_skew + 60 * SECOND_US
    of_zone = f", a local time that is {hours} h ahead of UTC?" if zone else ": a wrong clock?"
    skew = format_duration(spec.spec.max_clock_skew)
    yield f"event times are {in_words(ahead_us)} after publish times{of_zone} `max_clock_skew` allows {skew}"


def time_attribute(letters: Sequence[Letter], times: Sequence[Times]) -> str | None:
    """Return the attribute that holds times about those of the events, None if none does."""
    first_us, last_us = min(one.event_us for one in times), max(one.event_us for one in times)
    held: dict[str, list[int]] = defaultdict(list)
    for letter in letters:
        for name, value in letter.attributes.items():
            if (time_us := publish_time_us(value)) is not None:
                held[name].append(time_us)
    for name, times_us in held.items():
        if len(times_us) == len(letters) and first_us - DAY_US <= statistics.median(times_us) <= last_us + DAY_US:
            return name
    return None


def in_words(duration_us: int) -> str:
    """Return about how long a duration is, in years from two on.

    >>> in_words(9 * YEAR_US + DAY_US), in_words(40 * DAY_US), in_words(90 * SECOND_US)
    ('9 years', '40d', '1m')
    """
    return f"{duration_us // YEAR_US} years" if duration_us >= 2 * YEAR_US else roughly(duration_us)
