"""Records of version 1, as committed: today's code reads them, says the same, and writes the same bytes."""

import json
from dataclasses import fields

import pytest

from tests.golden.write_user_state_v1 import PARTS, PATH, fold, golden, saying
from tests.packed import Records, apply
from tests.trying import T0, VERSION, batch, event, plan_of, spec_of
from user_state.codec.record import decode_records, encode_records, open_record, version_of
from user_state.codec.seen import decode_seen, encode_seen
from user_state.core.layout import Layout
from user_state.events.decode import EventDecoder
from user_state.store.layouts import RecordReader

KEPT = json.loads(PATH.read_text("utf-8"))
LAYOUT = Layout.from_json(KEPT["layout"])
PLAN = plan_of(**PARTS)
NEVER_ALTER = "a released version's bytes must not change: make a new version, and keep reading this one"


def records_of(*users) -> Records:
    return decode_records([open_record(bytes.fromhex(one["record"])) for one in users], LAYOUT)


def approximately(said):
    """Return an equal but for the last bits of floating-point features, which depend on the machine's libraries."""
    return {
        **said,
        "features": {n: v if v is None else pytest.approx(v, rel=1e-12) for n, v in said["features"].items()},
        "arrays": {n: pytest.approx(numbers, rel=1e-12) for n, numbers in said["arrays"].items()},
    }


def test_the_layout_still_has_its_fingerprint_and_is_that_of_its_spec():
    assert LAYOUT.fingerprint.hex() == KEPT["fingerprint"], NEVER_ALTER
    assert PLAN.layout == LAYOUT, NEVER_ALTER


def test_there_is_a_piece_of_every_family_and_a_log_of_every_kind():
    assert [family.name for family in fields(LAYOUT) if not getattr(LAYOUT, family.name)] == []
    assert {log.keeps for log in PLAN.logs} == {"last", "distinct", "first"}


@pytest.mark.parametrize("kept", KEPT["users"], ids=lambda kept: kept["user"])
def test_a_record_says_what_it_said(kept):
    records = records_of(kept)
    assert version_of(bytes.fromhex(kept["record"])) == VERSION
    assert (records.clock_us[0], records.last_event_us[0], records.applied[0]) == (
        kept["clock_us"],
        kept["last_event_us"],
        kept["applied"],
    )
    said = {section: kept[section] for section in ("features", "arrays", "sequences", "embeddings")}
    assert saying(PLAN, records, 0) == approximately(said)


def test_records_are_written_as_they_were():
    records = records_of(*KEPT["users"])
    written = encode_records(records, LAYOUT, [VERSION] * len(records))
    assert [blob.hex() for blob in written] == [kept["record"] for kept in KEPT["users"]], NEVER_ALTER


def test_remembered_ids_are_read_and_written_as_they_were():
    seen = decode_seen([bytes.fromhex(kept["seen"]) for kept in KEPT["users"]])
    assert [blob.hex() for blob in encode_seen(seen, len(KEPT["users"]))] == [kept["seen"] for kept in KEPT["users"]]
    users, _, folded = fold(PLAN, EventDecoder(PLAN, spec_of().schema))
    assert users == [kept["user"] for kept in KEPT["users"]]
    assert sorted(folded.id_hash.tolist()) == sorted(seen.id_hash.tolist())


def test_the_same_events_still_make_the_same_bytes():
    assert golden() == {**KEPT, "users": [approximately(kept) for kept in KEPT["users"]]}, NEVER_ALTER


def test_a_record_goes_on_from_where_it_was():
    kept = KEPT["users"][0]
    later = apply(PLAN, records_of(kept), batch(PLAN, [event(T0 + 1, kept["user"])]))
    assert later.applied.tolist() == [kept["applied"] + 1]


def test_a_spec_that_shares_nothing_reads_it_as_empty():
    class Registered:
        def layout(self, fingerprint: bytes) -> Layout:
            return LAYOUT

    other = plan_of(features={"f": {"aggregate": "max", "of": "amount", "windows": ["1h"], "where": {"action": "x"}}})
    records = RecordReader(other, Registered()).decode([bytes.fromhex(KEPT["users"][1]["record"])])
    assert records.applied.tolist() == [KEPT["users"][1]["applied"]]
    assert (len(records.tiles.key), len(records.keyed_tiles), len(records.keyed_decays.rows)) == (0, 0, 0)
