"""Memory that a step of a job has left behind, given back to the system, so that the next does not add to it.

Allocators keep what was freed, in pieces and by thread; steps of many threads, one after the other, would grow by it.
"""

from __future__ import annotations

import os


def give_back() -> None:
    """Give back what is free; takes about a millisecond."""
    import pyarrow as pa

    # The latter's is also that of Python and of the compiled core: in glibc, malloc_trim.
    pa.default_memory_pool().release_unused()
    pa.system_memory_pool().release_unused()


def keep_in_one_place() -> None:
    """Have Arrow take memory where everything else does, unless someone chose otherwise.

    Its own allocator keeps what other threads have freed. Arrow looks at this when it first needs memory, and readers
    of Parquet at nothing else; so this comes before its first use.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
