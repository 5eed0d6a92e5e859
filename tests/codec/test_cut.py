"""Sections are cut as slicing each of them would, one section or many."""

import numpy as np
import pytest

from user_state.codec.cut import Cut
from user_state.codec.narrow import pack_narrow
from user_state.errors import CodecError

HEAD = np.dtype([("flag", "u1"), ("size", "<u4")])


def sections_of(rng: np.random.Generator, users: int) -> tuple[list[bytes], list[dict[str, np.ndarray]]]:
    """Return sections of a head, a fixed, a marked, a narrow and a floating-point column, and what is in them."""
    made, sections = [], []
    for _ in range(users):
        n = int(rng.integers(0, 5))
        flag = int(rng.integers(0, 2))
        one = {
            "fixed": rng.integers(0, 1 << 16, n).astype("<u2"),
            "marked": (rng.integers(1, 256, n) * flag).astype("u1"),
            "narrow": rng.integers(0, 2 ** int(rng.integers(1, 62)), n),
            "floats": rng.normal(size=n).astype("<f4" if flag else "<f8"),
        }
        (width,), (narrow,) = pack_narrow(one["narrow"], np.array([n]))
        head = np.array((flag, n), HEAD).tobytes() + bytes((width,))
        marked = one["marked"].tobytes() if flag else b""
        sections.append(head + one["fixed"].tobytes() + marked + narrow + one["floats"].tobytes())
        made.append(one)
    return sections, made


def cut_up(sections: list[bytes]) -> dict[str, np.ndarray]:
    cut = Cut(sections, "sections")
    head = cut.head(HEAD)
    flags, sizes = head["flag"] > 0, head["size"].astype(np.int64)
    widths = cut.fixed("u1", np.ones(len(sections), np.int64)).astype(np.int64)
    found = {"fixed": cut.fixed("<u2", sizes), "marked": cut.marked("u1", sizes, flags)}
    found |= {"narrow": cut.narrow(widths, sizes), "floats": cut.floats(flags, sizes)}
    cut.end()
    return found


@pytest.mark.parametrize("users", [1, 2, 40])
def test_columns_are_those_of_every_section_one_after_the_other(users):
    rng = np.random.default_rng(users)
    for _ in range(50):
        sections, made = sections_of(rng, users)
        found = cut_up(sections)
        for name, column in found.items():
            expected = np.concatenate([one[name] for one in made])
            if column is None:
                assert not expected.any()
            else:
                np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize("users", [1, 3])
def test_a_section_that_ends_early_or_goes_on_is_refused(users):
    sections, _ = sections_of(np.random.default_rng(7), users)
    for damaged in (sections[-1] + b"\0", sections[-1][:-1], b""):
        with pytest.raises(CodecError, match="sections"):
            cut_up([*sections[:-1], damaged])


def test_one_user_of_many_may_have_no_section_where_it_is_optional():
    cut = Cut([b"", np.array((1, 2), HEAD).tobytes()], "sections")
    assert cut.head(HEAD, optional=True)["size"].tolist() == [0, 2]
    cut.end()
