"""Decayed sums: exact when late, merged or split; held against float64 at every prefix."""

import numpy as np
import pytest

from tests.packed import Records, apply, features, merge, migrated, packed
from tests.trying import T0, D, H, M, batch, event, fold_all, plan_of, record_of, spec_of, value_of
from user_state import oracle
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.oracle import item_vector
from user_state.state.histories import SumsReader

TASTE = {
    "kind": "decayed_mean",
    "of": "item_id",
    "dimensions": 64,
    "half_life": ["1h", "7d"],
    "weights": {"view": 1.0, "like": 3.0, "skip": -1.0},
}


def sums_of(plan, records):
    """Return what the record holds of the first embedding, as it is."""
    found, wrong = SumsReader(plan, packed(plan)).read(records.blobs)
    assert not wrong
    return found


def vector(plan, records, name="taste_1h", at_us=None, user=0):
    """Return an embedding at a time, by default at each user's clock."""
    times_us = records.heads.clock_us if at_us is None else at_us
    return features(plan, records, times_us).embeddings[name][user]


def mean_of(events, half_life_us, weights):
    """The defining formula in float64, ages counted from the newest event."""
    newest_us = max(e["event_time"] for e in events)
    share = np.array([weights[e["action"]] * 0.5 ** ((newest_us - e["event_time"]) / half_life_us) for e in events])
    items = np.stack([item_vector(e["item_id"], 64) for e in events])
    return share @ items / np.abs(share).sum()


