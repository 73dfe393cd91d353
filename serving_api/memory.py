"""Memory of a process that serves for long."""

import ctypes
import gc

_M_ARENA_MAX = -8
THRESHOLDS = (5_000, 10, 10)


def settle_memory() -> None:
    """What was imported stays: the collector need not look at it again, and what it left free goes back to the system."""
    gc.collect()
    gc.freeze()
    # what is left is small and soon looked through; each connection leaves a cycle whose parser holds more than is counted here
    gc.set_threshold(*THRESHOLDS)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        # threads take turns here: one pool for all of them instead of one each
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.malloc_trim(0)
