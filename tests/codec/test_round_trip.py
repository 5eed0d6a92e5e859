"""What is encoded decodes to itself, alone or in a batch, and a user's bytes depend on nobody else."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packed import Records, from_events, merge
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, VERSION, D, H, S, again, event, plan_of, record_of, same_record
from user_state.codec.record import decode_records, encode_records, open_record, version_of
from user_state.codec.seen import decode_seen, encode_seen
from user_state.core.admission import Seen
from user_state.core.compile import compile_plan
from user_state.core.events import Events
from user_state.core.layout import Layout
from user_state.errors import CodecError
from user_state.events.decode import EventDecoder


def records_of(world: World):
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    events = Events.from_rows(plan, [decoder.row(a.event or {}, a.published_us) for a in world.arrivals])
    return plan, merge(plan, Records.empty(plan, len(events.users)), from_events(plan, events))


@pytest.mark.slow
@given(worlds(most=30, duplicates=False))
@settings(QUICK, max_examples=150)
def test_records_of_any_spec_survive_and_encode_to_the_same_bytes_again(world):
    plan, records = records_of(world)
    versions = [bytes([n] * 8) for n in range(len(records))]
    blobs = encode_records(records, plan.layout, versions)
    decoded = decode_records([open_record(blob) for blob in blobs], plan.layout)
    same_record(plan, records, decoded)
    assert encode_records(decoded, plan.layout, versions) == blobs
    assert [version_of(blob) for blob in blobs] == versions
    assert {open_record(blob).layout for blob in blobs} == {plan.layout.fingerprint}


@pytest.mark.slow
@given(worlds(most=30, duplicates=False))
@settings(QUICK, max_examples=75)
def test_a_users_bytes_do_not_depend_on_the_others_in_the_batch(world):
    plan, records = records_of(world)
    blobs = encode_records(records, plan.layout, [VERSION] * len(records))
    for blob in blobs:
        alone = decode_records([open_record(blob)], plan.layout)
        assert encode_records(alone, plan.layout, [VERSION]) == [blob]
    opened = [open_record(blob) for blob in blobs]
    for order in itertools.islice(itertools.permutations(range(len(blobs))), 6):
        mixed = decode_records([opened[i] for i in order], plan.layout)
        assert encode_records(mixed, plan.layout, [VERSION] * len(blobs)) == [blobs[i] for i in order]


def test_users_without_a_record_stand_between_others_as_empty():
    plan = plan_of(
        features={"f": {"aggregate": "sum", "of": "value", "windows": ["1h"]}},
        sequences={"s": {"fields": ["item_id", "value"], "last": 3}},
        embeddings={"e": {"kind": "decayed_mean", "of": "item_id", "dimensions": 3, "half_life": "1h"}},
    )
    held = open_record(encode_records(record_of(plan, [event(T0, item_id="a")]), plan.layout, [VERSION])[0])
    records = decode_records([None, held, None], plan.layout)
    assert (records.applied.tolist(), records.clock_us.tolist()) == ([0, 1, 0], [0, T0, 0])
    assert set(records.tiles.user.tolist()) | set(records.logs[0].user.tolist()) == {1}
    same_record(plan, decode_records([None, None], plan.layout), Records.empty(plan, 2))
    assert len(decode_records([], plan.layout)) == 0
    assert encode_records(Records.empty(plan, 0), plan.layout, []) == []


def test_a_record_of_nothing_is_a_record():
    plan = plan_of()
    same_record(plan, again(plan, Records.empty(plan, 1)), Records.empty(plan, 1))


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, -1.7976931348623157e308, math.inf])
def test_sums_keep_their_very_bits(value):
    plan = plan_of(features={"f": {"aggregate": "sum", "of": "value", "windows": ["1h"]}})
    records = record_of(plan, [event(T0, value=1.0)])
    records.tiles.values[0, 0] = value
    assert again(plan, records).tiles.values.tobytes() == records.tiles.values.tobytes()


@pytest.mark.parametrize("count", [1, 254, 255, 256, 2**32, 2**61])
def test_any_count_is_stored(count):
    plan = plan_of()
    records = record_of(plan, [event(T0)])
    records.tiles.count[0] = count
    assert again(plan, records).tiles.count.tolist() == [count]


@pytest.mark.parametrize("time_us", [0, 1, 31_536_000 * S, T0, 4_102_444_800 * S - 1])
def test_any_time_is_stored(time_us):
    plan = plan_of()
    records = Records.empty(plan, 1)
    for name in ("clock_us", "last_event_us", "horizon_us", "applied"):
        times = Records(**{**vars(records), name: np.array([time_us])})
        assert getattr(again(plan, times), name).tolist() == [time_us]


@pytest.mark.parametrize("tracks", [1, 7, 8, 9, 64, 65])
def test_any_number_of_tracks_is_stored(tracks):
    features = {
        f"f{i}": {"aggregate": "count", "where": {"amount": i}, "windows": ["1h", "lifetime"]} for i in range(tracks)
    }
    plan = plan_of(features=features)
    records = record_of(plan, [event(T0 - (i % 5) * D, amount=i % tracks) for i in range(3 * tracks)])
    assert len(records.tiles.key) >= tracks
    same_record(plan, records, again(plan, records))


@given(st.lists(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=5), max_size=5))
def test_remembered_ids_of_any_users_survive(ids_of_users):
    flat = [(user, *pair) for user, ids in enumerate(ids_of_users) for pair in ids]
    user, id_hash, second = zip(*flat, strict=True) if flat else ((), (), ())
    seen = Seen(np.array(user, np.int64), np.array(id_hash, np.uint64), np.array(second, np.int64))
    blobs = encode_seen(seen, len(ids_of_users))
    decoded = decode_seen(blobs)
    for part in ("user", "id_hash", "second"):
        np.testing.assert_array_equal(getattr(decoded, part), getattr(seen, part))
    assert encode_seen(decoded, len(ids_of_users)) == blobs
    assert [decode_seen([blob]).user.tolist() for blob in blobs] == [[0] * len(ids) for ids in ids_of_users]


def test_users_without_remembered_ids_stand_between_others():
    blob = encode_seen(Seen(np.array([0]), np.array([7], np.uint64), np.array([9])), 1)[0]
    assert decode_seen([None, blob, None]).user.tolist() == [1]
    assert len(decode_seen([]).user) == 0


@pytest.mark.slow
@given(worlds(most=1))
@settings(QUICK, max_examples=100)
def test_a_layout_survives_as_json_with_its_fingerprint(world):
    layout = compile_plan(world.spec).layout
    assert Layout.from_json(layout.to_json()) == layout
    assert Layout.from_json(layout.to_json().encode()) == layout
    assert len(layout.fingerprint) == 8


def test_layouts_that_differ_anywhere_have_different_fingerprints():
    made = [
        {"aggregate": ["count"]},
        {"aggregate": ["count"], "where": {"action": "view"}},
        {"aggregate": ["count"], "where": {"action": ["like", "view"]}},
        {"aggregate": ["count"], "where": {"item_id": "view"}},
        {"aggregate": ["sum"], "of": "value"},
        {"aggregate": ["sum"], "of": "amount"},
        {"aggregate": ["min"], "of": "value"},
        {"aggregate": ["last_k"], "of": "value", "k": 3},
    ]
    plans = [plan_of(features={"f": {"windows": ["1h"], **feature}}) for feature in made]
    assert len({plan.layout.fingerprint for plan in plans}) == len(made)


def test_names_and_order_of_values_are_no_part_of_a_layout():
    one = plan_of(features={"a": {"aggregate": "count", "windows": ["1h"], "where": {"action": ["x", "y"]}}})
    two = plan_of(features={"b": {"aggregate": "count", "windows": ["1h"], "where": {"action": ["y", "x"]}}})
    assert one.layout.fingerprint == two.layout.fingerprint


@pytest.mark.parametrize(
    "changed", [{"windows": ["1d"]}, {"windows": ["1h", "lifetime"]}, {"k": 4}, {"cap": 4}, {"gap": "2m"}]
)
def test_what_a_record_keeps_of_a_definition_is_a_part_of_its_layout(changed):
    feature = {"aggregate": ["last_k", "distinct", "session_count"], "of": "item_id", "k": 3, "cap": 3, "gap": "1m"}
    one = plan_of(features={"a": {**feature, "windows": ["1h"]}})
    two = plan_of(features={"a": {**feature, "windows": ["1h"], **changed}})
    assert one.layout.fingerprint != two.layout.fingerprint


@pytest.mark.parametrize("changed", [{"retention": "3d"}, {"allowed_lateness": "3h"}])
def test_what_changes_nothing_that_is_kept_is_no_part_of_a_layout(changed):
    assert plan_of().layout == plan_of(**changed).layout


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_record_cut_off_or_continued_anywhere_is_refused(cut):
    plan = plan_of(sequences={"s": {"fields": ["item_id"], "last": 3}})
    blob = encode_records(record_of(plan, [event(T0 + i * H, item_id="a") for i in range(3)]), plan.layout, [VERSION])[
        0
    ]
    for damaged in (blob[:cut], blob[:-cut], blob + bytes(cut)):
        with pytest.raises(CodecError):
            open_record(damaged)
