"""What the compiled code is told of a plan: its settings, what records begin with, and what they hold when empty."""

from __future__ import annotations

from typing import Any

from user_state.codec.record import MARKER
from user_state.codec.sections import SECTIONS
from user_state.codec.strings import EMPTY
from user_state.core import compiled as native
from user_state.core.plan import Plan
from user_state.core.reading_program import ReadingProgram


def blanks_of(plan: Plan) -> list[bytes]:
    """Return the sections of a record that holds nothing, the dictionary first."""
    return [EMPTY, *(section.blank(plan.layout) for section in SECTIONS)]


def native_program(plan: Plan, program: ReadingProgram) -> Any:
    """Return the compiled code's own of what is read from records of a plan."""
    told = {"marker": MARKER, "layout": plan.layout.fingerprint, "blanks": blanks_of(plan)}
    return native.ReadingProgram({**program.described, **told})
