"""Records of version 2, as committed: today's code reads them, says the same, and writes the same bytes."""

import json
from dataclasses import fields

import numpy as np
import pytest

from tests.golden.write_user_state_v2 import LIST_PARTS, LISTS, LISTS_PATH, PARTS, PATH, SOME, golden, saying
from tests.packed import VERSION, Records, apply
from tests.trying import T0, batch, event, plan_of
from user_state.plan.layout import Layout
from user_state.state.envelope import heads_of, version_of
from user_state.state.records import PackedRecords

KEPT = json.loads(PATH.read_text("utf-8"))
LAYOUT = Layout.from_json(KEPT["layout"])
PLAN = plan_of(**PARTS)
NEVER_ALTER = "a released version's bytes must not change: make a new version, and keep reading this one"


def records_of(*users) -> Records:
    return Records(PLAN, [bytes.fromhex(one["record"]) for one in users])


def approximately(said):
    """Return an equal but for the last bits of floating-point features, which depend on the machine's libraries."""
    return {
        **said,
        "features": {n: v if v is None else pytest.approx(v, rel=1e-6) for n, v in said["features"].items()},
        "arrays": {n: pytest.approx(numbers, rel=1e-6) for n, numbers in said["arrays"].items()},
    }


def test_the_layout_still_has_its_fingerprint_and_is_that_of_its_spec():
    assert LAYOUT.fingerprint.hex() == KEPT["fingerprint"], NEVER_ALTER
    assert PLAN.layout == LAYOUT, NEVER_ALTER


def test_there_is_a_piece_of_every_family_and_a_log_of_every_kind():
    empty = [family.name for family in fields(LAYOUT) if not getattr(LAYOUT, family.name)]
    assert set(empty) <= {"text"}
    assert {log.keeps for log in PLAN.logs} == {"last", "distinct", "first"}


@pytest.mark.parametrize("kept", KEPT["users"], ids=lambda kept: kept["user"])
def test_a_record_says_what_it_said(kept):
    records = records_of(kept)
    assert version_of(records.blobs[0]) == VERSION
    heads = records.heads
    assert (heads.clock_us[0], heads.last_event_us[0], heads.applied[0]) == (
        kept["clock_us"],
        kept["last_event_us"],
        kept["applied"],
    )
    said = {section: kept[section] for section in ("features", "arrays", "sequences", "embeddings")}
    assert saying(PLAN, records, 0) == approximately(said)


def test_the_same_events_still_make_the_same_bytes():
    assert golden(PARTS, SOME) == {**KEPT, "users": [approximately(kept) for kept in KEPT["users"]]}, NEVER_ALTER


def test_records_with_lists_still_are_the_same_bytes_and_say_what_they_said():
    kept = json.loads(LISTS_PATH.read_text("utf-8"))
    assert golden(LIST_PARTS, LISTS) == {**kept, "users": [approximately(one) for one in kept["users"]]}, NEVER_ALTER
    plan = plan_of(**LIST_PARTS)
    for one in kept["users"]:
        said = saying(plan, Records(plan, [bytes.fromhex(one["record"])]), 0)
        assert said == approximately({section: one[section] for section in said})


def test_a_record_goes_on_from_where_it_was():
    kept = KEPT["users"][0]
    later = apply(PLAN, records_of(kept), batch(PLAN, [event(T0 + 1, kept["user"])]))
    assert later.heads.applied.tolist() == [kept["applied"] + 1]


def test_a_spec_that_shares_nothing_takes_over_its_times_alone():
    class Registered:
        def layout(self, fingerprint: bytes) -> Layout:
            return LAYOUT

    other = plan_of(features={"f": {"aggregate": "max", "of": "amount", "windows": ["1h"], "where": {"action": "x"}}})
    migrated, wrong = PackedRecords(other, Registered()).migrate([bytes.fromhex(KEPT["users"][1]["record"])])
    assert wrong == {}
    assert heads_of(migrated)[0].applied.tolist() == [KEPT["users"][1]["applied"]]
    assert np.array(list(map(len, migrated))).max() < 80
