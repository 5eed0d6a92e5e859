"""A changed spec takes over what still has the same definition, starts what is new empty, drops what is gone."""

import numpy as np
import pytest

from tests.packed import Records, apply, features, migrated
from tests.trying import T0, D, H, M, S, batch, event, plan_of, record_of, value_of
from user_state.plan.layout import Layout
from user_state.plan.spec_change import changes
from user_state.state.envelope import LAYOUT
from user_state.state.records import PackedRecords

VIEWS = {"aggregate": "count", "where": {"action": "view"}, "windows": ["1h"]}
WATCHED = {"aggregate": "sum", "of": "value", "where": {"action": "view"}, "windows": ["1h"]}
DECAYED = {"aggregate": ["decayed_count"], "half_life": "1h"}
VISITS = {"aggregate": "session_count", "gap": "10s", "windows": ["1h", "lifetime"]}
RECENT = {"fields": ["item_id"], "last": 3}
KEYED = {"aggregate": ["count_by"], "by": "item_id", "windows": ["1h"]}
FADING = {"aggregate": ["decayed_count_by"], "by": "item_id", "half_life": "1h"}
TASTE = {"kind": "decayed_mean", "of": "item_id", "dimensions": 8, "half_life": "1h"}
ALL = {
    "features": {
        "views": VIEWS,
        "watched": WATCHED,
        "decayed": DECAYED,
        "visits": VISITS,
        "keyed": KEYED,
        "fading": FADING,
    },
    "sequences": {"recent": RECENT},
    "embeddings": {"taste": TASTE},
}
EVENTS = [event(T0 + n * S, item_id=f"i{n}", value=float(n), amount=n) for n in range(5)]


class Registered:
    """A store's layouts, and how often they were asked for."""

    def __init__(self, *layouts):
        self.layouts = {layout.fingerprint: layout.to_json() for layout in layouts}
        self.asked = 0

    def layout(self, fingerprint):
        self.asked += 1
        text = self.layouts.get(fingerprint)
        return None if text is None else Layout.from_json(text)


def read_by(new, old, events=EVENTS):
    """Return the record of `events`, folded and stored under the plan `old`, as the plan `new` reads it."""
    return migrated(new, old, record_of(old, events))


def without(section, name):
    return {**ALL, section: {key: value for key, value in ALL[section].items() if key != name}}


def read(plan, records, at_us=T0 + M):
    found = features(plan, records, at_us)
    sequences = {name: padded.of_user(0) for name, padded in found.sequences.items()}
    embeddings = {name: vectors[0].tolist() for name, vectors in found.embeddings.items()}
    scalars = dict(zip([output.name for output in plan.scalars], found.values[0].tolist(), strict=True))
    return {**scalars, **sequences, **embeddings}


@pytest.mark.parametrize(
    ("section", "name"),
    [("features", name) for name in ("views", "watched", "decayed", "visits", "keyed", "fading")],
)
def test_a_feature_that_is_gone_is_dropped_and_the_rest_stays(section, name):
    old, new = plan_of(**ALL), plan_of(**without(section, name))
    before = read(old, record_of(old, EVENTS))
    after = read(new, read_by(new, old))
    assert after == {key: value for key, value in before.items() if not key.startswith(name)}
    started, dropped = changes(new, old.layout)
    assert (started, len(dropped)) == ([], 1)


@pytest.mark.parametrize(
    ("section", "name", "empty"),
    [
        ("features", "views", {"views_count_1h": 0.0}),
        ("features", "watched", {"watched_sum_1h": 0.0}),
        ("features", "decayed", {"decayed_decayed_count_1h": 0.0}),
        ("features", "visits", {"visits_session_count_1h": 0.0, "visits_session_count_lifetime": 0.0}),
        ("features", "keyed", {"keyed_count_by_1h": {"item_id": [], "count": []}}),
        ("features", "fading", {"fading_decayed_count_by_1h": {"item_id": [], "count": []}}),
    ],
)
def test_a_feature_that_is_new_starts_empty_and_the_rest_stays(section, name, empty):
    old, new = plan_of(**without(section, name)), plan_of(**ALL)
    records = read_by(new, old)
    assert read(new, records) == {**read(old, record_of(old, EVENTS)), **empty}
    started, dropped = changes(new, old.layout)
    assert (len(started), dropped) == (1, [])
    later = apply(new, records, batch(new, [event(T0 + 10 * S, item_id="new", value=1.0)]))
    found = read(new, later)[next(iter(empty))]
    assert found["item_id"] == ["new"] if isinstance(found, dict) else found > 0


