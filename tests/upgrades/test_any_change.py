"""Any spec changed in any way: what is read is exact, or it was said beforehand that it is not, and until when."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings

from tests.random_worlds import QUICK
from tests.trying import D
from tests.upgrades.compare import differing, read
from tests.upgrades.history import History, User
from tests.upgrades.worlds import Upgrade, resized, upgrades
from user_state.oracle import AppliedEvent
from user_state.plan.needs import Need, needs_of
from user_state.plan.outputs import ListOutput
from user_state.plan.plan import Plan
from user_state.plan.spec_change import Fill, fills

SIZES = {"windows", "k", "cap", "keys", "default", "quantiles", "with_", "prior"}


@pytest.mark.slow
@given(resized())
@settings(QUICK, max_examples=70)
def test_every_output_is_exact_or_was_said_to_be_incomplete_after_its_durations_or_sizes_changed(
    upgrade: Upgrade,
) -> None:
    hold(upgrade)


@pytest.mark.slow
@given(upgrades(2))
@settings(QUICK, max_examples=40)
def test_every_output_after_a_change_is_exact_or_was_said_to_be_incomplete(upgrade: Upgrade) -> None:
    hold(upgrade)


@pytest.mark.slow
@given(upgrades(3))
@settings(QUICK, max_examples=30)
def test_every_output_after_two_changes_is_exact_or_was_said_to_be_incomplete(upgrade: Upgrade) -> None:
    hold(upgrade)


def hold(upgrade: Upgrade) -> None:
    """Fold all stages, and compare every user with brute force after each."""
    history = History()
    for loaded, batches in zip(upgrade.specs, upgrade.batches, strict=True):
        history.upgrade(loaded)
        for batch in batches:
            history.fold(batch)
            for name, user in history.users.items():
                if user.applied:
                    compare(history, name, user)


def compare(history: History, name: str, user: User) -> None:
    """Assert of one user that every output is what was said of it, when read now and at any time later."""
    loaded, plan = history.stages[-1]
    assert user.clock_us is not None
    before = [stage for stage in user.clock_of if stage < history.now]
    told = said(history, before[-1]) if before else {}
    changed_us = user.clock_of[before[-1]] if before else 0
    skew_us = max(plan.max_clock_skew_us for _, plan in history.stages)
    if before:
        kept_by_the_words_of_the_spec(history, user, before[-1])
    records = history.records(name)
    sets = {output: since(history, user, needs) for output, needs in needs_of(plan).items()}
    unknown = columns_added(history, user)
    for at_us in reading_times(plan, user, told, changed_us, skew_us):
        if before and at_us < changed_us - min(history.stages[stage][1].max_clock_skew_us for stage in before):
            continue  # said of all outputs alike: `SpecChange.readings`
        found = read(plan, records, at_us)
        wrong: dict[int, dict[str, str]] = {}
        for output, firsts in sets.items():
            fill = told.get(output)
            if fill is not None and not is_over(fill, needs_of(plan)[output], changed_us, skew_us, at_us):
                continue
            assert len(firsts) == 1 or fill is not None, (
                output,
                "its parts are of different ages, and nothing was said",
            )
            first = max(firsts)
            applied = events_since(user, first)
            if first not in wrong:
                wrong[first] = differing(loaded, plan, found, applied, at_us, unknown)
            assert output not in wrong[first], (output, at_us, fill, wrong[first][output])


def kept_by_the_words_of_the_spec(history: History, user: User, stage: int) -> None:
    """Assert that whatever is declared as it was, but for sizes, was not started anew; keys have no say in this."""
    (loaded, plan), (older, _) = history.stages[-1], history.stages[stage]
    if loaded.spec.timezone != older.spec.timezone:
        return
    were = [feature.model_dump(exclude=SIZES) for feature in older.spec.features.values()]
    kept = tuple(
        f"{name}_" for name, feature in loaded.spec.features.items() if feature.model_dump(exclude=SIZES) in were
    )
    kept += tuple(name for name, one in loaded.spec.sequences.items() if one in older.spec.sequences.values())
    for output, needs in needs_of(plan).items():
        if output.startswith(kept) and kept:
            assert max(since(history, user, needs)) <= stage, output


def said(history: History, stage: int) -> dict[str, Fill]:
    """Return what was said, as today's spec started, of records that `stage` wrote last."""
    plans = [plan for _, plan in history.stages]
    return fills(plans[-1], plans[stage].layout, [plan.layout for plan in plans[:-1]])


def since(history: History, user: User, needs: Sequence[Need]) -> set[int]:
    """Return the first stage whose events an output has; several if its definitions differ in that."""
    return {_first(history, user, need.key) for need in needs}


def _first(history: History, user: User, key: str) -> int:
    without = [stage for stage in user.clock_of if key not in history.stages[stage][1].layout.keys]
    return max(without, default=-1) + 1


def columns_added(history: History, user: User) -> dict[str, set[str]]:
    """Return the columns of lists that are null in what is there, by output: `SpecChange.widens`."""
    plan = history.stages[-1][1]
    added: dict[str, set[str]] = {}
    for output in (*plan.sequences, *(o for o in plan.lists if isinstance(o, ListOutput))):
        key = plan.logs[output.log].key
        for stage in user.clock_of:
            for log in history.stages[stage][1].layout.logs:
                if log.key == key:
                    held = {name.removesuffix(" in ms") for name, _ in log.fields}
                    missing = {field.name for field in output.fields} - held - {plan.time_field}
                    added.setdefault(output.name, set()).update(missing)
    return added


def events_since(user: User, first: int) -> list[AppliedEvent]:
    return [event for stage, event in user.applied if stage >= first]


def is_over(fill: Fill, need: Sequence[Need], changed_us: int, skew_us: int, at_us: int) -> bool:
    if fill.after_us is None:
        return False
    return at_us >= changed_us + fill.after_us + max(n.width_us for n in need) + skew_us


def reading_times(plan: Plan, user: User, told: dict[str, Fill], changed_us: int, skew_us: int) -> list[int]:
    assert user.clock_us is not None
    earliest = user.clock_us - plan.max_clock_skew_us
    times = {earliest, user.clock_us, user.clock_us + 50 * D}
    for output, needs in needs_of(plan).items():
        for need in needs:
            if need.reach_us is not None:
                times |= {user.clock_us + need.reach_us, user.clock_us + need.reach_us // 2}
                if output in told:
                    times.add(changed_us + need.reach_us + need.width_us + skew_us)
    return sorted(time for time in times if time >= earliest)
