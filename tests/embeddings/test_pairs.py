"""Derived events of pairs: their number, weights, times and ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xxhash

from tests.learned_pairs import Act, pairs_of, spec_text
from tests.packed import Records, apply
from user_state.embeddings.pairs import derive_pairs
from user_state.embeddings.spread import item_of_part
from user_state.errors import SpecError
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.state.events import Events

SPEC = spec_text("{dimensions: 8, learned: {of: item_id, half_life: 1m}}")
START_US, MINUTE_US = 10**15, 60_000_000


@pytest.fixture
def plan() -> Plan:
    return compile_plan(parse_spec(SPEC, beside=Path()))


def derived(plan: Plan, old: list[Act], new: list[Act]) -> list[tuple[str, str, float, int, int]]:
    """Return (item, partner, weight, time, id) of what arises as `new` arrive at the records of `old`, sorted."""
    arriving = Events.from_rows(plan, [act.row() for act in new])
    before = Events.from_rows(plan, [act.row() for act in old])
    users = [*arriving.users, *(user for user in before.users if user not in arriving.users)]
    assert users == arriving.users, "old events of users who do something new"
    order = np.array([users.index(user) for user in before.users], np.int64)
    placed = Events(
        users, order[before.user], before.id_hash, before.time_us, before.published_us, before.columns, before.pool
    )
    records = apply(plan, Records.empty(plan, len(users)), placed)
    found = derive_pairs(plan, plan.learned[0], records.histories, arriving)
    partner, weight = found.columns
    rows = zip(found.user, partner, weight, found.time_us, found.id_hash, strict=True)
    return sorted((item_of_part(found.users[u]), found.pool[p], float(w), int(t), int(h)) for u, p, w, t, h in rows)


def at(minutes: float) -> int:
    return START_US + round(minutes * MINUTE_US)


def test_two_events_of_a_minute_apart(plan: Plan) -> None:
    acts = [Act("e1", "u", "tea", at(0)), Act("e2", "u", "jam", at(1))]
    told = derived(plan, [], acts)
    assert [row[:4] for row in told] == [("jam", "tea", 0.5, at(1)), ("tea", "jam", 0.5, at(1))]
    assert len({row[4] for row in told}) == 2


def test_ids_do_not_depend_on_when_a_pair_is_derived(plan: Plan) -> None:
    acts = [Act(f"e{n}", f"u{n % 2}", f"i{n % 5}", at(n / 3)) for n in range(12)]
    at_once = derived(plan, [], acts)
    assert len(at_once) == len(pairs_of(acts, MINUTE_US)) > 20
    assert len({row[4] for row in at_once}) == len(at_once)
    in_two = derived(plan, [], acts[:7]) + derived(plan, acts[:7], acts[7:])
    assert sorted(in_two) == at_once


def test_the_same_two_events_of_another_user_are_another_pair(plan: Plan) -> None:
    one, other = ([Act("e1", user, "tea", at(0)), Act("e2", user, "jam", at(1))] for user in ("u", "v"))
    assert not {row[4] for row in derived(plan, [], one)} & {row[4] for row in derived(plan, [], other)}


def test_what_is_no_pair(plan: Plan) -> None:
    tea = Act("e1", "u", "tea", at(0))
    assert derived(plan, [], [tea, Act("e2", "u", "tea", at(1))]) == []  # the same item
    assert derived(plan, [], [tea, Act("e2", "v", "jam", at(1))]) == []  # another user
    assert derived(plan, [], [tea, Act("e2", "u", None, at(1))]) == []  # no item
    assert derived(plan, [], [tea, Act("e2", "u", "jam", at(20.1))]) == []  # 2^-20.1
    assert len(derived(plan, [], [tea, Act("e2", "u", "jam", at(20))])) == 2


def test_an_item_is_judged_by_a_longer_lateness_than_a_user(plan: Plan) -> None:
    of_items = item_plan(plan, plan.learned[0])
    assert of_items.name == "feed.items.together.8"
    assert of_items.allowed_lateness_us == 2 * plan.allowed_lateness_us + plan.max_clock_skew_us
    assert (of_items.retention_us, of_items.vectors[0].dimensions) == (plan.retention_us, 8)
    # Forgets nothing that can be told: a century's half-life.
    assert of_items.vectors[0].half_lives_us == (36_500 * 86_400 * 1_000_000,)


@pytest.mark.parametrize(("spread", "most"), [(1, 20_000), (4, 5_000), (8, 2_500), (64, 2_500)])
def test_the_parts_of_an_item_share_the_pairs_that_it_remembers(spread: int, most: int) -> None:
    plan = compile_plan(parse_spec(SPEC.replace("half_life: 1m", f"spread: {spread}"), beside=Path()))
    of_items = item_plan(plan, plan.learned[0])
    assert (of_items.name, of_items.seen_ids_cap) == (f"feed.items.together.{spread}", most)


def test_a_pair_lies_in_the_part_of_its_user(plan: Plan) -> None:
    acts = [Act(f"{user}{n}", user, f"i{n % 3}", at(n / 3)) for user in ("u", "v", "w", "ü") for n in range(6)]
    found = derive_pairs(
        plan, plan.learned[0], Records.empty(plan, 4).histories, Events.from_rows(plan, [act.row() for act in acts])
    )
    parts_of = {user: xxhash.xxh64_intdigest(user.encode()) % 8 for user in ("u", "v", "w", "ü")}
    met = {name.rpartition("#")[::2] for name in found.users}
    assert met == {(item, str(part)) for item in ("i0", "i1", "i2") for part in parts_of.values()}
    assert len(set(parts_of.values())) > 2


@pytest.mark.parametrize(
    ("learned", "said"),
    [
        ("{}", "expected `of:`"),
        ("{of: no_such}", "no_such"),
        ("{of: value}", "learned item vectors"),
        ("{of: item_id, reach: 0}", "expected how many events on either side are paired, a whole number from 1 to 200"),
        ("{of: item_id, spread: 0}", "expected how many records an item is spread over, a whole number from 1 to 64"),
        ("{of: item_id, spread: 65}", "expected how many records an item is spread over, a whole number from 1 to 64"),
        ("{of: item_id, spread: even}", "a whole number from 1 to 64, got"),
        ("{of: item_id, half_life: soon}", "expected a duration such as"),
        ("{of: item_id, halflife: 1m}", "half_life"),
        ("{of: item_id, where: {action: 3}}", "expected"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(learned: str, said: str) -> None:
    text = SPEC.replace("{of: item_id, half_life: 1m}", learned)
    with pytest.raises(SpecError) as refused:
        parse_spec(text, beside=Path())
    assert said in str(refused.value)
    assert "<spec>:9: items.together.learned" in str(refused.value)
