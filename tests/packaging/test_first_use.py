"""The compiled core makes nothing at first use: two threads' first look-ups in a process could wait for each other.

A `static` inside a function is made by its first caller under a lock. If making it needs the GIL, and a second caller
holds the GIL while it waits for that lock, both wait for ever; and a child that is forked meanwhile finds the lock
taken by a thread that it does not have.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from user_state import _native


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm, which comes with a compiler")
def test_no_function_of_the_core_makes_a_static_at_first_use():
    listed = subprocess.run(["nm", "-C", str(_native.__file__)], capture_output=True, text=True, check=True)
    symbols = listed.stdout.splitlines()
    assert any(" user_state::" in symbol for symbol in symbols), "the library has no names: was it stripped?"
    guards = [symbol for symbol in symbols if "guard variable" in symbol and "user_state::" in symbol]
    # "guard variable for f()::name" is of a static in a function; one without brackets is made when the library loads.
    made_late = [guard for guard in guards if "(" in guard]
    assert made_late == []
