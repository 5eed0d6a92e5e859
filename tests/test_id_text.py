"""The text of an id, by the type of the value."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from user_state.errors import InputError
from user_state.id_text import id_text

FIRST = UUID(int=1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("é", "é"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (np.int32(7), "7"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (np.str_("u"), "u"),
        (b"\x00\xab", "00ab"),
        (memoryview(b"\x01"), "01"),
        (FIRST, "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: f"{type(value).__name__} {value!s:.20}" if not isinstance(value, memoryview) else "memoryview",
)
def test_an_id_of_any_type_that_ids_have(value: Any, text: str) -> None:
    assert id_text(value) == text


@pytest.mark.parametrize("value", [1.0, np.float64(1), True, np.True_, None, ["u"], ("u",), object])
def test_what_no_id_is(value: Any) -> None:
    with pytest.raises(InputError, match="expected an id as a text, a whole number, bytes or a UUID, got "):
        id_text(value)
