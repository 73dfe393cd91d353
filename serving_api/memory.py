"""Memory of a process that serves for long."""

import ctypes
import gc

_M_ARENA_MAX = -8


def settle_memory() -> None:
    """What was imported stays: the collector need not look at it again, and what it left free goes back to the system."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        # threads take turns here: one pool for all of them instead of one each
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.malloc_trim(0)
