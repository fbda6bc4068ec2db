"""`python -m bench.storage_memory BYTES`: what a process grows by, at its peak, while it puts."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench.storage_kit import CONTEXT, MIB, Parties
from storage.artefact import seal
from storage.embedded import EmbeddedStore


class _Stream:
    """So many random bytes that repeat each MiB; none of them is kept."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._piece = os.urandom(MIB)

    def read(self, size: int, /) -> bytes:
        piece = self._piece[: min(size, self._left)]
        self._left -= len(piece)
        return piece


def main(size: int) -> None:
    """Print the bytes between idle and the peak, as the kernel counts resident ones."""
    parties = Parties()
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        store = EmbeddedStore.create(name, durable=False)
        parties.seal(store, b"libraries load what they need")
        idle = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
        seal(
            store,
            _Stream(size),
            kind="file",
            schema=bytes(32),
            context=CONTEXT,
            sender=parties.sender,
            recipients=[reader.recipient for reader in parties.readers],
        )
        print(_resident("VmHWM") - idle)


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{which}:"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
