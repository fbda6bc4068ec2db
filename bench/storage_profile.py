"""What a verified, decrypted read is made of, step by step on one core: the floor of its claims."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.claims import Rows
from storage.artefact import Opened
from storage.memory import blank
from storage.unixfs import CHUNK_SIZE

RUNS = 7


def profile(plain: Path, opened: Opened) -> Rows:
    """Milliseconds of processor time, the least of some runs; `plain` holds the same bytes."""
    size = opened.payload.plaintext_size
    count, kept = size // CHUNK_SIZE, memoryview(bytearray(size))
    steps = {
        "SHA-256 of the leaves": lambda: _hash(count),
        "decrypting them (AES-256-GCM)": _decrypting(count),
        "copying them out of the page cache": lambda: _read(plain),
        "clearing new memory, large pages": lambda: _touch(blank(size).getbuffer()),
        "all, into kept memory": lambda: opened.payload.read_into(kept),
        "all, into new memory": opened.read,
        "the plain file, into new memory (read_bytes)": plain.read_bytes,
    }
    took = {name: _least(step) for name, step in steps.items()}
    hashed = took["SHA-256 of the leaves"]
    lines = [(name, f"{1000 * s:.1f}", f"{s / hashed:.2f}") for name, s in took.items()]
    columns = ("step", "ms of one core", "over hashing")
    return Rows("what a read is made of", columns, tuple(lines))


def _hash(count: int) -> None:
    leaf = bytes(CHUNK_SIZE)
    for _ in range(count):
        hashlib.sha256(leaf).digest()


def _decrypting(count: int) -> Callable[[], None]:
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    sealed, room = cipher.encrypt(nonce, bytes(CHUNK_SIZE), None), bytearray(CHUNK_SIZE)

    def decrypt() -> None:
        for _ in range(count):
            cipher.decrypt_into(nonce, sealed, None, room)

    return decrypt


def _read(plain: Path) -> None:
    room = bytearray(CHUNK_SIZE)
    with plain.open("rb", buffering=0) as file:
        while file.readinto(room):
            pass


def _touch(new: memoryview) -> None:
    new[:: os.sysconf("SC_PAGESIZE")] = bytes(len(range(0, len(new), os.sysconf("SC_PAGESIZE"))))


def _least(step: Callable[[], object]) -> float:
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        step()
        took.append(time.process_time() - began)
    return min(took)
