"""Reading packed records: any choice of outputs, any times, and records that cannot be read."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.events.test_any_bytes import damaged
from tests.families.test_against_oracle import TABLE, Shelf, rows_of
from tests.fuzz.envelope import resealed, sections_of, with_sections
from tests.random_worlds import QUICK, World, reading_times, worlds
from tests.trying import event, plan_of, spec_of
from user_state.errors import InputError
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader
from user_state.spec import load_spec
from user_state.state.envelope import heads_of
from user_state.state.records import PackedRecords

EXAMPLES = Path(__file__).parents[2] / "examples"
LAST_BIT = 2e-7
"""Of single precision: sums and powers are rounded in another order, which may show in the last bit."""
END_US = 1_800_000_000_000_000
H_US, D_US = 3_600_000_000, 86_400_000_000


def reader_of(plan: Plan, select: Sequence[str] | None = None) -> Reader:
    return Reader(plan, PackedRecords(plan), select)


def finished(reader: Reader, blobs: Sequence[bytes | None], at_us: int | np.ndarray) -> Finished:
    return reader.features(blobs, at_us, reader.histories(blobs, at_us), {"shelf": TABLE})


def names_of(plan: Plan) -> list[str]:
    return [output.name for output in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=100)
def test_any_choice_of_outputs_and_a_time_a_record_say_what_all_do_at_one_time(
    world: World, data: st.DataObject
) -> None:
    plan = compile_plan(world.spec)
    shelf = Shelf(plan)
    shelf.fold(rows_of(world, plan))
    blobs: list[bytes | None] = [None, *(blob for blob, _ in shelf.stored.values()), None]
    heads, _ = heads_of(blobs)
    select = data.draw(st.lists(st.sampled_from(names_of(plan)), unique=True))
    whole, some = reader_of(plan), reader_of(plan, select)
    times_us = reading_times(world.spec, int(heads.clock_us.max()), int(heads.last_event_us.max()))
    at_each = [finished(whole, blobs, at_us) for at_us in times_us]
    which = [index % len(times_us) for index in range(len(blobs))]
    own = finished(some, blobs, np.array(times_us, np.int64)[which])
    assert set(own.names) | set(own.arrays) | set(own.sequences) | set(own.embeddings) == set(select)
    for row, one in enumerate(which):
        said = at_each[one]
        columns = [said.names.index(name) for name in own.names]
        assert_array_equal(own.values[row], said.values[row, columns])
        for name in own.arrays:
            assert_array_equal(own.arrays[name][row], said.arrays[name][row])
        for name in own.embeddings:
            assert_allclose(own.embeddings[name][row], said.embeddings[name][row], rtol=LAST_BIT, atol=1e-7)
        for name in own.sequences:
            assert str(own.sequences[name].of_user(row)) == str(said.sequences[name].of_user(row))


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


def test_damaged_records_cost_nobody_else_theirs(traffic):
    plan, blobs = traffic
    rng = random.Random(3)
    reader = reader_of(plan)
    whole = finished(reader, blobs, END_US)
    refused = 0
    for number in range(1_500):
        at = rng.randrange(len(blobs))
        sections = sections_of(blobs[at])
        chosen = rng.randrange(len(sections))
        name, section = sections[chosen]
        sections[chosen] = name, rng.randbytes(rng.randrange(40)) if number % 20 == 0 else damaged(rng, section)
        blob = resealed(with_sections(blobs[at], sections)) if number % 3 else damaged(rng, blobs[at])
        mixed = [*blobs[:at], blob, *blobs[at + 1 :]]
        found = finished(reader, mixed, END_US)
        refused += bool(found.errors)
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
    sections = [(name, b"\xff" if name == b"logs" else section) for name, section in sections_of(blob)]
    broken = resealed(with_sections(blob, sections))
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
