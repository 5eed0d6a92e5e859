"""Recent items: exact while within the cap, within the stated bound beyond, whatever the order of arrival."""

import numpy as np
import pytest

from tests.packed import apply, features
from tests.trying import T0, D, H, M, batch, event, fold_all, plan_of, record_of, spec_of
from user_state.errors import EventError, SpecError
from user_state.events.decode import EventDecoder

RECENT = {
    "kind": "recent_items",
    "of": "item_id",
    "half_life": ["1h", "7d"],
    "weights": {"view": 1.0, "like": 3.0},
    "k": 50,
}


def table(plan, records, at_us, name="recent_1h"):
    return features(plan, records, at_us).sequences[name].of_user(0)


def by_hand(made, at_us, half_life_us):
    counts = {}
    for e in made:
        weight = RECENT["weights"].get(e["action"], 0.0) * 2.0 ** (-(at_us - e["event_time"]) / half_life_us)
        if weight:
            counts[e["item_id"]] = counts.get(e["item_id"], 0.0) + weight
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def traffic(events, items, seed=5):
    rng = np.random.default_rng(seed)
    return [
        event(
            T0 + int(rng.integers(0, 2 * D)),
            item_id=f"i{int(items * rng.random() ** 2)}",
            action=str(rng.choice(["view", "like", "skip"])),
        )
        for _ in range(events)
    ]


def test_items_stand_by_decayed_weight_with_their_share_of_all():
    plan = plan_of(embeddings={"recent": RECENT})
    made = [event(T0, item_id="a", action="like"), event(T0 + H, item_id="b"), event(T0 + H, item_id="c", action="x")]
    found = table(plan, record_of(plan, made), T0 + 2 * H)
    assert found["item_id"] == ["a", "b"]
    np.testing.assert_allclose(found["count"], [0.75, 0.5], rtol=1e-12)
    np.testing.assert_allclose(found["share"], [0.6, 0.4], rtol=1e-12)


@pytest.mark.parametrize("half_life", ["1h", "7d"])
@pytest.mark.parametrize("parts", [1, 3, 150])
def test_any_order_and_partition_says_what_a_loop_says_while_within_the_cap(half_life, parts):
    plan = plan_of(embeddings={"recent": RECENT})
    made = traffic(150, 40)
    order = np.random.default_rng(6).permutation(len(made))
    records = fold_all(plan, [[made[i] for i in part] for part in np.array_split(order, parts)])
    at_us = T0 + 3 * D
    expected = by_hand(made, at_us, {"1h": H, "7d": 7 * D}[half_life])
    found = table(plan, records, at_us, f"recent_{half_life}")
    assert found["item_id"] == list(expected)
    np.testing.assert_allclose(found["count"], list(expected.values()), rtol=1e-9)
    np.testing.assert_allclose(found["share"], np.array(found["count"]) / sum(expected.values()), rtol=1e-9)


def test_beyond_the_cap_no_count_is_too_high_nor_lower_than_stated():
    plan = plan_of(embeddings={"recent": {**RECENT, "keys": 8, "k": 8}})
    made = traffic(400, 60)
    records = fold_all(plan, [made[i : i + 9] for i in range(0, len(made), 9)])
    at_us = T0 + 2 * D
    for half_life, half_life_us in (("1h", H), ("7d", 7 * D)):
        expected = by_hand(made, at_us, half_life_us)
        found = table(plan, records, at_us, f"recent_{half_life}")
        counts, bound = dict(zip(found["item_id"], found["count"], strict=True)), sum(expected.values()) / 9
        assert 0 < len(counts) <= 8
        for item, count in expected.items():
            assert count - bound * 1.000001 <= counts.get(item, 0.0) <= count * 1.000001, item
        np.testing.assert_allclose(found["share"], np.array(found["count"]) / sum(expected.values()), rtol=1e-9)


def test_the_newest_of_many_items_is_listed_although_all_places_are_taken():
    """A half-life of minutes forgets: what was done now outweighs what filled the places an hour ago."""
    plan = plan_of(embeddings={"recent": {**RECENT, "half_life": "1m", "keys": 4, "k": 4}})
    records = fold_all(plan, [[event(T0 + n * M, item_id=f"i{n}")] for n in range(100)])
    assert table(plan, records, T0 + 100 * M, "recent_1m")["item_id"][0] == "i99"


def test_counts_halve_while_nobody_writes_and_shares_stay():
    plan = plan_of(embeddings={"recent": RECENT})
    records = record_of(plan, [event(T0, item_id="a"), event(T0, item_id="b", action="like")])
    for hours in (0, 1, 24):
        found = table(plan, records, T0 + hours * H)
        np.testing.assert_allclose(found["count"], np.array([3.0, 1.0]) / 2**hours, rtol=1e-12)
        assert found["share"] == [0.75, 0.25]
    assert table(plan, records, T0 - 5)["count"] == [3.0, 1.0]


def test_it_shares_its_state_with_a_table_of_the_same_counts():
    counts = {"aggregate": "decayed_count_by", "by": "item_id", "half_life": "1h"}
    plain = {"kind": "recent_items", "of": "item_id", "half_life": "1h"}
    assert len(plan_of(features={"f": counts}, embeddings={"recent": plain}).keyed_decays) == 1
    assert (
        len(plan_of(features={"f": counts}, embeddings={"recent": {**plain, "weights": {"a": 2.0}}}).keyed_decays) == 2
    )


def test_users_without_items_have_empty_tables():
    plan = plan_of(embeddings={"recent": RECENT})
    records = record_of(plan, [event(T0, item_id=None), event(T0, item_id="a", action="skip")])
    assert table(plan, records, T0) == {"item_id": [], "count": [], "share": []}
    later = apply(plan, records, batch(plan, [event(T0, item_id="a")]))
    assert table(plan, later, T0)["item_id"] == ["a"]


@pytest.mark.parametrize("kind", ["recent_items", "decayed_mean"])
def test_an_items_id_is_neither_empty_nor_huge(kind):
    settings = {"kind": kind, "of": "item_id", "half_life": "1h"}
    plan = plan_of(embeddings={"e": settings if kind == "recent_items" else {**settings, "dimensions": 4}})
    assert len(batch(plan, [event(item_id="a" * 65_535), event(item_id=None)])) == 2
    for item in ("", "a" * 65_536, "a" * 10_000_000):
        with pytest.raises(EventError, match="expected item_id") as caught:
            batch(plan, [event(item_id=item)])
        assert caught.value.reason == "invalid"
        assert len(str(caught.value)) < 300


def test_an_items_id_that_is_not_utf_8_cannot_be_decoded():
    plan = plan_of(embeddings={"recent": RECENT})
    decoder = EventDecoder(plan, spec_of().schema)
    good = decoder.encode(event(item_id="item" * 9))
    assert decoder.decode(good)["item_id"] == "item" * 9
    with pytest.raises(EventError) as caught:
        decoder.decode(good.replace(b"item" * 9, b"\xff\xfe\x80m" * 9))
    assert caught.value.reason == "undecodable"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dimensions": 4}, "kind recent_items takes no `dimensions:`; it is for decayed_mean, decayed_sum"),
        ({"k": 65}, "expected `k:` of at most `keys:`, 64, got 65"),
        ({"weights": {"view": -1.0}}, "expected weights above 0 for kind recent_items, got -1"),
        ({"half_life": None}, "half_life"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changed, said):
    with pytest.raises(SpecError, match=r"embeddings\.recent") as caught:
        spec_of(embeddings={"recent": {**RECENT, **changed}})
    assert said in str(caught.value)
