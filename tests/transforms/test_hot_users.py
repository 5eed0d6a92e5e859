"""A bot is bounded and counted, others are not touched, nothing is lost."""

import time

import numpy as np
import xxhash

from transforms import counters
from transforms.decode_events import DEAD, _DecodeFn
from transforms.hot_users import CLOSELY, HotUsers
from transforms.packet import unpack_dead
from transforms.pull import Pull
from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.generate import generate
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.state.event_batch import EventBatch
from user_state.state.events import Events
from user_state.state.string_dictionary import StringPool

SECOND_US = 1_000_000
AT_US = time.time_ns() // 1_000_000_000 * SECOND_US
"""Now: what is older than the retention is no event of anybody's."""


def rows(user: str, count: int, published_us: int = AT_US):
    return [(user, published_us)] * count


def events(rows):
    """A pull's events, of users and publish times."""
    users = list(dict.fromkeys(user for user, _ in rows))
    published_us = np.array([at for _, at in rows], np.int64)
    user = np.array([users.index(user) for user, _ in rows], np.int64)
    return Events(users, user, published_us.astype(np.uint64), published_us, published_us, (), StringPool())


def test_the_bound_counts_a_user_and_second_over_many_pulls():
    users = HotUsers(100)

    within = [users.within(events(rows("bot", 40) + rows("me", 4))) for _ in range(5)]

    assert [sum(one[:40]) for one in within] == [40, 40, 20, 0, 0]
    assert all(all(one[40:]) for one in within)
    assert sum(users.within(events(rows("bot", 150, AT_US + SECOND_US)))) == 100  # a new second
    assert sum(users.within(events(rows("bot", 10)))) == 0  # of the old one some more


def test_a_backlog_is_no_burst():
    users = HotUsers(100)
    backlog = [row for second in range(50) for row in rows("me", 100, AT_US + second * SECOND_US)]

    assert all(users.within(events(backlog)))


def test_nobody_is_bounded_without_a_bound_and_who_sends_little_is_not_remembered():
    assert all(HotUsers(0).within(events(rows("bot", 10_000))))
    users = HotUsers(100)
    users.within(events([one for n in range(1000) for one in rows(f"u{n}", 100 // CLOSELY - 1)]))
    assert len(users._seconds) == 0


def test_what_a_bot_sends_beyond_the_bound_is_a_dead_letter_with_its_bytes_and_all_else_goes_on():
    spec = load_spec("examples/feed/user_state.yaml")
    bodies = SingleObject(interaction_schema())
    made = generate(10, 100, 1, end_us=AT_US, span_us=SECOND_US)
    sample = next(one.event for one in made if one.event is not None)

    def message(user: str, number: int) -> Message:
        event = {**sample, "event_id": f"{user}-{number}", "user_id": user, "event_time": AT_US, "action": "view"}
        return Message(bodies.encode(event), {"n": str(number)}, AT_US, None, "somewhere")

    pull = [message("bot", n) for n in range(300)] + [message(f"u{n % 10}", n) for n in range(100)]
    decode = _DecodeFn(spec, 4, 100, None)
    decode.setup()
    decode.start_bundle()
    before = counters.so_far()[counters.READ]

    outputs = list(decode.process(Pull(pull)))

    dead = [
        letter for output in outputs if getattr(output, "tag", None) == DEAD for letter in unpack_dead(output.value)
    ]
    batch = EventBatch.join(compile_plan(spec), [output[1] for output in outputs if isinstance(output, tuple)])
    messages = [Message(*batch.message(at)) for at in range(len(batch))]
    assert {letter.reason for letter in dead} == {"hot_user"}
    assert [letter.message for letter in dead] == pull[100:300]
    assert len(messages) == 200
    assert {one.data for one in messages} == {one.data for one in pull[:100] + pull[300:]}
    assert counters.so_far()[counters.READ] - before == len(pull)
    assert {xxhash.xxh64_intdigest(b"bot") % 4} <= {output[0] for output in outputs if isinstance(output, tuple)}
