"""All leaves of a file out of one call to a node, each verified; threads take turns at the socket.

While one reads the next leaf, the others hash and use theirs. The node is not trusted with more
than speed: where the call fails, or a leaf is not the one that was expected, that leaf is asked for
by its CID, and what is wrong is said by that.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from http.client import HTTPException

from storage.cid import Cid
from storage.cores import on_all_cores
from storage.errors import StorageError
from storage.kubo_http import Body
from storage.kubo_rpc import KuboRpc
from storage.store import MAX_BLOCK_SIZE, TakeLeaf, put_into

TRANSFER_S = 3600.0


def each_leaf(
    rpc: KuboRpc,
    file: Cid,
    leaves: Sequence[Cid],
    take: TakeLeaf,
    get: Callable[[Cid], bytes],
    wait_s: float,
) -> None:
    """See BlockStore.each_leaf. `wait_s` is for each leaf; then `get` is asked, for all that
    follow too. Raises what `get` and `take` do."""
    turn = threading.Lock()
    with _Stream(rpc, file, wait_s) as stream:

        def work(numbered: Iterator[tuple[int, Cid]]) -> None:
            buffer = memoryview(bytearray(MAX_BLOCK_SIZE))
            while True:
                with turn:  # number and bytes belong together
                    number, leaf = next(numbered, (-1, file))
                    if number < 0:
                        return
                    block = stream.next_into(buffer)
                if Cid.of(leaf.codec, block) != leaf:
                    block = put_into(buffer, get(leaf))
                take(number, block)

        on_all_cores(work, enumerate(leaves))


class _Stream:
    """A file's bytes; none any more once something was wrong."""

    def __init__(self, rpc: KuboRpc, file: Cid, wait_s: float) -> None:
        self._wait_s = wait_s
        self._open = ExitStack()
        self._body: Body | None = None
        call = rpc.stream("cat", {"arg": str(file)}, answer_s=wait_s, timeout_s=TRANSFER_S)
        try:
            self._body = self._open.enter_context(call)
        except StorageError:
            return  # the first leaf's own call says why

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def next_into(self, buffer: memoryview) -> memoryview:
        """The bytes of the next leaf, as far as they came in time."""
        if self._body is None:
            return buffer[:0]
        try:
            return buffer[: self._body.fill(buffer, self._wait_s)]
        except (OSError, HTTPException):
            self._body = None
            return buffer[:0]
