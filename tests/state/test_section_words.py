"""A section that no writer writes is refused, by who folds and who reads, with its name and what is wrong with it."""

from __future__ import annotations

from struct import pack

import numpy as np
import pytest

from tests.packed import VERSION, from_events
from tests.state.test_envelope import fields_of, record_with
from tests.trying import T0, D, S, batch, event, plan_of
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.state.records import PackedRecords

TILES = plan_of(
    features={
        "views": {"aggregate": "count", "windows": ["1h"]},
        "watched": {"aggregate": "sum", "of": "value", "windows": ["1h"]},
    }
)
LOGS = plan_of(sequences={"recent": {"fields": ["item_id", "value"], "last": 3}})
SEEN = plan_of(
    features={
        "amounts": {"aggregate": "distinct", "of": "amount", "windows": ["1h"]},
        "days": {"aggregate": "active_days", "windows": ["1d"]},
    }
)
AT_S = T0 // S


def tiles(starts: list[int], masks: bytes, counts: bytes, wide: list[int], sums: list[float], said: int) -> bytes:
    head = pack("<HII", len(starts), said, len(wide)) + pack(f"<{len(starts)}I", *starts)
    return head + masks + counts + pack(f"<{len(wide)}Q", *wide) + pack(f"<{len(sums)}d", *sums)


def logs(flags: int, rows: list[tuple[int, int, int]], newest_us: int = T0) -> bytes:
    """Rows are (microseconds before the newest, tie, number of the item)."""
    ages, ties, items = zip(*rows, strict=True) if rows else ((), (), ())
    size = len(rows)
    low, high = pack(f"<{size}I", *ages), bytes(2 * size)
    head = pack("<BHq", flags, size, newest_us)
    return head + low + high + pack(f"<{size}I", *ties) + bytes(items) + bytes(8 * size)


def seen(flags: int, ages: list[int], values: list[int], newest_s: int = AT_S) -> bytes:
    low, middle = b"".join(pack("<H", age & 0xFFFF) for age in ages), bytes(age >> 16 for age in ages)
    head = pack("<BHHI", flags, len(values), len(ages) - len(values), newest_s)
    return head + low + middle + pack(f"<{len(values)}q", *values)


def refusals(plan: Plan, section: str, damaged: bytes) -> list[str]:
    """Return what folding into a record with this section says, and what reading it says; nothing if they take it."""
    events = batch(plan, [event(T0, item_id="a", value=1.0, amount=2)])
    [blob] = from_events(plan, events).blobs
    assert blob is not None
    fields = fields_of(blob)
    blob = record_with({**fields, "sections": {**fields["sections"], section: damaged}})
    records = PackedRecords(plan)
    _, of_fold = records.fold([blob], events, np.zeros(1, np.int64), [VERSION])
    of_features = Reader(plan, records).features([blob], T0).errors
    return [*of_fold.values(), *of_features.values()]


@pytest.mark.parametrize(
    ("plan", "section", "whole"),
    [
        (TILES, "tiles", tiles([AT_S, AT_S + 60], b"\x03\x02", b"\x01\xff\x02", [300], [1.0, 2.0], 3)),
        (LOGS, "logs", logs(0, [(5, 9, 1), (5, 9, 0), (0, 1, 1)])),
        (SEEN, "last_seen", seen(0, [7, 8, 0], [-4, 5])),
    ],
)
def test_what_a_writer_may_write_is_taken_and_one_byte_more_or_less_is_not(
    plan: Plan, section: str, whole: bytes
) -> None:
    assert refusals(plan, section, whole) == []
    for damaged in (whole[:-1], whole + b"\0"):
        texts = refusals(plan, section, damaged)
        assert len(texts) == 2
        assert all(f"section {section} " in text for text in texts)


@pytest.mark.parametrize(
    ("plan", "section", "damaged", "words"),
    [
        (TILES, "tiles", tiles([AT_S, AT_S], b"\1\1", b"\1\1", [], [], 2), "starts are not ascending"),
        (TILES, "tiles", tiles([AT_S], b"\5", b"\1\1", [], [], 2), "a mask names a track that there is not"),
        (TILES, "tiles", tiles([AT_S], b"\1", b"\1\1", [], [], 2), "there are not as many tiles as their masks name"),
        (TILES, "tiles", tiles([AT_S], b"\1", b"\0", [], [], 1), "a tile has no events"),
        (TILES, "tiles", tiles([AT_S], b"\1", b"\xff", [], [], 1), "there are fewer wide counts"),
        (TILES, "tiles", tiles([AT_S], b"\1", b"\1", [300], [], 1), "there are more wide counts"),
        (TILES, "tiles", tiles([AT_S], b"\1", b"\xff", [1 << 62], [], 1), "a count is out of range"),
        (LOGS, "logs", logs(8, []), "invalid flags"),
        (LOGS, "logs", logs(0, [], -1), "the newest time is out of range"),
        (LOGS, "logs", logs(0, [(6, 0, 0)], 5), "a row is of a time before 1970"),
        (LOGS, "logs", logs(0, [(0, 0, 0), (1, 0, 0)]), "rows are not ascending"),
        (LOGS, "logs", logs(0, [(0, 2, 0), (0, 1, 0)]), "rows are not ascending"),
        (SEEN, "last_seen", seen(2, [], []), "invalid flags"),
        (SEEN, "last_seen", seen(0, [0, 0], [5, 5]), "values are not ascending"),
        (SEEN, "last_seen", seen(0, [D // S], [], 5), "a row was last seen before 1970"),
    ],
)
def test_words(plan: Plan, section: str, damaged: bytes, words: str) -> None:
    texts = refusals(plan, section, damaged)
    assert len(texts) == 2
    assert all(f"section {section} " in text and words in text for text in texts), texts


def test_a_log_names_no_string_that_the_dictionary_does_not_have() -> None:
    texts = refusals(LOGS, "logs", logs(0, [(0, 0, 2)]))
    assert len(texts) == 2
    assert all("section logs " in text and "dictionary" in text for text in texts), texts
