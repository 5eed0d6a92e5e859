"""Reading packed records comes to the same outputs in compiled code and in numpy, and refuses the same records."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.codec.test_fuzz import damaged
from tests.core.test_against_oracle import TABLE, Shelf, rows_of
from tests.native.both import unpacked
from tests.native.damage import closed
from tests.random_worlds import QUICK, World, reading_times, worlds
from tests.trying import event, plan_of, spec_of
from user_state.codec.reader import Finished, Reader
from user_state.codec.record import open_record
from user_state.core.compile import compile_plan
from user_state.core.plan import Plan
from user_state.errors import InputError
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.spec import load_spec

EXAMPLES = Path(__file__).parents[2] / "examples"
LAST_BIT = 2e-7
"""Of single precision: sums and powers are rounded in another order, which may show in the last bit."""
END_US = 1_800_000_000_000_000
H_US, D_US = 3_600_000_000, 86_400_000_000


def reader_of(plan: Plan, select: Sequence[str] | None = None, *, compiled: bool = True) -> Reader:
    return Reader(plan, lambda blobs: unpacked(plan, blobs), select, compiled=compiled)


def finished(reader: Reader, blobs: Sequence[bytes | None], at_us: int | np.ndarray) -> Finished:
    histories = reader.histories(blobs) if reader.composes else None
    return reader.features(blobs, at_us, histories, {"shelf": TABLE})


def same_outputs(found: Finished, expected: Finished) -> None:
    assert found.names == expected.names
    assert found.errors == expected.errors
    assert_array_equal(found.present, expected.present)
    assert_array_equal(found.last_event_us, expected.last_event_us)
    assert_allclose(found.values, expected.values, rtol=LAST_BIT, atol=0)
    assert list(found.arrays) == list(expected.arrays)
    for name, array in expected.arrays.items():
        assert_allclose(found.arrays[name], array, rtol=LAST_BIT, atol=0)
    assert list(found.embeddings) == list(expected.embeddings)
    for name, vectors in expected.embeddings.items():
        assert_allclose(found.embeddings[name], vectors, rtol=LAST_BIT, atol=1e-7)
    assert list(found.sequences) == list(expected.sequences)
    for name, padded in expected.sequences.items():
        mine = found.sequences[name]
        assert (mine.single, mine.strings, list(mine.grids)) == (padded.single, padded.strings, list(padded.grids))
        assert_array_equal(mine.length, padded.length)
        for column in padded.grids:
            if padded.grids[column].dtype == np.float64:
                assert_allclose(mine.grids[column], padded.grids[column], rtol=1e-12, atol=0)
            else:
                assert_array_equal(mine[column], padded[column])
                assert mine.grids[column].dtype == padded.grids[column].dtype


def declines(reader: Reader, blob: bytes, at_us: int) -> bool:
    """Return whether the compiled code leaves a record to numpy."""
    assert reader._compiled is not None
    return bool(reader._compiled.features([blob], np.array([at_us]))[-1])


def names_of(plan: Plan) -> list[str]:
    return [output.name for output in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]


@given(worlds(), st.data())
@settings(QUICK, max_examples=150)
def test_any_spec_at_any_time_and_any_choice_of_outputs(world: World, data: st.DataObject) -> None:
    plan = compile_plan(world.spec)
    shelf = Shelf(plan)
    shelf.fold(rows_of(world, plan))
    blobs: list[bytes | None] = [None, *(blob for blob, _ in shelf.stored.values()), None]
    records = unpacked(plan, blobs)
    select = data.draw(st.one_of(st.none(), st.lists(st.sampled_from(names_of(plan)), unique=True)))
    compiled, plain = reader_of(plan, select), reader_of(plan, select, compiled=False)
    times_us = reading_times(world.spec, int(records.clock_us.max()), int(records.last_event_us.max()))
    for at_us in times_us:
        same_outputs(finished(compiled, blobs, at_us), finished(plain, blobs, at_us))
    own_us = np.array([times_us[index % len(times_us)] for index in range(len(blobs))], np.int64)
    same_outputs(finished(compiled, blobs, own_us), finished(plain, blobs, own_us))
    for blob in blobs:
        assert blob is None or not declines(compiled, blob, times_us[0])


def example(name: str, users: int, events: int) -> tuple[Plan, list[bytes | None]]:
    """Return an example's plan, and records of made-up traffic of thirty days."""
    loaded = load_spec(EXAMPLES / name / "user_state.yaml")
    plan = compile_plan(loaded)
    decoder = EventDecoder(plan, loaded.schema)
    made = generate(users, events, 1, end_us=END_US, span_us=30 * D_US)
    shelf = Shelf(plan)
    shelf.fold([decoder.row(message.event, None) for message in made if message.event is not None])
    return plan, [blob for blob, _ in shelf.stored.values()]


