"""The compiled code, where this installation has it: reading events, columns of event rows,
folding, judging and finishing packed bytes, and inner loops of reading.

Each stands beside what does the same in numpy, in the module that it is for, and comes to the same;
docs/design/native.md says more. `used` says which of the two runs.
"""

from __future__ import annotations

try:
    from user_state._native import (
        Admission,
        Folder,
        ReadingProgram,
        RowReader,
        columns_of_rows,
        grouped,
        heaviest,
        order_by_number,
        order_of,
        pack_mget,
        register_sums,
        sum_windows,
        unite_registers,
    )

    used = True
except ImportError:  # installed where there was no compiler
    used = False

__all__ = [
    "Admission",
    "Folder",
    "ReadingProgram",
    "RowReader",
    "columns_of_rows",
    "grouped",
    "heaviest",
    "order_by_number",
    "order_of",
    "pack_mget",
    "register_sums",
    "sum_windows",
    "unite_registers",
    "used",
]
