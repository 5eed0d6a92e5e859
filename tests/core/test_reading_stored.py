"""Records are read alike as they were folded, as they are stored, many at once and one by one.

Strings are numbered in another way in each: in the order of their coming, or record by record by their text.
"""

import numpy as np
from hypothesis import given, settings

from tests.core.test_against_oracle import TABLE
from tests.packed import Records, apply, features, read_embedding
from tests.random_worlds import QUICK, World, worlds
from tests.trying import VERSION
from user_state.codec.record import decode_records, encode_records, open_record
from user_state.core.compile import compile_plan
from user_state.core.events import Events
from user_state.core.ordering import order_of, packed_columns
from user_state.events.decode import EventDecoder
from user_state.state.features import Finished


def assert_same(a: Finished, user_a: int, b: Finished, user_b: int) -> None:
    np.testing.assert_allclose(a.values[user_a], b.values[user_b], rtol=1e-9)
    for name, numbers in a.arrays.items():
        np.testing.assert_allclose(numbers[user_a], b.arrays[name][user_b], rtol=1e-9)
    for name, padded in a.sequences.items():
        grids, others = padded.columns, b.sequences[name].columns
        assert padded.length[user_a] == b.sequences[name].length[user_b]
        for column, grid in grids.items():
            if grid.dtype == np.float64:
                np.testing.assert_allclose(grid[user_a], others[column][user_b], rtol=1e-9)
            else:
                assert grid[user_a].tolist() == others[column][user_b].tolist()
        for column in padded.strings:
            mine, other = padded.coded(column), b.sequences[name].coded(column)
            texts = [
                [None if code < 0 else coded.texts[code] for code in coded.codes[user].tolist()]
                for coded, user in ((mine, user_a), (other, user_b))
            ]
            assert texts[0] == texts[1] == grids[column][user_a].tolist()


@given(worlds(most=30, duplicates=False))
@settings(QUICK, max_examples=60)
def test_folded_stored_and_alone_say_the_same(world: World) -> None:
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    events = Events.from_rows(plan, [decoder.row(a.event or {}, a.published_us) for a in world.arrivals])
    folded = apply(plan, Records.empty(plan, len(events.users)), events)
    opened = [open_record(blob) for blob in encode_records(folded, plan.layout, [VERSION] * len(folded))]
    at_us = int(folded.clock_us.max(initial=0)) + 1_000_000
    together = features(plan, decode_records(opened, plan.layout), at_us, {"shelf": TABLE})
    as_folded = features(plan, folded, at_us, {"shelf": TABLE})
    for user, one in enumerate(opened):
        alone = features(plan, decode_records([one], plan.layout), at_us, {"shelf": TABLE})
        assert_same(alone, 0, together, user)
        assert_same(as_folded, user, together, user)
    for output in plan.embeddings:
        one_alone = read_embedding(plan, folded, output, at_us, {"shelf": TABLE})
        np.testing.assert_array_equal(one_alone, as_folded.embeddings[output.name])


def test_packed_columns_order_as_sorting_column_by_column_does():
    rng = np.random.default_rng(1)
    for spans in ((3, 4), (2, 1 << 40), (1 << 62, 5), (1 << 40, 1 << 40), (1, 1)):
        columns = [rng.integers(-span, span, 500) for span in spans]
        expected = sorted(range(500), key=lambda row: [int(column[row]) for column in columns])
        assert order_of(columns).tolist() == expected
        fits = sum((int(column.max()) - int(column.min())).bit_length() for column in columns) <= 63
        assert (packed_columns(columns) is not None) == fits
