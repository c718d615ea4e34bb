"""What the C library does with the memory of arrays that are no longer used, for processes that work through recordings.

Each recording needs a dozen arrays of megabytes. glibc gives such memory back to the system at once and gets it again,
page by page, for the next recording: a tenth of the processor time on clips of ten seconds at 44.1 kHz.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 128 << 20  # at the end of the heap
_HEAP_BYTES = 32 << 20  # the largest array that is taken from the heap; glibc's own upper bound


@cache
def keep_freed_memory() -> None:
    """Keep freed memory for the next recording, up to 128 MiB. Does nothing where the C library is not glibc."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _HEAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