def test_sessions_and_their_totals_move_with_their_track_and_a_gap_that_changes_starts_anew():
    likes = {**VISITS, "where": {"action": "like"}}
    old = plan_of(features={"visits": VISITS, "likes": likes, "gone": {**VISITS, "gap": "5s"}})
    new = plan_of(features={"new": {**VISITS, "gap": "20s"}, "likes": likes, "visits": VISITS})
    history = [event(T0 + n * D, action=action) for n in range(4) for action in ("view", "like")]
    records = read_by(new, old, [*history, event(T0 + 3 * D + M)])
    at_us = T0 + 3 * D + M
    names = ("visits", "likes", "new")
    assert [value_of(new, records, f"{name}_session_count_lifetime", at_us) for name in names] == [5, 4, 0]
    later = apply(new, records, batch(new, [event(T0 + 3 * D + M + S, action="like")]))
    assert value_of(new, later, "likes_session_count_lifetime", at_us) == 5
    assert value_of(new, later, "visits_session_count_1h", at_us) == 2


@pytest.mark.parametrize("values", [5, 2000])
def test_sketches_move_with_their_track_and_one_of_another_size_starts_anew(values):
    of = {"aggregate": ["approx_distinct", "approx_quantiles"], "of": "value", "quantiles": [0, 1], "windows": "1h"}
    likes = {**of, "where": {"action": "like"}}
    old = plan_of(features={"gone": {**of, "of": "amount"}, "seen": of, "likes": likes})
    new = plan_of(features={"likes": likes, "new": {**of, "error": 0.1}, "seen": of})
    history = [event(T0 + n, value=float(n), amount=n, action="like" if n % 5 == 4 else "view") for n in range(values)]
    records = read_by(new, old, history)
    held = record_of(old, history)
    for name in ("seen", "likes"):
        assert value_of(new, records, f"{name}_approx_distinct_1h", T0) == value_of(
            old, held, f"{name}_approx_distinct_1h", T0
        )
        output = f"{name}_approx_quantiles_1h"
        np.testing.assert_array_equal(features(new, records, T0).arrays[output], features(old, held, T0).arrays[output])
    assert value_of(new, records, "seen_approx_distinct_1h", T0) == pytest.approx(values, rel=0.15)
    assert value_of(new, records, "new_approx_distinct_1h", T0) == 0
    assert np.isnan(features(new, records, T0).arrays["new_approx_quantiles_1h"]).all()
    later = apply(new, records, batch(new, [event(T0 + S, value=-1.0, action="like")]))
    assert features(new, later, T0 + S).arrays["likes_approx_quantiles_1h"].tolist() == [[-1.0, float(values - 1)]]
    assert [len(found) for found in changes(new, old.layout)] == [2, 2]


def test_sequences_and_embeddings_come_and_go_with_the_rest():
    some = plan_of(features=ALL["features"])
    every = plan_of(**ALL)
    fewer = read(some, read_by(some, every))
    assert fewer == read(some, record_of(some, EVENTS))
    more = read(every, read_by(every, some))
    assert (more["recent"], more["taste_1h"]) == ({"item_id": []}, [0.0] * 8)
    assert {name: more[name] for name in fewer} == fewer


def test_clock_times_and_count_of_events_stay():
    old, new = plan_of(**ALL), plan_of()
    records, adopted = record_of(old, EVENTS), read_by(new, old)
    for name in ("clock_us", "last_event_us", "horizon_us", "applied"):
        assert getattr(adopted.heads, name).tolist() == getattr(records.heads, name).tolist()


def test_outputs_that_are_renamed_or_reordered_stay():
    old = plan_of(features={"views": VIEWS, "watched": WATCHED})
    new = plan_of(features={"seen_for": WATCHED, "looks": VIEWS})
    assert changes(new, old.layout) == ([], [])
    assert read(new, read_by(new, old)) == {"seen_for_sum_1h": 10.0, "looks_count_1h": 5.0}


def test_a_longer_window_keeps_what_was_kept_and_fills_as_time_passes():
    old = plan_of(features={"views": VIEWS})
    new = plan_of(features={"views": {**VIEWS, "windows": ["1h", "1d"]}})
    history = [event(T0), event(T0 + 3 * H), event(T0 + 3 * H + M)]
    records = read_by(new, old, history)
    at_us = T0 + 3 * H + 2 * M
    assert [value_of(new, records, f"views_count_{w}", at_us) for w in ("1h", "1d")] == [2, 2]
    later = apply(new, records, batch(new, [event(T0 + 5 * H)]))
    assert [value_of(new, later, f"views_count_{w}", T0 + 5 * H) for w in ("1h", "1d")] == [1, 3]


