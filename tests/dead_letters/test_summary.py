"""Dead letters counted: by reason, by wording, over time, within bounds."""

from user_state.dead_letters import summary as module
from user_state.dead_letters.letters import Letter
from user_state.dead_letters.summary import OTHER, SAMPLES, Summary

T0_S = 1_700_000_000 // 60 * 60


def letter(reason, detail="d", dead_s=T0_S):
    return Letter(b"", {}, None, reason, detail, "o", None if dead_s is None else dead_s * 1_000_000)


def test_reasons_come_by_number_and_wordings_that_differ_in_numbers_alone_count_as_one():
    summary = Summary.of([letter("a"), *(letter("b", f"cannot decode {n} bytes of v1") for n in range(30))])
    assert {reason: held.number for reason, held in summary.reasons.items()} == {"b": 30, "a": 1}
    assert list(summary.reasons) == ["b", "a"]
    assert summary.reasons["b"].details == {"cannot decode N bytes of v1": 30}
    assert summary.reasons["b"].wordings == {"cannot decode N bytes of v1": "cannot decode 0 bytes of v1"}
    assert len(summary.reasons["b"].samples) == SAMPLES


def test_wordings_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_DETAILS", 2)
    held = Summary.of([letter("a", "xyz"[n % 3]) for n in range(9)]).reasons["a"]
    assert held.details == {"x": 3, "y": 3, OTHER: 3}


def test_over_time_the_steps_are_as_short_as_fit_and_hold_every_letter():
    letters = [letter("a", dead_s=T0_S + 3600 * n) for n in range(10)] + [letter("b", dead_s=None)]
    step_s, steps = Summary.of(letters).over_time(most_steps=12)
    assert step_s == 3600
    assert sum(counts["a"] for counts in steps.values()) == 10
    assert all(begin_s % step_s == 0 for begin_s in steps)
    assert list(steps) == sorted(steps)
    assert Summary.of(letters[:1]).over_time() == (60, {T0_S: {"a": 1}})
    assert Summary.of([]).over_time() == (60, {})
