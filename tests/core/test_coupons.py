"""Coupons and registers are the library's own, bit for bit, and what they count stays within the stated error."""

from __future__ import annotations

import numpy as np
import pytest
from datasketches import HLL_8, hll_sketch, hll_union

from user_state.core.coupons import (
    ADDRESS_BITS,
    LG_KS,
    coupons_of,
    estimate,
    lg_k_for,
    most_coupons,
    put_coupons,
    standard_error,
)

TEXTS = [f"item \u6f22 {n}" for n in range(20_000)]


def registers_of(lg_k: int, values: list) -> np.ndarray:
    registers = np.zeros(1 << lg_k, np.uint8)
    put_coupons(registers, coupons_of(values))
    return registers


@pytest.mark.parametrize("lg_k", [7, 11, 14])
@pytest.mark.parametrize("values", [TEXTS, list(range(-5000, 5000)), [n / 7 for n in range(5000)]], ids=type)
def test_registers_are_those_of_the_librarys_own_sketch(lg_k, values):
    theirs = hll_sketch(lg_k, HLL_8)
    for value in values:
        theirs.update(value)
    assert theirs.serialize_compact()[40:] == registers_of(lg_k, values).tobytes()


@pytest.mark.parametrize("lg_k", LG_KS)
def test_the_count_is_the_librarys_count_of_a_union_of_sketches(lg_k):
    """A union of sketches that already hold registers is one whose order of arrival the library cannot know."""
    union = hll_union(lg_k)
    for half in (TEXTS[:12_000], TEXTS[8_000:]):
        part = hll_sketch(lg_k, HLL_8)
        for value in half:
            part.update(value)
        union.update(part)
    assert estimate(registers_of(lg_k, TEXTS)) == union.get_result(HLL_8).get_estimate()


@pytest.mark.slow
@pytest.mark.parametrize("lg_k", [7, 9, 11])
@pytest.mark.parametrize("factor", [1 / 8, 1, 3, 20])
def test_the_standard_error_is_what_is_stated(lg_k, factor):
    """Over 200 sets of values each; the root mean square of 200 errors is off by 5 % or so itself."""
    count = int(factor * (1 << lg_k))
    errors = []
    coupons = coupons_of(list(range(200 * count)))
    for n in range(200):
        registers = np.zeros(1 << lg_k, np.uint8)
        put_coupons(registers, coupons[n * count : (n + 1) * count])
        errors.append(estimate(registers) / count - 1)
    assert np.sqrt(np.mean(np.square(errors))) < 1.2 * standard_error(lg_k)
    assert np.abs(errors).max() < 5 * standard_error(lg_k)


def test_every_value_has_a_coupon_and_equal_ones_the_same():
    kinds = ["", "\0", "0", 0, 0.0, 1, 1.0, -1, 2**63 - 1, -(2**63) + 1, 5e-324, 1e308, "\U0001f389"]
    coupons = coupons_of(kinds)
    assert (coupons >> ADDRESS_BITS > 0).all()
    assert coupons.tolist() == coupons_of(kinds).tolist()
    assert len(set(coupons_of(["", "\0", "0", "a"]).tolist())) == 4
    assert coupons_of([0.0]).tolist() == coupons_of([-0.0]).tolist()
    assert len(coupons_of([])) == 0


def test_coupons_nearly_always_differ():
    assert len(set(coupons_of(TEXTS).tolist())) > len(TEXTS) - 15


@pytest.mark.parametrize(("error", "lg_k"), [(0.1, 7), (0.0919, 8), (0.03, 11), (0.01, 14)])
def test_as_few_registers_as_the_error_allows(error, lg_k):
    assert lg_k_for(error) == lg_k
    assert standard_error(lg_k) <= error


def test_registers_begin_where_they_are_shorter():
    assert [4 * most_coupons(lg_k) for lg_k in (7, 11)] == [(1 << lg_k) // 2 for lg_k in (7, 11)]


@pytest.mark.parametrize("value", [0, 1, 31, 32, 62, 63])
def test_any_registers_have_a_count(value):
    for lg_k in LG_KS:
        registers = np.full(1 << lg_k, value, np.uint8)
        assert estimate(registers) >= 0
        registers[0] = 63 - value
        assert np.isfinite(estimate(registers))
