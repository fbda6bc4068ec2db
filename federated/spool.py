"""A file without a name: what is too large for memory lies there while it is worked on.

An update betrays a little of its hospital's patients. So the file has mode 600, no name from its
first byte on, and is gone with the process, however that ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from pathlib import Path

from federated.errors import AggregationError


class Spool:
    """Bytes by offset, in a folder that should be on a disk; without one, in the system's own."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises `AggregationError` where the folder takes no file."""
        self._folder = folder
        self.size = 0
        self._growing = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        except OSError as exc:
            raise self._refused(exc) from exc
        weakref.finalize(self, self._file.close)

    def append(self, data: bytes | memoryview) -> None:
        """Add at the end."""
        self.write(self.size, data)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put at an offset, from any thread. Raises `AggregationError` where the disk is full."""
        view = memoryview(data).cast("B")
        end = offset + len(view)
        try:
            while view:
                count = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[count:], offset + count
        except OSError as exc:
            raise self._refused(exc) from exc
        with self._growing:
            self.size = max(self.size, end)

    def read(self, offset: int, size: int) -> bytearray:
        """So many bytes, fewer at the end; several threads may read at once."""
        data = bytearray(max(0, min(size, self.size - offset)))
        view = memoryview(data)
        while view:
            if not (count := os.preadv(self._file.fileno(), [view], offset)):
                raise AggregationError("a temporary file was cut short; aggregate again")
            view, offset = view[count:], offset + count
        return data

    def whole(self) -> mmap.mmap | bytes:
        """All of it, mapped: what is read is the system's to keep or drop, as of any file."""
        if not self.size:
            return b""
        return mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)

    def _refused(self, exc: OSError) -> AggregationError:
        where = self._folder or tempfile.gettempdir()
        return AggregationError(
            f"{where}: updates cannot be kept there while they are judged ({exc.strerror}): make "
            "room, then aggregate again"
        )
