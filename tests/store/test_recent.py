"""The cache: bounded by bytes, the least recently used go first."""

from user_state.store.recent import ENTRY_OVERHEAD, RecentBytes
from user_state.store.store import Stored


def stored(size: int) -> Stored:
    return Stored(bytes(size), None)


def test_what_was_put_is_there_until_dropped_or_cleared():
    recent = RecentBytes(10_000)
    recent.put("u", stored(1))
    recent.put("v", stored(2))
    assert (recent.get("u"), recent.get("w")) == (stored(1), None)
    recent.drop("u")
    recent.drop("never there")
    assert (recent.get("u"), recent.get("v")) == (None, stored(2))
    recent.clear()
    assert recent.get("v") is None


def test_the_least_recently_used_goes_when_the_limit_is_passed_by_one_byte():
    recent = RecentBytes(3 * (ENTRY_OVERHEAD + 100))
    for user in "abc":
        recent.put(user, stored(100))
    assert recent.get("a") is not None
    recent.put("c", stored(101))
    assert [recent.get(user) is None for user in "abc"] == [False, True, False]


def test_replacing_an_entry_counts_it_once():
    recent = RecentBytes(ENTRY_OVERHEAD + 100)
    for _ in range(50):
        recent.put("u", stored(100))
    assert recent.get("u") == stored(100)


def test_an_entry_larger_than_the_limit_is_not_kept():
    recent = RecentBytes(ENTRY_OVERHEAD)
    recent.put("u", stored(1))
    assert recent.get("u") is None
