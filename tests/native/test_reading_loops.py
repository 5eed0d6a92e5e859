"""Reading comes to the same numbers in compiled code and in numpy, loop by loop and as a whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

from tests.core.test_against_oracle import TABLE, Shelf, rows_of
from tests.drawn_numbers import hard_numbers
from tests.random_worlds import QUICK, World, reading_times, worlds
from tests.trying import plan_of
from user_state.core import compiled, coupons, ordering, window_sums
from user_state.core.compile import compile_plan
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.reading import Features, features
from user_state.core.records import Records, apply
from user_state.core.tile_values import width_of
from user_state.core.tiles import Tiles, pack_keys
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.spec import load_spec

SPEC = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
LENGTHS = (0, 1, 2, 63, 64, 500, 5_000)
KINDS = ("count", "sum", "min", "max", "times", "variance", "moments")


def same(found: tuple, expected: tuple) -> None:
    for mine, numpys in zip(found, expected, strict=True):
        assert_array_equal(mine, numpys)


@pytest.mark.parametrize(
    "spans", [[1], [5], [3, 1 << 40], [2, 1 << 33, 3, 1 << 33], [1 << 62, 1 << 62, 2]], ids=lambda spans: len(spans)
)
@pytest.mark.parametrize("rows", LENGTHS)
def test_rows_by_columns(spans, rows):
    rng = np.random.default_rng(rows)
    # Few different numbers, far apart and on both sides of 0, so that there are ties in each column.
    columns = [rng.integers(-2, 3, rows) * (span // 4 + 1) for span in spans]
    expected = ordering._grouped(columns)
    same(compiled.grouped(columns), expected)
    assert_array_equal(compiled.order_of(columns), expected[0])


def test_rows_that_are_in_order_and_the_greatest_and_least_numbers():
    ends = np.array([np.iinfo(np.int64).min, -1, 0, np.iinfo(np.int64).max])
    assert compiled.order_of([ends]).tolist() == [0, 1, 2, 3]
    assert compiled.order_of([ends[::-1], ends]).tolist() == [3, 2, 1, 0]
    assert compiled.order_of([np.zeros(100, np.int64)]).tolist() == list(range(100))


@pytest.mark.parametrize("groups", [1, 100, 1 << 19, 1 << 50])
@hard_numbers
def test_numbers_by_group(draw, groups):
    rng = np.random.default_rng(1)
    for rows in LENGTHS:
        group, numbers = rng.integers(0, groups, rows), draw(rng, rows)
        assert_array_equal(compiled.order_by_number(group, numbers), np.lexsort((numbers, group)))


@pytest.mark.parametrize("lists", [1, 30, 3_000])
@pytest.mark.parametrize("rows", LENGTHS)
def test_the_heaviest_of_lists(lists, rows):
    rng = np.random.default_rng(rows)
    of_list, weight = np.sort(rng.integers(0, lists, rows)), rng.integers(-3, 4, rows)
    most = rng.integers(0, 5, lists)
    same(compiled.heaviest(of_list, weight, most), ordering._heaviest(of_list, weight, most))


@pytest.mark.parametrize("lg_k", [7, 11])
@pytest.mark.parametrize("tiles", [0, 1, 40])
def test_registers(lg_k, tiles):
    rng = np.random.default_rng(1)
    held = rng.geometric(0.5, (tiles, 1 << lg_k)).astype(np.uint8) - 1
    held[:1, :7] = (31, 32, 33, 62, 63, 0, 1)
    row = rng.integers(0, 9, tiles)
    shown = rng.integers(0, 64, 500) << coupons.ADDRESS_BITS | rng.integers(0, 1 << coupons.ADDRESS_BITS, 500)
    for seen in (shown, shown[:0]):
        arguments = held, row, seen, rng.integers(0, 9, len(seen)), 9
        assert_array_equal(compiled.unite_registers(*arguments), coupons._unite_registers(*arguments))
    same(compiled.register_sums(held), coupons._sums(held))


@pytest.mark.parametrize("kinds", [("count",), ("count", "times"), KINDS[:6], KINDS])
@pytest.mark.parametrize("rows", [0, 1, 400])
def test_sums_of_windows(kinds, rows):
    rng = np.random.default_rng(1)
    key = np.unique(pack_keys(rng.integers(0, 5, rows), rng.integers(0, 40, rows), rng.integers(0, len(kinds), rows)))
    kind_of_row = np.array(kinds)[key & 0xFFF]
    values = rng.normal(3, 2, (width_of(kinds), len(key)))
    for column in range(1, len(values)):
        values[column, ~np.isin(kind_of_row, ("times", "variance", "moments")[column > 1 :])] = 0.0
    tiles = Tiles(key, rng.integers(1, 9, len(key)), values)
    for starts_s in ([0], [0, 10, 11, 30], [7, 39], [50]):
        starts = np.array(starts_s, np.int64)
        expected = window_sums._sum_windows(kinds, tiles, 5, starts)
        keeps = window_sums._keeps(kinds)
        count, numbers = compiled.sum_windows(tiles.key, tiles.count, tiles.values, keeps, 5, starts)
        assert_array_equal(count, expected.count)
        for track, kind in enumerate(kinds):
            for column in range(window_sums.width_of((kind,))):
                mine, numpys = numbers[column, ..., track], expected.values[column, ..., track]
                assert_allclose(mine, numpys, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda one: compiled.grouped([]),
        lambda one: compiled.order_of([one, one[:0]]),
        lambda one: compiled.order_by_number(one, np.ones(2)),
        lambda one: compiled.heaviest(one, one, one[:0]),
        lambda one: compiled.unite_registers(np.ones((1, 128), np.uint8), one, one, one, 1),
        lambda one: compiled.sum_windows(one, one, np.ones((1, 1)), np.array([5], np.int8), 1, one),
        lambda one: compiled.sum_windows(one, one, np.ones((0, 1)), np.array([0], np.int8), 1, one),
    ],
)
def test_what_would_lie_outside_an_array_is_an_error(call):
    with pytest.raises((ValueError, IndexError)):
        call(np.array([1]))


def read_both(plan: Plan, records: Records, at_us: int, rounding: float = 1e-12) -> Features:
    found = features(plan, records, at_us, {"shelf": TABLE})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "used", False)
        expected = features(plan, records, at_us, {"shelf": TABLE})
    assert_allclose(found.values, expected.values, rtol=rounding, atol=rounding)
    for name, numbers in expected.arrays.items():
        assert_allclose(found.arrays[name], numbers, rtol=rounding, atol=rounding)
    for name, vectors in expected.embeddings.items():
        assert_array_equal(found.embeddings[name], vectors)
    for name, lists in expected.sequences.items():
        assert_array_equal(found.sequences[name].length, lists.length)
        for column, grid in lists.grids.items():
            assert_array_equal(found.sequences[name].grids[column], grid)
    return found


@pytest.mark.slow
@given(worlds())
@settings(QUICK, max_examples=100)
def test_any_spec(world: World) -> None:
    plan = compile_plan(world.spec)
    rows = rows_of(world, plan)
    shelf = Shelf(plan)
    shelf.fold(rows)
    records, _ = shelf.read(list(shelf.stored))
    if len(records):
        for at_us in reading_times(world.spec, int(records.clock_us.max()), int(records.last_event_us.max())):
            read_both(plan, records, at_us)


def test_the_reference_spec_with_registers_among_its_tiles():
    loaded = load_spec(SPEC)
    plan = compile_plan(loaded)
    decoder = EventDecoder(plan, loaded.schema)
    end_us = 1_800_000_000_000_000
    made = generate(20, 6_000, 1, end_us=end_us, span_us=20 * 86_400_000_000)
    rows: list[EventRow] = [decoder.row(message.event, None) for message in made]
    events = Events.from_rows(plan, rows)
    records = apply(plan, Records.empty(plan, len(events.users)), events)
    assert len(records.hlls.dense_key)
    read_both(plan, records, end_us)
    read_both(plan, records, end_us - 3_600_000_000)


def test_no_records():
    plan = plan_of(features={"seen": {"aggregate": "sum", "of": "value", "windows": ["1h"]}})
    assert read_both(plan, Records.empty(plan, 0), 0).values.shape == (0, 1)
