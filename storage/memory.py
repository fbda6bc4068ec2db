"""Memory that is worth thinking of: the system takes longer to clear a new MiB than to encrypt it.

Buffers are kept from one segment to the next, and what is read whole is filled in place.
"""

import ctypes
import io
import mmap
import threading
from collections.abc import Callable

_PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

Room = Callable[[], memoryview]
"""Gives a buffer to write into."""


class Kept(threading.local):
    """One buffer of each thread, made when it is first wanted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer: memoryview | None = None

    def room(self) -> memoryview:
        """The same at each call of a thread."""
        if self._buffer is None:
            self._buffer = memoryview(bytearray(self._size))
        return self._buffer


def blank(size: int) -> io.BytesIO:
    """`size` zero bytes: write through `getbuffer`, then take them by `getvalue`.

    Nothing is cleared before it is written to, and then in large pages: the system takes longer to
    hand out and clear 100 MiB in pages of 4 KiB than a core takes to hash them.
    """
    # A bytes object that only this stream holds is written to in place.
    whole = io.BytesIO(bytes(size))
    if size >= _PAGE:
        with whole.getbuffer() as view:
            address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        skipped = -address % _PAGE
        _libc.madvise(address + skipped, size - skipped, mmap.MADV_HUGEPAGE)  # advice: may fail
    return whole
