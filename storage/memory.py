"""Memory for what is read whole: filled in place by threads, then given away uncopied."""

import ctypes
import io
import mmap

_PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


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
