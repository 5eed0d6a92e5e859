"""Single values of a table's rows as what Avro's primitive types, enums, fixed and logical types take.

Each function returns the value, or raises ValueError with words for people: `as_whole(31)("17.0")` is 17. What is taken
for what is in `row_values.py`. Pure.
"""

from __future__ import annotations

import datetime
import math
import re
import struct
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from user_state.errors import shorten
from user_state.events.publish_times import publish_time_us

Convert = Callable[[Any], Any]

EXACT = 2**53
"""Floats hold whole numbers exactly below this."""
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def as_whole(bits: int) -> Convert:
    """Return what takes whole numbers of so many bits, beside the sign."""

    def convert(value: Any) -> int:
        number: Any = None
        if isinstance(value, str) and len(value) < 40 and _WHOLE.fullmatch(value.strip()):
            number = int(value.strip().partition(".")[0])
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif (isinstance(value, float) and value.is_integer() and abs(value) <= EXACT) or (
            isinstance(value, Decimal) and value == value.to_integral_value()
        ):
            number = int(value)
        if number is None or not -(1 << bits) <= number < 1 << bits:
            raise ValueError(f"expected a whole number of {bits + 1} bits, got {shorten(value)}")
        return int(number)

    return convert


def as_float(value: Any) -> float:
    """Return a finite number."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {shorten(value)}")
    return float(value)


def as_single(value: Any) -> float:
    """Return a finite number of single precision."""
    number = as_float(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise ValueError(f"expected a number of single precision, got {shorten(value)}") from None
    return number


def as_boolean(value: Any) -> bool:
    """Return true or false."""
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"expected true or false, got {shorten(value)}")
    return found


def as_text(value: Any) -> str:
    """Return a text; whole numbers have no fraction."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("expected text in UTF-8, got other bytes") from None
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError("expected text in UTF-8, got other bytes") from None
    if isinstance(value, int | float | Decimal | uuid.UUID):
        return str(value)
    raise ValueError(f"expected text, got {shorten(value)}")


def as_bytes(value: Any) -> bytes:
    """Return bytes, of a text those of its UTF-8."""
    return value if isinstance(value, bytes) else as_text(value).encode()


def as_null(value: Any) -> None:
    """Refuse whatever it is."""
    raise ValueError(f"expected nothing, got {shorten(value)}")


def as_symbol(declared: Mapping[str, Any]) -> Convert:
    """Return what takes an enum's symbols."""
    symbols = declared["symbols"]

    def convert(value: Any) -> Any:
        if value not in symbols:
            raise ValueError(f"expected one of {', '.join(symbols[:20])}, got {shorten(value)}")
        return value

    return convert


def as_fixed(size: int, *, is_uuid: bool = False) -> Convert:
    """Return what takes so many bytes, of a UUID also its text."""

    def convert(value: Any) -> bytes:
        if is_uuid and isinstance(value, str) and len(value) != size:
            try:
                value = uuid.UUID(value)
            except ValueError:
                raise ValueError(f"expected a UUID, got {shorten(value)}") from None
        taken = value.bytes if isinstance(value, uuid.UUID) else as_bytes(value)
        if len(taken) != size:
            raise ValueError(f"expected {size} bytes, got {len(taken)}")
        return taken

    return convert


def as_time(unit_ns: int) -> Convert:
    """Return what takes times, as numbers of a unit of so many nanoseconds."""

    def convert(value: Any) -> int:
        if isinstance(value, datetime.datetime):
            return _since_epoch_us(value) * 1000 // unit_ns
        if isinstance(value, datetime.date):
            return (value - _EPOCH.date()).days * 86_400 * 10**9 // unit_ns
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise ValueError(f"expected a time, got {shorten(value)}")  # noqa: TRY004 - a row's fault, not ours
        text = str(value).strip()
        time_us = publish_time_us(text)
        if time_us is not None:
            return time_us * 1000 // unit_ns
        try:
            if _NUMBER.fullmatch(text):
                return int(as_whole(63)(value))
            return _since_epoch_us(datetime.datetime.fromisoformat(text)) * 1000 // unit_ns
        except ValueError:
            raise ValueError(f"expected a time, got {shorten(value)}") from None

    return convert


def _since_epoch_us(moment: datetime.datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    return (aware - _EPOCH) // _MICROSECOND


def as_time_of_day(unit_us: int, bits: int) -> Convert:
    """Return what takes times of day, as numbers of a unit of so many microseconds."""
    whole = as_whole(bits)

    def convert(value: Any) -> int:
        if isinstance(value, str) and ":" in value:
            with suppress(ValueError):
                value = datetime.time.fromisoformat(value.strip())
        if isinstance(value, datetime.time):
            seconds = (value.hour * 60 + value.minute) * 60 + value.second
            return (seconds * 1_000_000 + value.microsecond) // unit_us
        return int(whole(value))

    return convert


def as_date(value: Any) -> int:
    """Return a day since 1970-01-01."""
    if isinstance(value, datetime.datetime):
        value = value.date()
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.date.fromisoformat(value.strip())
    if isinstance(value, datetime.date):
        return (value - _EPOCH.date()).days
    return int(as_whole(31)(value))


def as_decimal(declared: Mapping[str, Any]) -> Convert:
    """Return what takes a decimal number, as Avro's bytes."""
    scale, size = declared.get("scale", 0), declared.get("size")

    def convert(value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise ValueError(f"expected a decimal number, got {shorten(value)}")  # noqa: TRY004 - as above
        if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            raise ValueError(f"expected a decimal number, got {shorten(value)}")
        scaled = Decimal(str(value).strip()).scaleb(scale)
        if not scaled.is_finite() or scaled != scaled.to_integral_value() or scaled.adjusted() >= declared["precision"]:
            raise ValueError(
                f"expected a number of {declared['precision']} digits, {scale} of them behind the point,"
                f" got {shorten(value)}"
            )
        number = int(scaled)
        return number.to_bytes(size or max(1, (number.bit_length() + 8) // 8), "big", signed=True)

    return convert
