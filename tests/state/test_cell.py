"""Cells of keyed state: what went in comes out, and other bytes are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_state.errors import CodecError
from user_state.state.runner_state import Cell, decode_cell, encode_cell

TIMES = st.integers(-(2**63), 2**63 - 1)


@given(TIMES, TIMES, st.binary(), st.binary())
def test_what_is_encoded_is_decoded(look_at_ms, expire_at_ms, record, seen):
    cell = Cell(look_at_ms, expire_at_ms, record, seen)
    assert decode_cell(encode_cell(cell)) == cell


@given(st.binary())
def test_any_bytes_are_a_cell_or_the_one_error(blob):
    try:
        cell = decode_cell(blob)
    except CodecError:
        return
    assert encode_cell(cell) == blob


@pytest.mark.parametrize("blob", [b"", b"\2" + bytes(20), b"\1" + bytes(16) + b"\5\0\0\0" + b"four"])
def test_what_is_cut_short_or_of_another_format_is_refused(blob):
    with pytest.raises(CodecError, match="expected a"):
        decode_cell(blob)
