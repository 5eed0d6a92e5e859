"""Records that are read out of an answer of Redis while it comes: the same as from the whole, wherever it is cut."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from tests.core.test_against_oracle import Shelf
from user_state.core.compile import compile_plan
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.spec import load_spec
from user_state.state.features import Finished, Reader
from user_state.state.records import PackedRecords

END_US, DAY_US = 1_800_000_000_000_000, 86_400_000_000


class NoLayouts:
    def layout(self, fingerprint):
        return None


@pytest.fixture(scope="module")
def reader_and_blobs() -> tuple[Reader, list[bytes | None]]:
    loaded = load_spec(Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml")
    plan = compile_plan(loaded)
    decoder = EventDecoder(plan, loaded.schema)
    shelf = Shelf(plan)
    made = generate(6, 600, 1, end_us=END_US, span_us=30 * DAY_US)
    shelf.fold([decoder.row(message.event, None) for message in made if message.event is not None])
    blobs: list[bytes | None] = [None, *(blob for blob, _ in shelf.stored.values()), b"", b"nonsense"]
    return Reader(plan, PackedRecords(plan, NoLayouts())), blobs


def answer(blobs: list[bytes | None], null: bytes = b"$-1\r\n") -> bytes:
    values = [null if blob is None else b"$%d\r\n%s\r\n" % (len(blob), blob) for blob in blobs]
    return b"*%d\r\n%s" % (len(blobs), b"".join(values))


def taken(reader: Reader, blobs: list[bytes | None], pieces: list[bytes]) -> Finished:
    coming = reader.begin(len(blobs), END_US)
    buffer, filled = bytearray(1 << 16), 0
    for piece in pieces:
        buffer[filled : filled + len(piece)] = piece
        filled = coming.take(buffer, filled + len(piece))
        assert not coming.foreign
        assert not coming.broken
    assert (coming.taken, filled) == (len(blobs), 0)
    return reader.finish(coming)


def same(found: Finished, expected: Finished) -> None:
    assert found.errors == expected.errors
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.present, expected.present)
    np.testing.assert_array_equal(found.last_event_us, expected.last_event_us)
    for name, padded in expected.sequences.items():
        np.testing.assert_array_equal(found.sequences[name].length, padded.length)
        for column in padded.grids:
            np.testing.assert_array_equal(found.sequences[name][column], padded[column])
    for name, array in (*expected.arrays.items(), *expected.embeddings.items()):
        np.testing.assert_array_equal((found.arrays | found.embeddings)[name], array)


@pytest.mark.parametrize("null", [b"$-1\r\n", b"_\r\n"])
def test_an_answer_cut_anywhere_is_what_the_whole_is(reader_and_blobs, null):
    reader, blobs = reader_and_blobs
    whole, expected = answer(blobs, null), reader.features(blobs, END_US)
    assert set(expected.errors) == {len(blobs) - 2, len(blobs) - 1}
    rng = random.Random(4)
    cuts = [[at] for at in range(1, 60)] + [sorted(rng.sample(range(1, len(whole)), 5)) for _ in range(60)]
    for cut in cuts:
        ends = [0, *cut, len(whole)]
        same(taken(reader, blobs, [whole[begin:end] for begin, end in itertools.pairwise(ends)]), expected)


def test_records_of_several_answers_and_of_other_means(reader_and_blobs):
    reader, blobs = reader_and_blobs
    expected = reader.features(blobs, END_US)
    same(taken(reader, blobs, [answer(blobs[:2]), answer(blobs[2:])]), expected)
    coming = reader.begin(len(blobs), END_US)
    first = bytearray(answer(blobs[:2]))
    assert coming.take(first, len(first)) == 0
    coming.put(blobs[2:])
    same(reader.finish(coming), expected)


@pytest.mark.parametrize(
    "first", [b"-NOAUTH Authentication required.\r\n", b"-E", b">2\r\n", b"*0\r\n", b"*3\r\n", b"*x\r\n"]
)
def test_what_is_no_array_of_the_values_asked_for_is_left_to_others(reader_and_blobs, first):
    coming = reader_and_blobs[0].begin(2, END_US)
    assert coming.take(bytearray(first), len(first)) == len(first)
    assert (coming.foreign, coming.broken, coming.taken) == (True, False, 0)


@pytest.mark.parametrize("value", [b":5\r\n", b"$x\r\n", b"$-2\r\n", b"$99999999999999999999999\r\n", b"x" * 40])
def test_a_value_that_is_none_is_broken(reader_and_blobs, value):
    coming = reader_and_blobs[0].begin(2, END_US)
    whole = bytearray(b"*2\r\n$-1\r\n" + value)
    assert coming.take(whole, len(whole)) == len(value)
    assert (coming.foreign, coming.broken, coming.taken) == (False, True, 1)


def test_outputs_before_all_records_have_come_are_an_error(reader_and_blobs):
    reader = reader_and_blobs[0]
    with pytest.raises(ValueError, match="all records"):
        reader.finish(reader.begin(1, END_US))
    with pytest.raises(ValueError, match="no more records"):
        reader.begin(1, END_US).put([None, None])
    with pytest.raises(ValueError, match=r"less than 2\^61"):
        reader.begin(1, 2**62)
    with pytest.raises(ValueError, match="no more of it filled"):
        reader.begin(1, END_US).take(bytearray(3), 4)