def test_a_shorter_window_drops_what_it_no_longer_sees():
    old = plan_of(features={"views": {**VIEWS, "windows": ["1d"]}})
    new = plan_of(features={"views": {**VIEWS, "windows": ["1h"]}})
    records = read_by(new, old, [event(T0), event(T0 + 3 * H)])
    later = apply(new, records, batch(new, [event(T0 + 3 * H)]))
    assert value_of(new, later, "views_count_1h", T0 + 3 * H) == 2


def test_a_field_added_to_a_sequence_is_null_for_what_was_there():
    old = plan_of(sequences={"recent": RECENT})
    new = plan_of(sequences={"recent": {"fields": ["amount", "item_id", "value", "action"], "last": 3}})
    assert read(new, read_by(new, old))["recent"] == {
        "amount": [None] * 3,
        "item_id": ["i4", "i3", "i2"],
        "value": [None] * 3,
        "action": [None] * 3,
    }


@pytest.mark.parametrize(
    "changed", [{"half_life": "2h"}, {"dimensions": 16}, {"weights": {"view": 2.0}}, {"of": "action"}]
)
def test_an_embedding_that_means_something_else_starts_empty(changed):
    old = plan_of(embeddings={"taste": TASTE})
    new = plan_of(embeddings={"taste": {**TASTE, **changed}})
    assert not features(new, read_by(new, old), T0).embeddings[new.embeddings[0].name].any()


def test_tracks_of_keys_with_more_columns_and_sums_come_and_go():
    """Keys of one column stand beside keys of three, with and without sums and rests."""
    plain = {**KEYED, "keys": 3, "k": 3, "windows": ["1h", "lifetime"]}
    wide = {"aggregate": "sum_by", "by": ["action", "item_id", "amount"], "of": "value", "windows": ["1h"]}
    fading = {**FADING, "by": ["item_id", "action", "amount"]}
    some = plan_of(features={"keyed": plain, "fading": FADING})
    more = plan_of(features={"more": fading, "wide": wide, "keyed": plain, "fading": FADING})
    for old, new in ((some, more), (more, some), (more, plan_of(features={"wide": wide}))):
        before, after = read(old, record_of(old, EVENTS)), read(new, read_by(new, old))
        for name, entries in after.items():
            assert entries == (before[name] if name in before else {field: [] for field in entries})
        extra = [event(T0 + 20 * S, item_id="i1", value=2.0, amount=9)]
        later = apply(new, read_by(new, old), batch(new, extra))
        whole = apply(old, record_of(old, EVENTS), batch(old, extra))
        expected = read(old, whole)
        assert {n: e for n, e in read(new, later).items() if n in before} == {
            n: e for n, e in expected.items() if n in after
        }


@pytest.mark.parametrize(
    "changed", [{"by": "action"}, {"by": ["item_id", "action"]}, {"where": {"action": "view"}}, {"by": "amount"}]
)
def test_keys_that_mean_something_else_start_empty(changed):
    old = plan_of(features={"keyed": KEYED, "fading": FADING})
    new = plan_of(features={"keyed": {**KEYED, **changed}, "fading": {**FADING, **changed}})
    tables = read(new, read_by(new, old))
    assert [table["count"] for table in tables.values()] == [[], []]


def test_records_of_several_layouts_in_one_read_are_each_taken_over_and_layouts_asked_for_once():
    older, old, new = plan_of(features={"watched": WATCHED}), plan_of(features={"views": VIEWS}), plan_of(**ALL)
    source = Registered(older.layout, old.layout)
    packed = PackedRecords(new, source)
    blobs = [record_of(plan, EVENTS).blobs[0] for plan in (old, new, older, old)]
    for _ in range(3):
        moved, broken = packed.migrate([blobs[0], None, *blobs[1:]])
        assert not broken
        records = Records(new, moved)
        assert records.heads.applied.tolist() == [5, 0, 5, 5, 5]
        assert [value_of(new, records, "views_count_1h", T0 + D * 0, u) for u in range(5)] == [5, 0, 5, 0, 5]
        assert [value_of(new, records, "watched_sum_1h", T0, u) for u in range(5)] == [0, 0, 10, 10, 0]
    assert source.asked == 2


def test_a_layout_nobody_registered_is_named():
    old, new = plan_of(features={"views": VIEWS}), plan_of()
    moved, broken = PackedRecords(new, Registered()).migrate(record_of(old, EVENTS).blobs)
    assert (moved, list(broken)) == ([None], [0])
    assert old.layout.fingerprint.hex() in broken[0]


