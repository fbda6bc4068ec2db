"""An upload that broke off goes on: what the node has already is not sent again.

Which blocks those are the node says, so it does not matter which process sent them.
"""

import io
import random
import time
from collections.abc import Iterator
from typing import IO, TypeGuard

from storage.cid import Cid, Codec
from storage.errors import MissingBlock, Unreachable
from storage.kubo import KuboStore
from storage.store import MAX_BLOCK_SIZE
from storage.unixfs import CHUNK_SIZE, Readable, import_file

_FIRST_S = 0.01
_LONGEST_S = 1.0
_GROWTH = 1.1  # what is done meanwhile is seen a twentieth later than it could be


def has_begun(stream: Readable, store: KuboStore) -> TypeGuard[IO[bytes]]:
    """Whether the node has the first of a file's several leaves.

    Of a stream that is made as it is read, under a new key each time, nothing is there.
    """
    if not isinstance(stream, io.IOBase) or not stream.seekable():
        return False
    start = stream.tell()
    head = stream.read(CHUNK_SIZE + 1)
    stream.seek(start)
    try:
        return len(head) > CHUNK_SIZE and store.has(Cid.of(Codec.RAW, head[:CHUNK_SIZE]))
    except Unreachable:
        return False  # it is waited for as ever


def resume(store: KuboStore, file: IO[bytes], wait_s: float) -> Cid:
    """Send the blocks of a file that its node lacks, from where it stands on; the root's CID.

    A node that is away is waited for. Raises Unreachable.
    """
    start, deadline, waits = file.tell(), time.monotonic() + wait_s, pauses()

    def put_missing(cid: Cid, block: bytes | memoryview) -> None:
        if _stored(store, cid) != block:
            store.put_block(cid.codec, bytes(block))

    while True:
        file.seek(start)
        try:
            return import_file(file, put_missing)
        except Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(next(waits))


def pauses() -> Iterator[float]:
    """Seconds between tries, longer and longer; drawn, for all that wait would ask in step."""
    longest = _FIRST_S
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311
        longest = min(_GROWTH * longest, _LONGEST_S)


def _stored(store: KuboStore, cid: Cid) -> bytes:
    """Read, not asked for: a block that a crash cut short must not stay."""
    try:
        asked = {"arg": str(cid), "offline": "true"}
        return store.rpc.read("block/get", asked, limit=MAX_BLOCK_SIZE)
    except MissingBlock:
        return b""
