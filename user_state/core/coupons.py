"""Distinct values as HyperLogLog sees them: coupons, registers, and how many they stand for.

A value's **coupon** is what the DataSketches library makes of its hash: 26 bits of address, and above them 6 bits with
the number of leading zeros of the rest of the hash, plus one. A set of coupons counts its values nearly exactly (among
10,000 values less than one pair is expected to share one), at 4 bytes each. **Registers** forget more: the lowest
`lg_k` bits of the address name one of 2^lg_k registers, and each keeps the greatest number of zeros it saw. Sets are
united by union, registers by maximum, so neither depends on order. Both are bit for bit those of the library's
`hll_sketch`.

The count is the library's estimate from registers alone. (Its own unions carry on an estimate that depends on the
order of arrival for as long as they can; here it is turned off by the out-of-order flag.)

Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AOFA 2007; DataSketches, `HllSketch`, whose documentation
gives the standard error of such estimates as 1.04 / sqrt(2^lg_k).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from datasketches import HLL_8, hll_sketch

from user_state.core import compiled
from user_state.core.ragged import run_heads

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Registers = npt.NDArray[np.uint8]
ADDRESS_BITS, COUPON_BITS = 26, 32
GREATEST_REGISTER = 63
LG_KS = range(7, 15)
_COUPON = slice(8, 12)
"""Where a serialised sketch of one value has its coupon."""
_HEAD_INTS, _OUT_OF_ORDER, _COMPACT, _MODE_HLL_8 = 10, 16, 8, 10
_HALVES = np.ldexp(1.0, -np.arange(GREATEST_REGISTER + 1))
_LOW_HALVES = np.where(np.arange(len(_HALVES)) < 32, _HALVES, 0.0)
_HIGH_HALVES = _HALVES - _LOW_HALVES


def standard_error(lg_k: int) -> float:
    """Return the relative standard error of counts from 2^lg_k registers.

    >>> round(standard_error(11), 4)
    0.023
    """
    return 1.04 / math.sqrt(1 << lg_k)


def lg_k_for(error: float) -> int:
    """Return the lg_k of the fewest registers whose standard error is at most this, or of the most there are.

    >>> [lg_k_for(error) for error in (0.1, 0.03, 0.01, 0.0)]
    [7, 11, 14, 14]
    """
    return next((lg_k for lg_k in LG_KS if standard_error(lg_k) <= error), LG_KS[-1])


def most_coupons(lg_k: int) -> int:
    """Return how many coupons take as many bytes as 2^lg_k registers of four bits."""
    return (1 << lg_k) // 8


def coupons_of(values: Sequence[Any]) -> I64:
    """Return the coupon of each value: a string, int or float."""
    sketch = hll_sketch(LG_KS[-1], HLL_8)
    coupons = []
    for value in values:
        sketch.reset()
        # The library takes an empty text for no value; no text hashes as a number does.
        sketch.update(0 if value == "" else value)
        coupons.append(int.from_bytes(sketch.serialize_compact()[_COUPON], "little"))
    return np.array(coupons, np.int64)


def put_coupons(registers: Registers, coupons: I64, row: I64 | int = 0) -> None:
    """Let registers (2^lg_k,), or rows (m,) of (r, 2^lg_k), see coupons (m,); they are changed in place."""
    size = registers.shape[-1]
    into = registers.reshape(-1)
    np.maximum.at(into, row * size + (coupons & (size - 1)), (coupons >> ADDRESS_BITS).astype(np.uint8))


def unite_registers(tiles: Registers, row: I64, coupons: I64, coupon_row: I64, rows: int) -> Registers:
    """Return (rows, 2^lg_k) registers, each row's those of its tiles and of what coupons show it.

    Args:
        tiles: (d, 2^lg_k).
        row: (d,) which row each is of.
        coupons: (m,).
        coupon_row: (m,).
        rows: how many there are.
    """
    unite = compiled.unite_registers if compiled.used else _unite_registers
    return unite(tiles, row, coupons, coupon_row, rows)


def _unite_registers(tiles: Registers, row: I64, coupons: I64, coupon_row: I64, rows: int) -> Registers:
    united = np.zeros((rows, tiles.shape[1]), np.uint8)
    order = np.argsort(row, kind="stable")
    row, tiles = row[order], tiles[order]
    heads = run_heads(row)
    united[row[heads]] = np.maximum.reduceat(tiles, heads, axis=0)
    put_coupons(united, coupons, coupon_row)
    return united


@lru_cache(maxsize=len(LG_KS))
def _image_of(size: int) -> np.dtype[np.void]:
    """Return the library's layout of a sketch of so many registers."""
    sums = [(name, "<f8") for name in ("in_order", "low", "high")]
    counts = [(name, "<u4") for name in ("zeros", "exceptions")]
    return np.dtype([("preamble", "u1", 8), *sums, *counts, ("registers", "u1", size)])


def estimates(registers: Registers) -> F64:
    """Return (r,) how many distinct values each row of registers (r, 2^lg_k) has seen, by the library."""
    images = _images(*registers.shape)
    images["low"], images["high"], images["zeros"] = (compiled.register_sums if compiled.used else _sums)(registers)
    images["registers"] = registers
    return _estimates(images)


def estimates_of_sums(lg_k: int, sums: F64) -> F64:
    """Return (r,) what the library makes of 2^lg_k registers none of which is 0, and whose 2^-register add up so."""
    images = _images(len(sums), 1 << lg_k)
    images["low"] = sums
    return _estimates(images)


def _images(count: int, size: int) -> npt.NDArray[np.void]:
    """Return so many sketches of so many registers as the library lays them out, without their content."""
    images = np.zeros(count, _image_of(size))
    images["preamble"] = (_HEAD_INTS, 1, 7, size.bit_length() - 1, 0, _COMPACT | _OUT_OF_ORDER, 0, _MODE_HLL_8)
    return images


def _estimates(images: npt.NDArray[np.void]) -> F64:
    held, width = images.tobytes(), images.itemsize
    ends = range(width, len(held) + 1, width)
    return np.array([hll_sketch.deserialize(held[end - width : end]).get_estimate() for end in ends], np.float64)


def _sums(registers: Registers) -> tuple[F64, F64, npt.NDArray[np.integer[Any]]]:
    """Return of each row the halves of values below 32, those of all others, and how many are 0.

    The library sums the two apart, so that no digit is lost.
    """
    low = _LOW_HALVES.take(registers).sum(axis=1)
    some = registers.max(initial=0) >= 32
    high = _HIGH_HALVES.take(registers).sum(axis=1) if some else np.zeros(len(registers))
    return low, high, np.add.reduce(registers == 0, axis=1, dtype=np.int64)


def estimate(registers: Registers) -> float:
    """Return how many distinct values registers (2^lg_k,) have seen, by the library."""
    return float(estimates(registers[None])[0])