def test_a_layout_that_is_not_the_one_its_name_says_is_refused():
    old, new = plan_of(features={"views": VIEWS}), plan_of(**ALL)
    source = Registered(old.layout)
    source.layouts[old.layout.fingerprint] = plan_of(features={"watched": WATCHED}).layout.to_json()
    _, broken = PackedRecords(new, source).migrate(record_of(old, EVENTS).blobs)
    assert "expected layout" in broken[0]


def test_adopting_ones_own_layout_changes_nothing():
    plan = plan_of(**ALL)
    records = record_of(plan, EVENTS)
    assert migrated(plan, plan, records).blobs == records.blobs
    assert records.blobs[0][LAYOUT] == plan.layout.fingerprint


DISTINCT = {"aggregate": "distinct", "of": "amount", "windows": ["1h"]}
DAYS = {"aggregate": "active_days", "windows": ["1d"]}
HOURS = {"aggregate": "day_of_week", "half_life": "1h"}


def test_values_days_and_profiles_are_taken_over_in_another_order_beside_new_ones():
    old = plan_of(features={"d": DISTINCT, "a": DAYS, "h": HOURS})
    likes = {"where": {"action": "like"}}
    new = plan_of(
        features={
            "new_days": {**DAYS, **likes},
            "days": {**DAYS, "windows": ["lifetime"]},
            "new": {**DISTINCT, "of": "value"},
            "values": {**DISTINCT, "windows": ["1d"]},
            "new_hours": {**HOURS, **likes},
            "hours": HOURS,
        }
    )
    history = [event(T0 - D, amount=9), *EVENTS]
    records = read_by(new, old, history)
    assert features(new, records, T0).values[0].tolist() == [0, 2, 0, 5]
    arrays = features(new, records, T0).arrays
    assert arrays["new_hours_day_of_week_1h"].sum() == 0
    assert arrays["hours_day_of_week_1h"].sum() == pytest.approx(1)
    later = apply(new, records, batch(new, [event(T0 + D, action="like", value=1.5, amount=9)]))
    assert features(new, later, T0 + D).values[0].tolist() == [1, 3, 1, 6]
    started, dropped = changes(new, old.layout)
    assert (len(started), dropped) == (3, [])


@pytest.mark.parametrize(
    ("feature", "changed", "kept"),
    [
        (DISTINCT, {"features": {"f": {**DISTINCT, "cap": 5}}}, True),
        (DISTINCT, {"features": {"f": {**DISTINCT, "windows": ["1d"]}}}, True),
        (DISTINCT, {"features": {"f": {**DISTINCT, "of": "item_id"}}}, False),
        (DISTINCT, {"features": {"f": DISTINCT}, "timezone": "Europe/Berlin"}, True),
        (DAYS, {"features": {"f": {**DAYS, "aggregate": "streak_days"}}}, True),
        (DAYS, {"features": {"f": DAYS}, "timezone": "Europe/Berlin"}, False),
        (HOURS, {"features": {"f": HOURS}, "timezone": "Europe/Berlin"}, False),
        (HOURS, {"features": {"f": {**HOURS, "half_life": "2h"}}}, False),
        (HOURS, {"features": {"f": {**HOURS, "aggregate": "hour_of_day"}}}, False),
    ],
)
def test_what_goes_by_another_clock_or_field_starts_empty_and_caps_and_windows_change_freely(feature, changed, kept):
    old, new = plan_of(features={"f": feature}), plan_of(**changed)
    records = read_by(new, old)
    read = features(new, records, T0 + M)
    found = sum(read.values[0].tolist()) + sum(float(numbers.sum()) for numbers in read.arrays.values())
    assert (found > 0) is kept
    assert (changes(new, old.layout) == ([], [])) is kept


def test_a_lower_cap_cuts_at_once_and_a_higher_one_fills_as_time_passes():
    plans = {cap: plan_of(features={"f": {**DISTINCT, "cap": cap}}) for cap in (2, 4)}
    assert value_of(plans[2], read_by(plans[2], plans[4]), "f_distinct_1h", T0 + M) == 2
    records = read_by(plans[4], plans[2])
    assert value_of(plans[4], records, "f_distinct_1h", T0 + M) == 2
    later = apply(plans[4], records, batch(plans[4], [event(T0 + M, amount=70 + n) for n in range(3)]))
    assert value_of(plans[4], later, "f_distinct_1h", T0 + M) == 4
