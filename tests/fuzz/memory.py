"""How much memory an input may take: `ALLOWED_BYTES` and `ALLOWED_TIMES` its length, in one go and all together.

The process may not map more than that while a verb runs, whoever asks for it: C++, numpy or Python. What is asked for
beyond is refused, and is a MemoryError. Small pieces come from what is mapped already; large ones never do, since the
allocator is told to map each of them alone. Linux only, and not under a sanitizer, which maps terabytes.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ALLOWED_BYTES = 8 << 20
"""Whatever the input is: what Python and the allocator take in pieces of a mebibyte, and what outputs take."""
ALLOWED_TIMES = 64
"""Times the length of the input: bytes that are read into rows, sorted beside one another, and written again."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
IS_MMAPPED = 2
"""A bit of the size that glibc keeps before each piece: it is mapped by itself, and no part of the heap."""
PAGE = resource.getpagesize()
measured = sys.platform == "linux" and "asan" not in os.environ.get("LD_PRELOAD", "")
"""Whether memory is looked after here."""


def prepare() -> None:
    """Have the allocator map every piece of 64 KiB or more alone, and give it back at once."""
    importlib.import_module("numpy.ma")  # which numpy does when it first needs it
    if measured:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 64 << 10)
        libc.mallopt(M_TRIM_THRESHOLD, 128 << 10)
        _use_up_what_is_free(libc)


def _use_up_what_is_free(libc: ctypes.CDLL) -> None:
    """Take every free MiB of the heap that earlier tests left: it is mapped already, so no limit would see its use."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    while piece := libc.malloc(1 << 20):
        if ctypes.c_size_t.from_address(piece - ctypes.sizeof(ctypes.c_size_t)).value & IS_MMAPPED:
            libc.free(piece)
            return


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Refuse memory beyond what an input of this length may take."""
    if not measured:
        yield
        return
    with open("/proc/self/statm", "rb") as statm:
        mapped = int(statm.read().split()[0]) * PAGE
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ALLOWED_BYTES + ALLOWED_TIMES * size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