@pytest.mark.parametrize("dimensions", [1, 2, 63, 64, 65, 4096])
def test_an_items_vector_has_length_one_and_is_the_oracles(dimensions):
    ids = ["a", "", "\U0001f389"]
    vectors = hashed_vectors(ids, dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(np.sign(vectors), np.sign([item_vector(i, dimensions) for i in ids]))


def test_no_items_have_no_vectors():
    assert hashed_vectors([], 64).shape == (0, 64)


def test_one_event_gives_its_items_vector_whatever_it_weighs_and_whenever_it_is_read():
    plan = plan_of(embeddings={"taste": TASTE})
    for action in ("view", "like"):
        records = record_of(plan, [event(T0, item_id="a", action=action)])
        for at_us in (T0, T0 + 1, T0 + 3000 * D):
            np.testing.assert_allclose(vector(plan, records, at_us=at_us), item_vector("a", 64), rtol=1e-6)


def test_a_negative_weight_pushes_away_and_never_divides_by_zero():
    plan = plan_of(embeddings={"taste": TASTE})
    records = record_of(plan, [event(T0, item_id="a", action="skip")])
    np.testing.assert_allclose(vector(plan, records), -item_vector("a", 64), rtol=1e-6)
    records = record_of(plan, [event(T0, item_id="a", action="skip"), event(T0, item_id="a")])
    np.testing.assert_array_equal(vector(plan, records), np.zeros(64))


def test_an_event_counts_half_after_one_half_life():
    plan = plan_of(embeddings={"taste": TASTE})
    records = record_of(plan, [event(T0, item_id="a"), event(T0 + H, item_id="b")])
    expected = (0.5 * item_vector("a", 64) + item_vector("b", 64)) / 1.5
    np.testing.assert_allclose(vector(plan, records), expected, atol=1e-7)


def test_a_late_event_counts_as_if_it_had_come_in_time():
    plan = plan_of(embeddings={"taste": TASTE})
    early, late = event(T0, item_id="a"), event(T0 + 40 * M, item_id="b")
    in_order = apply(plan, record_of(plan, [early]), batch(plan, [late]))
    swapped = apply(plan, record_of(plan, [late]), batch(plan, [early]))
    a, b = sums_of(plan, in_order), sums_of(plan, swapped)
    assert a.time_us.tolist() == b.time_us.tolist() == [late["event_time"]]
    np.testing.assert_allclose(a.sums, b.sums, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(a.weight, b.weight)


@pytest.mark.parametrize("fields", [{"action": "open"}, {"item_id": None}])
def test_events_without_weight_or_item_take_no_part_and_do_not_move_the_reference_time(fields):
    plan = plan_of(embeddings={"taste": TASTE})
    records = record_of(plan, [event(T0, item_id="a"), event(T0 + H, **{"item_id": "b", **fields})])
    assert sums_of(plan, records).time_us.tolist() == [T0]
    np.testing.assert_allclose(vector(plan, records), item_vector("a", 64), rtol=1e-6)


def test_a_user_away_for_longer_than_floats_reach_keeps_the_direction():
    plan = plan_of(embeddings={"taste": TASTE})
    records = record_of(plan, [event(T0, item_id="a")])
    later = apply(plan, records, batch(plan, [event(T0 + 9000 * D, item_id="b")]))
    np.testing.assert_allclose(vector(plan, later), item_vector("b", 64), rtol=1e-6)


@pytest.mark.parametrize("half_life", ["1h", "7d"])
def test_folded_one_by_one_through_bytes_it_stays_within_1e_6_of_float64_at_every_prefix(half_life):
    plan = plan_of(embeddings={"taste": TASTE})
    rng = np.random.default_rng(8)
    half_life_us = {"1h": H, "7d": 7 * D}[half_life]
    events, records = [], Records.empty(plan, 1)
    for n in range(100):
        action = str(rng.choice(["view", "view", "like", "skip"]))
        events.append(
            event(T0 + n * 10 * M - int(rng.integers(0, 40)) * M, item_id=f"i{rng.integers(30)}", action=action)
        )
        records = apply(plan, records, batch(plan, events[-1:]))
        expected = mean_of(events, half_life_us, TASTE["weights"])
        error = np.abs(vector(plan, records, f"taste_{half_life}") - expected).max()
        assert error <= 1e-6 * np.abs(expected).max(), n


@pytest.mark.slow
@pytest.mark.parametrize("weights", [{"view": 1.0}, {"view": 1.0, "skip": -1.0}])
def test_thousands_of_folds_of_one_event_stay_within_1e_6_of_float64(weights):
    """The promise holds for a user who has acted for years, one bundle an event."""
    plan = plan_of(embeddings={"taste": {**TASTE, "half_life": "30d", "weights": weights}})
    rng = np.random.default_rng(9)
    actions = list(weights)
    events = [
        event(T0 + n * M, item_id=f"i{int(rng.random() ** 3 * 1000)}", action=str(rng.choice(actions)))
        for n in range(3000)
    ]
    records = Records.empty(plan, 1)
    for one in events:
        records = apply(plan, records, batch(plan, [one]))
    expected = mean_of(events, 30 * D, weights)
    assert np.abs(vector(plan, records, "taste_30d") - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.slow
def test_thousands_of_folds_through_half_precision_do_not_drift():
    """Rounded to the nearest each time, what one item adds would be rounded the same way each time."""
    plan = plan_of(embeddings={"taste": {**TASTE, "half_life": "1d", "weights": {"view": 1.0}, "storage": "float16"}})
    rng = np.random.default_rng(12)
    events, records, worst = [], Records.empty(plan, 1), 0.0
    for n in range(3000):
        events.append(event(T0 + n * M, item_id=f"i{int(rng.random() ** 3 * 100)}"))
        records = apply(plan, records, batch(plan, events[-1:]))
        if n % 1000 == 999:
            expected = mean_of(events, D, {"view": 1.0})
            folds = min(n, D / M / np.log(2) / 2)
            stated = 0.5 / 32767 * np.sqrt(folds) * np.abs(expected).max()
            errors = (vector(plan, records, "taste_1d") - expected) / stated
            # Within the standard deviation that steps.hpp states, and without bias: 64 components' mean is an eighth.
            assert np.sqrt((errors**2).mean()) < 1.3, n
            assert abs(errors.mean()) < 4 / 8, n
            worst = max(worst, np.abs(errors).max())
    assert worst > 0.05


def test_half_precision_takes_two_bytes_a_component_and_single_four():
    sizes = {}
    for storage in ("float32", "float16"):
        plan = plan_of(embeddings={"taste": {**TASTE, "dimensions": 128, "storage": storage}})
        records = record_of(plan, [event(T0, item_id="a"), event(T0 + M, item_id="b")])
        sizes[storage] = records.size
        assert vector(plan, records).dtype == np.float32
    assert sizes["float32"] - sizes["float16"] == 2 * 128 * 2


def test_a_changed_storage_goes_on_from_the_sums_there_are():
    plans = [plan_of(embeddings={"taste": {**TASTE, "storage": storage}}) for storage in ("float32", "float16")]
    for old, new in (plans, plans[::-1]):
        moved = migrated(new, old, record_of(old, [event(T0, item_id="a")]))
        np.testing.assert_allclose(vector(new, moved), item_vector("a", 64), rtol=1e-6)


def test_a_sum_halves_with_every_half_life_of_silence_and_is_as_it_was_before_its_newest_event():
    plan = plan_of(embeddings={"taste": {**TASTE, "kind": "decayed_sum"}})
    records = record_of(plan, [event(T0, item_id="a", action="like"), event(T0 - H, item_id="a")])
    for hours, factor in ((0, 1), (-0.01, 1), (1, 0.5), (10, 2.0**-10), (24 * 3000, 0)):
        read = vector(plan, records, at_us=T0 + int(hours * H))
        np.testing.assert_allclose(read, 3.5 * factor * item_vector("a", 64), rtol=1e-6)


def test_a_direction_has_length_one_however_old_it_is_and_opposites_have_none():
    unit = {**TASTE, "normalise": "unit"}
    plan = plan_of(embeddings={"mean": unit, "sum": {**unit, "kind": "decayed_sum"}})
    records = record_of(plan, [event(T0, item_id="a", action="like"), event(T0, item_id="b")])
    expected = 3 * item_vector("a", 64) + item_vector("b", 64)
    for name in ("mean_1h", "sum_1h"):
        read = vector(plan, records, name, T0 + 9000 * D)
        np.testing.assert_allclose(read, expected / np.linalg.norm(expected), atol=1e-7)
    records = record_of(plan, [event(T0, item_id="a", action="skip"), event(T0, item_id="a")])
    assert not vector(plan, records, "mean_1h").any()
    assert len(plan.vectors) == 1


def test_a_filter_keeps_events_out_and_an_attribute_has_a_vector_as_an_item_has():
    plan = plan_of(
        embeddings={
            "liked": {**TASTE, "where": {"action": "like"}, "weights": {"like": 1.0, "view": 1.0}},
            "acts": {"kind": "decayed_mean", "of": "action", "dimensions": 64, "half_life": "1h"},
        }
    )
    records = record_of(plan, [event(T0, item_id="a", action="like"), event(T0 + M, item_id="b")])
    np.testing.assert_allclose(vector(plan, records, "liked_1h"), item_vector("a", 64), rtol=1e-6)
    shares = np.array([0.5 ** (1 / 60), 1.0]) / (1 + 0.5 ** (1 / 60))
    expected = shares @ [item_vector("like", 64), item_vector("view", 64)]
    np.testing.assert_allclose(vector(plan, records, "acts_1h"), expected, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"normalise": "unit"}, {"kind": "decayed_sum"}])
def test_any_order_and_partition_of_a_history_gives_one_embedding_to_1e_5(settings):
    """Through bytes after every part, some of whose events come days late."""
    plan = plan_of(embeddings={"taste": {**TASTE, "weights": {"view": 1.0, "like": 3.0}, **settings}})
    rng = np.random.default_rng(13)
    events = [
        event(T0 + int(rng.integers(0, 10 * D)), item_id=f"i{n % 17}", action=["view", "like"][n % 2])
        for n in range(120)
    ]
    at_us = T0 + 11 * D
    spec = spec_of(embeddings={"taste": {**TASTE, "weights": {"view": 1.0, "like": 3.0}, **settings}}).spec
    applied = [oracle.AppliedEvent(e["event_time"], n, e["event_time"], e) for n, e in enumerate(events)]
    expected = oracle.features(spec, applied, at_us).embeddings["taste_7d"]
    for parts in (1, 2, 7, 120):
        order = rng.permutation(len(events))
        records = fold_all(plan, [[events[i] for i in part] for part in np.array_split(order, parts)])
        found = vector(plan, records, "taste_7d", at_us)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), parts


def test_merging_halves_of_a_history_is_folding_it():
    plan = plan_of(embeddings={"taste": TASTE})
    rng = np.random.default_rng(10)
    events = [event(T0 + int(rng.integers(0, 10 * D)), item_id=f"i{n % 17}", action="like") for n in range(200)]
    halves = [record_of(plan, events[i::2]) for i in range(2)]
    expected = mean_of(events, 7 * D, TASTE["weights"])
    for merged in (merge(plan, *halves), merge(plan, *halves[::-1])):
        assert np.abs(vector(plan, merged, "taste_7d") - expected).max() <= 1e-6 * np.abs(expected).max()


def test_a_decayed_count_halves_with_every_half_life_of_silence():
    plan = plan_of(features={"f": {"aggregate": ["decayed_count", "decayed_sum"], "of": "value", "half_life": "1h"}})
    records = record_of(plan, [event(T0, value=-4.0), event(T0 - H, value=None)])
    for hours in (0, 1, 2, 10):
        assert value_of(plan, records, "f_decayed_count_1h", T0 + hours * H) == pytest.approx(1.0 / 2**hours)
        assert value_of(plan, records, "f_decayed_sum_1h", T0 + hours * H) == pytest.approx(-4.0 / 2**hours)
