"""How the process holds memory that nobody uses any more: given back at once where the C library can be told so.

glibc by itself learns to keep freed blocks of up to 32 MB, for each thread apart: visitors who opened the page, fifty
at a time, left 600 MB in the process for good. With fixed limits (mallopt(3)) it is 30 MB, and answers take as long as
before; with limits as low as glibc's first ones they took half as long again, since tensors' pages were made anew.
"""

from __future__ import annotations

import ctypes
import os

LIMITS = {  # of mallopt: number in malloc.h, bytes
    "MALLOC_MMAP_THRESHOLD_": (-3, 1_000_000),  # from which a block is mapped by itself, and unmapped when freed
    "MALLOC_TRIM_THRESHOLD_": (-1, 16_000_000),  # of free memory at a heap's end, from which it is given back
}


def limit_malloc() -> bool:
    """Sets the limits, but for those that the environment sets; whether the C library (glibc) took them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return all(mallopt(number, size) for name, (number, size) in LIMITS.items() if name not in os.environ)