@pytest.fixture(scope="module", params=["starter", "feed"])
def traffic(request: pytest.FixtureRequest) -> tuple[Plan, list[bytes | None]]:
    return example(request.param, 12, 9_000)


def test_examples_with_registers_and_sketches_among_their_tiles(traffic):
    plan, blobs = traffic
    for at_us in (END_US, END_US - H_US, END_US + 40 * D_US):
        same_outputs(finished(reader_of(plan), blobs, at_us), finished(reader_of(plan, compiled=False), blobs, at_us))
    assert not any(declines(reader_of(plan), blob, END_US) for blob in blobs if blob is not None)


def test_damaged_records_are_refused_as_by_numpy_and_cost_nobody_else_theirs(traffic):
    plan, blobs = traffic
    rng = random.Random(3)
    compiled, plain = reader_of(plan), reader_of(plan, compiled=False)
    whole = finished(compiled, blobs, END_US)
    refused = 0
    for number in range(1_500):
        at = rng.randrange(len(blobs))
        outer = open_record(blobs[at])
        sections = list(outer.sections)
        chosen = rng.randrange(len(sections))
        sections[chosen] = rng.randbytes(rng.randrange(40)) if number % 20 == 0 else damaged(rng, sections[chosen])
        blob = closed(outer, sections) if number % 3 else damaged(rng, blobs[at])
        mixed = [*blobs[:at], blob, *blobs[at + 1 :]]
        found = finished(compiled, mixed, END_US)
        if not declines(compiled, blob, END_US):
            expected = finished(plain, [blob], END_US)
            assert expected.errors == {}, "the compiled code took what numpy refuses"
            continue
        refused += 1
        assert set(found.errors) <= {at}
        assert_array_equal(np.delete(found.values, at, 0), np.delete(whole.values, at, 0))
    assert 300 < refused < 1_450


def test_a_record_that_cannot_be_read_has_the_outputs_of_one_that_holds_nothing(traffic):
    plan, blobs = traffic
    found = finished(reader_of(plan), [blobs[0], b"nonsense", None], END_US)
    assert set(found.errors) == {1}
    assert "expected a record" in found.errors[1]
    assert found.present.tolist() == [True, False, False]
    assert_array_equal(found.values[1], found.values[2])
    assert_array_equal(found.last_event_us[1:], [0, 0])


def test_choosing_outputs_that_are_not_there_is_an_error(traffic):
    with pytest.raises(InputError, match="expected names of the spec's outputs"):
        reader_of(traffic[0], ["no_such_output"])


def test_what_a_choice_is_not_read_from_may_be_damaged():
    plan = plan_of(
        features={"seen": {"aggregate": ["count"], "windows": ["1h"]}},
        sequences={"recent": {"fields": ["item_id"], "last": 3}},
    )
    shelf = Shelf(plan)
    decoder = EventDecoder(plan, spec_of().schema)
    shelf.fold([decoder.row(event(END_US - H_US, "u", item_id="a"), None)])
    [(blob, _)] = shelf.stored.values()
    outer = open_record(blob)
    broken = closed(outer, [*outer.sections[:2], b"\xff", *outer.sections[3:]])
    assert set(finished(reader_of(plan), [broken], END_US).errors) == {0}
    found = finished(reader_of(plan, ["seen_count_1h"]), [broken], END_US)
    assert (found.errors, found.sequences) == ({}, {})


def test_no_records_and_no_outputs(traffic):
    plan, blobs = traffic
    assert finished(reader_of(plan), [], END_US).values.shape == (0, len(plan.scalars))
    nothing = finished(reader_of(plan, []), blobs, END_US)
    assert (nothing.values.shape, nothing.present.all()) == ((len(blobs), 0), True)


def test_what_are_no_records_or_times_is_an_error(traffic):
    reader = reader_of(traffic[0])
    with pytest.raises(TypeError, match="records as bytes"):
        reader.features(["text"], END_US)
    with pytest.raises(ValueError, match=r"broadcast|a reading time"):
        reader.features([None], np.array([1, 2]))
    with pytest.raises(ValueError, match=r"less than 2\^61"):
        reader.features([None], 2**62)
