"""Dictionaries are read without making their strings, and refused unless those ascend, each once."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_worlds import QUICK
from user_state.codec.strings import unpack_strings
from user_state.errors import CodecError

TEXTS = st.one_of(
    st.sampled_from(
        ["", "\0", "a", "a\0", "a\0\0", "creator_1", "creator_10", "creator_12345678", "creator_123456789"]
    ),
    st.text("ab\0", max_size=20),
    st.integers(0, 99).map(lambda n: f"a name that is longer than two words {n}"),
    st.sampled_from(["\u6f22", "\xe9", "\U0001f389"]),
)


def dictionary(texts: list[str]) -> bytes:
    words = [text.encode() for text in texts]
    return struct.pack(f"<I{len(words)}H", len(words), *map(len, words)) + b"".join(words) if words else b""


def ascends(texts: list[str]) -> bool:
    return all(a < b for a, b in itertools.pairwise(texts))


@given(st.lists(st.lists(TEXTS, max_size=6), min_size=1, max_size=4), st.booleans())
@settings(QUICK, max_examples=400)
def test_strings_that_ascend_come_back_and_others_are_refused(listed: list[list[str]], in_order: bool) -> None:
    listed = [sorted(set(texts)) if in_order else texts for texts in listed]
    blobs = [dictionary(texts) for texts in listed]
    if not all(map(ascends, listed)):
        with pytest.raises(CodecError, match="not in order"):
            unpack_strings(blobs)
        return
    found = unpack_strings(blobs)
    assert found.pool.texts == [text for texts in listed for text in texts]
    assert found.pool.objects.tolist() == [*found.pool.texts, None]
    assert (found.sizes.tolist(), len(found.pool)) == ([len(texts) for texts in listed], len(found.pool.texts))


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(CodecError, match="UTF-8"):
        unpack_strings([struct.pack("<IH", 1, 1) + b"\xff"])
    # What two dictionaries would make together is none of either.
    with pytest.raises(CodecError, match="UTF-8"):
        unpack_strings([struct.pack("<IH", 1, 1) + b"\xc3", struct.pack("<IH", 1, 1) + b"\xa9"])
