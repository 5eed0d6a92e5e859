"""What becomes of a fold's messages: each in one bin, acknowledged, dead, or left to come again."""

import numpy as np
import pytest

from tests.trying import T0, batch_of, event, plan_of
from transforms import counters
from transforms.outcomes import LOST_DATA, count_learned, give_back, settled
from user_state.events.message import Message
from user_state.fold_report import FoldReport
from user_state.item_stage import LearnedReport
from user_state.state.outcome import Outcome


@pytest.fixture
def counted(monkeypatch):
    """What is counted, by name."""
    counts = {}
    monkeypatch.setattr(counters, "count", lambda name, more=1: counts.__setitem__(name, counts.get(name, 0) + more))
    return counts


PLAN = plan_of()


def message(number, ack_id=None):
    return Message(b"%d" % number, {}, T0, ack_id, "somewhere")


def batch(users, messages):
    return batch_of(PLAN, [event(T0, user) for user in users], messages)


def report_of(*outcomes, **figures):
    return FoldReport(np.array(outcomes, np.int8), **figures)


def test_every_outcome_is_in_one_bin(counted):
    # In a stream the server forgets records, and no event is applied to one that was: that is a backfill's alone.
    outcomes = [one for one in Outcome if one != Outcome.FORGOTTEN]
    messages = [message(int(one), f"ack-{one.name}") for one in outcomes]
    reasons = {f"u{int(one)}": f"why {one.name}" for one in (Outcome.BAD_RECORD, Outcome.OVERSIZED)}

    bundle = settled(batch([f"u{int(one)}" for one in outcomes], messages), report_of(*outcomes, set_aside=reasons))

    assert bundle.stored == {"somewhere": ["ack-APPLIED", "ack-DUPLICATE"]}
    assert all(one.message in messages for one in bundle.dead)
    assert {one.message.data: one.reason for one in bundle.dead} == {
        b"%d" % Outcome.TOO_LATE: "too_late",
        b"%d" % Outcome.FROM_FUTURE: "from_future",
        b"%d" % Outcome.BAD_RECORD: "bad_record",
        b"%d" % Outcome.OVERSIZED: "oversized",
    }
    assert {one.detail for one in bundle.dead} >= {"why BAD_RECORD", "why OVERSIZED"}
    assert bundle.contended.tolist() == [outcomes.index(Outcome.CONTENDED)]
    assert 2 + len(bundle.dead) + len(bundle.contended) == len(outcomes)
    assert (counted[counters.APPLIED], counted[counters.DUPLICATE]) == (1, 1)


def test_contended_messages_that_come_again_are_let_go_and_the_others_kept(counted):
    contended = batch(["a", "b", "a"], [message(0), message(1, "ack-1"), message(2)])
    assert give_back(contended, np.arange(3)).tolist() == [0, 2]
    assert counted == {counters.GIVEN_BACK: 1}


def test_what_a_fold_says_of_lost_data_is_counted_and_said_once_a_bundle(counted, caplog):
    settled(batch([], []), report_of(lost=2, ids_lost=3, went_back=1, shortened=4))
    assert [counted[name] for name in (counters.RECORDS_LOST, counters.IDS_LOST, counters.WENT_BACK)] == [2, 3, 1]
    assert [one.getMessage() for one in caplog.records] == [LOST_DATA]
    caplog.clear()
    settled(batch([], []), report_of(writes=5, conflicts=2))
    assert (counted[counters.WRITES], counted[counters.CONFLICTS]) == (5, 2)
    assert caplog.records == []


def test_what_the_item_stage_did_is_counted(counted):
    count_learned(LearnedReport(1, 2, 3, 4, 5, 6))
    assert counted == {
        counters.PAIRS: 1,
        counters.PAIRS_AGAIN: 2,
        counters.PAIRS_REFUSED: 3,
        counters.ITEM_WRITES: 4,
        counters.ITEM_CONFLICTS: 5,
        counters.BYTES_WRITTEN: 6,
    }
