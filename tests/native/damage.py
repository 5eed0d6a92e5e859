"""Records one of whose sections is damaged: the compiled code must refuse what numpy refuses, or agree."""

import random

from tests.codec.test_fuzz import damaged
from tests.native.both import Both
from user_state.codec.record import Outer, close_record, open_record
from user_state.codec.sections import SECTIONS
from user_state.core.events import EventRow

NAMES = ["dictionary", *(section.name for section in SECTIONS)]


def refusals(both: Both, section: str, rows: list[EventRow], tries: int = 1_000, values: bool = True) -> int:
    """Return how many of so many records are refused, made of the stored ones by damaging a section.

    `values` False for sections whose numbers may come out as anything, also NaN.
    """
    rng = random.Random(7)
    outers = [open_record(blob) for blob in both.stored.values() if blob is not None]
    refused = 0
    for number in range(tries):
        outer = rng.choice(outers)
        sections = list(outer.sections)
        at = NAMES.index(section)
        sections[at] = rng.randbytes(rng.randrange(40)) if number % 20 == 0 else damaged(rng, sections[at])
        refused += both.refuses(closed(outer, sections), rows, values)
    return refused


def closed(outer: Outer, sections: list[bytes]) -> bytes:
    """Return the record of these sections."""
    return close_record(outer, sections)
