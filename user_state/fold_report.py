"""What a fold did, for whoever acknowledges and counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass
class FoldReport:
    """What a fold did.

    Attributes:
        outcome: (m,) an `Outcome` a row.
        writes: how many records were replaced.
        conflicts: how many replacements were refused because somebody else was faster.
        shortened: how many users' horizon the cap on remembered ids has shortened.
        ids_lost: how many records had lost their remembered ids; their horizon was closed.
        lost: how many records were older than this worker had left them, or gone: Redis has lost data.
        went_back: how many times Redis no longer had what it had confirmed to this worker.
        bytes_written: of records and remembered ids.
        largest_bytes: of one record with its remembered ids, the largest written.
        set_aside: why nothing became of the rows with outcome BAD_RECORD or OVERSIZED, by user.
    """

    outcome: npt.NDArray[np.int8]
    writes: int = 0
    conflicts: int = 0
    shortened: int = 0
    ids_lost: int = 0
    lost: int = 0
    went_back: int = 0
    bytes_written: int = 0
    largest_bytes: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)
