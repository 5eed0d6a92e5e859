"""Made-up traffic that looks like an app's: bursty, skewed, and as late, doubled and broken as asked.

    users     act in sessions, a few of them most of the time; each has a favourite category and two more it likes
    items     belong to a creator, creators mostly to one category; within a category a few are popular
    actions   view (with watch seconds, sometimes unknown), like, share, skip; favourites are liked more, skipped less

so that users with the same taste act on the same items, and the nearest users by embedding mean something.

Every message has a time of arrival (`published_at`), spread over the span that ends at `end_us`, and the event's time
is a moment before it. Faults are exact shares of all messages, and each message has at most one:

    late        the event is 10 min to 20 h older than its arrival: within a lateness of a day
    too late    2 to 5 days older
    future      an hour newer
    duplicate   a message seen before comes again, unchanged, up to an hour later in the stream
    corrupt     the body is damaged so that it cannot be decoded

Pure: the same arguments give the same messages. No clock, no files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.durations import SECOND_US, parse_duration_us
from user_state.errors import InputError
from user_state.events.as_written import Writers
from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.corruption import damage
from user_state.events.message import Message

ORIGIN = "generated"
CATEGORIES = (
    *("music", "comedy", "sports", "news", "gaming", "food", "travel", "fashion", "beauty", "fitness"),
    *("science", "history", "pets", "cars", "movies", "books", "art", "diy", "finance", "parenting"),
)
SURFACES = ("home", "search", "profile", "notification", None)
SURFACE_SHARES = (0.55, 0.2, 0.15, 0.07, 0.03)
ACTIONS = ("view", "like", "share", "skip")
FAVOURITE_SHARES = (0.64, 0.2, 0.06, 0.1)
OTHER_SHARES = (0.64, 0.05, 0.01, 0.3)
TASTE_SHARES = (0.5, 0.2, 0.1, 0.2)
"""How often a user acts in the favourite, second and third category, and in any."""
SESSION_EVENTS = 10
"""Mean events a session."""
SECONDS_BETWEEN = 15.0
"""Mean seconds between two events of a session."""
NULL_VALUE_SHARE = 0.05
MIN_LATE_US, MAX_LATE_US = parse_duration_us("10m"), parse_duration_us("20h")
MIN_TOO_LATE_US, MAX_TOO_LATE_US = parse_duration_us("2d"), parse_duration_us("5d")
FUTURE_US = parse_duration_us("1h")
MAX_DUPLICATE_DELAY_US = parse_duration_us("1h")
HOUR_US = parse_duration_us("1h")

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Faults:
    """Shares of all messages, each 0 to 1, and how far arrival order is disturbed.

    Attributes:
        late, too_late, future, duplicates, corrupt: see the module.
        shuffle_us: messages change places with others that arrived within so many microseconds.
    """

    late: float = 0.0
    too_late: float = 0.0
    future: float = 0.0
    duplicates: float = 0.0
    corrupt: float = 0.0
    shuffle_us: int = 0

    def counts(self, events: int) -> dict[str, int]:
        """Return how many of `events` messages have each fault.

        Raises:
            InputError: a share out of range, or no events left to make duplicates of.
        """
        shares = {name: getattr(self, name) for name in ("late", "too_late", "future", "duplicates", "corrupt")}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise InputError(f"expected the share of {name} between 0 and 1, got {share}")
        counts = {name: round(share * events) for name, share in shares.items()}
        # Duplicates are copies of messages without a fault or late ones, so at least one of those must be left.
        others = sum(counts.values()) - counts["late"]
        if sum(counts.values()) > events or (counts["duplicates"] and others == events):
            raise InputError(f"expected shares that together leave some events whole, got {shares}")
        if self.shuffle_us < 0:
            raise InputError(f"expected a shuffle of at least 0, got {self.shuffle_us} us")
        return counts


def generate(
    users: int,
    events: int,
    seed: int,
    *,
    end_us: int,
    span_us: int,
    faults: Faults | None = None,
    writers: Writers | None = None,
) -> Iterator[Message]:
    """Yield `events` messages of `users` users in order of arrival; the same arguments give the same messages.

    Whole messages carry their event, with times in microseconds; corrupt ones carry bytes. With `writers`, whole ones
    carry bytes too.

    Args:
        users: how many users there are; all of them act if there are enough events.
        events: how many messages, duplicates and corrupt ones included.
        seed: 0 or more.
        end_us: when the last message arrives, microseconds UTC.
        span_us: how long before that the first one does.
        faults: what goes wrong; None is nothing.
        writers: who writes the events; None is `interaction.avsc`.

    Raises:
        InputError: an argument out of range.
    """
    faults = faults or Faults()
    for name, number, least in (("users", users, 1), ("events", events, 1), ("seed", seed, 0), ("span", span_us, 1)):
        if number < least:
            raise InputError(f"expected {name} of at least {least}, got {number}")
    counts = faults.counts(events)
    rng = np.random.default_rng(seed)
    distinct = events - counts["duplicates"]
    sessions = _sessions(rng, users, distinct, end_us, span_us)
    columns = _columns(rng, sessions, users)

    # The first of a random order are corrupt, the next late, and so on: so the counts are exact.
    order = rng.permutation(distinct)
    ends = np.cumsum([counts["corrupt"], counts["too_late"], counts["future"], counts["late"]])
    corrupt, too_late, future, late, whole = np.split(order, ends)
    published_us = sessions.published_us
    age_us = np.minimum(rng.lognormal(0.0, 1.0, distinct), 60.0) * SECOND_US
    age_us[late] = rng.integers(MIN_LATE_US, MAX_LATE_US, len(late))
    age_us[too_late] = rng.integers(MIN_TOO_LATE_US, MAX_TOO_LATE_US, len(too_late))
    age_us[future] = -FUTURE_US
    columns["event_time"] = (published_us - age_us.astype(np.int64)).tolist()
    columns["published_at"] = published_us.tolist()

    doubled = np.concatenate([late, whole])
    copies = doubled[rng.integers(0, max(len(doubled), 1), counts["duplicates"])]
    delay_us = rng.integers(1, min(MAX_DUPLICATE_DELAY_US, max(span_us // 20, 2)), len(copies))
    chosen = np.concatenate([np.arange(distinct), copies])
    position_us = np.concatenate([published_us, published_us[copies] + delay_us])
    position_us += rng.integers(0, faults.shuffle_us + 1, events)
    arrival = chosen[np.argsort(position_us, kind="stable")]
    yield from _messages(columns, arrival, set(corrupt.tolist()), seed, writers)


def _messages(
    columns: dict[str, list[Any]], arrival: I64, corrupt: set[int], seed: int, writers: Writers | None
) -> Iterator[Message]:
    names = list(columns)
    rows = list(zip(*columns.values(), strict=True))
    schema = interaction_schema()
    bodies, rng = SingleObject(schema), random.Random(seed)
    for index in arrival.tolist():
        event = dict(zip(names, rows[index], strict=True))
        data = b""
        kept: dict[str, Any] | None = event
        if writers is not None:
            writer = writers.of(event)
            kept = None
            if index in corrupt:
                # In whichever encoding bodies are read: known by its header, it is damaged behind it.
                data = damage(writer.single_object(event), writer.schema.parsed, rng, writers.read_as.parsed)
            else:
                data = writer.body(event)
        elif index in corrupt:
            data, kept = damage(bodies.encode(event), schema, rng), None
        yield Message(data, {}, event["published_at"], None, ORIGIN, kept)


@dataclass(frozen=True)
class _Sessions:
    """Who is there when: one entry an event, in order of arrival."""

    user: I64
    published_us: I64
    surface: I64


def _sessions(rng: Rng, users: int, events: int, end_us: int, span_us: int) -> _Sessions:
    lengths = np.empty(0, np.int64)
    while lengths.sum() < events:
        lengths = np.append(lengths, rng.geometric(1 / SESSION_EVENTS, events // SESSION_EVENTS + 10))
    count = int(np.searchsorted(np.cumsum(lengths), events)) + 1
    lengths = lengths[:count]
    session = np.repeat(np.arange(count), lengths)[:events]

    user = rng.permutation(users)[_draw(rng, _zipf(users, 0.8), count)]
    if count >= 2 * users:
        # Enough sessions for everyone: nobody is left out, and the busy are still busy.
        user[rng.permutation(count)[:users]] = np.arange(users)
    surface = _draw(rng, np.array(SURFACE_SHARES), count)

    # Seconds since the session began: what has passed since the first event, less what had when the session began.
    gaps_s = rng.exponential(SECONDS_BETWEEN, events)
    passed_s = np.cumsum(gaps_s)
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    into_us = ((passed_s - passed_s[firsts][session]) * SECOND_US).astype(np.int64)
    begin_us = end_us - span_us
    published_us = _session_starts_us(rng, count, begin_us, span_us)[session] + into_us
    # A session that would go on past the end is folded back.
    published_us = np.where(published_us > end_us, 2 * end_us - published_us, published_us)
    published_us = np.clip(published_us, begin_us, end_us)
    order = np.argsort(published_us, kind="stable")
    return _Sessions(user[session][order], published_us[order], surface[session][order])


def _session_starts_us(rng: Rng, count: int, begin_us: int, span_us: int) -> I64:
    """Return when sessions begin: fewest at four in the morning UTC, most twelve hours later."""
    hours = np.arange(-(-span_us // HOUR_US))
    hour_of_day = (begin_us / HOUR_US + hours) % 24
    busy = 1.0 - 0.7 * np.cos((hour_of_day - 4) / 24 * 2 * np.pi)
    hour = _draw(rng, busy, count)
    return begin_us + (hour * HOUR_US + rng.integers(0, HOUR_US, count)) % span_us


def _columns(rng: Rng, sessions: _Sessions, users: int) -> dict[str, list[Any]]:
    """Return the fields of every event but its times, in the order of `sessions`."""
    events = len(sessions.user)
    kinds = len(CATEGORIES)
    items = min(max(events // 50, 100), 50_000)
    creators = max(items // 8, kinds)
    category_of_creator = np.arange(creators) % kinds
    creator_of_item = _draw(rng, _zipf(creators, 0.5), items)
    category_of_item = category_of_creator[creator_of_item]
    stray = rng.random(items) < 0.1
    category_of_item[stray] = rng.integers(0, kinds, int(stray.sum()))
    category_of_item[:kinds] = np.arange(kinds)  # no category without items

    tastes = np.stack([_draw(rng, _zipf(kinds, 0.4), users) for _ in range(3)] + [np.full(users, -1)])
    category = tastes[_draw(rng, np.array(TASTE_SHARES), events), sessions.user]
    anywhere = category < 0
    category[anywhere] = _draw(rng, _zipf(kinds, 0.4), int(anywhere.sum()))
    item = _popular_in(rng, category_of_item, category)

    favourite = category == tastes[0, sessions.user]
    action = np.where(
        favourite, _draw(rng, np.array(FAVOURITE_SHARES), events), _draw(rng, np.array(OTHER_SHARES), events)
    )
    value = np.round(rng.lognormal(np.where(favourite, 3.0, 2.2), 0.9), 1)
    watched = (action == 0) & (rng.random(events) >= NULL_VALUE_SHARE)
    digits = len(str(max(users, items)))
    return {
        "event_id": _event_ids(rng, events),
        "user_id": _names("u", digits, users, sessions.user),
        "item_id": _names("i", digits, items, item),
        "action": [ACTIONS[a] for a in action.tolist()],
        "value": [v if w else None for v, w in zip(value.tolist(), watched.tolist(), strict=True)],
        "category": [CATEGORIES[c] for c in category.tolist()],
        "creator": _names("c", digits, creators, creator_of_item[item]),
        "surface": [SURFACES[s] for s in sessions.surface.tolist()],
    }


def _popular_in(rng: Rng, category_of_item: I64, category: I64) -> I64:
    """Return an item of each event's category, the first of a category being the most popular."""
    by_category = np.argsort(category_of_item, kind="stable")
    sorted_category = category_of_item[by_category]
    first = np.searchsorted(sorted_category, sorted_category)
    popularity = 1.0 / (1.0 + np.arange(len(by_category)) - first)
    # Category c owns the interval from c to c + 1, its items parts of it; so one search finds all events' items.
    totals = np.bincount(sorted_category, popularity)
    share = popularity / totals[sorted_category]
    running = np.cumsum(share)
    upper = sorted_category + running - np.concatenate([[0.0], running])[first]
    found = np.searchsorted(upper, category + rng.random(len(category)), side="right")
    last = np.searchsorted(sorted_category, category, side="right") - 1
    return np.asarray(by_category[np.minimum(found, last)])


def _event_ids(rng: Rng, count: int) -> list[str]:
    """Return `count` different ids: an odd multiple of the position, modulo 2^64, never repeats."""
    offset, factor = rng.integers(0, 2**64, 2, np.uint64)
    numbers = np.arange(count, dtype=np.uint64) * (factor | np.uint64(1)) + offset
    return [f"e{number:016x}" for number in numbers.tolist()]


def _names(prefix: str, digits: int, count: int, chosen: I64) -> list[str]:
    names = [f"{prefix}{number:0{digits}d}" for number in range(count)]
    return [names[number] for number in chosen.tolist()]


def _zipf(count: int, exponent: float) -> F64:
    """Return weights that fall with rank; the first few are levelled, or one user would be a tenth of the traffic."""
    return np.asarray((np.arange(count) + 5.0) ** -exponent)


def _draw(rng: Rng, weights: F64, count: int) -> I64:
    """Return `count` indices into `weights`, each as likely as its weight."""
    bounds = np.cumsum(weights)
    found = np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")
    return np.asarray(np.minimum(found, len(weights) - 1))
