"""Asks for a file's blocks before they are wanted, several at once: for a store at a distance."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from storage.cid import Cid, Codec
from storage.store import links
from storage.unixfs import export_file

WIDTH = 8  # blocks under way at once, so megabytes of memory


def read_ahead(root: Cid, get: Callable[[Cid], bytes]) -> Iterator[bytes]:
    """The whole file, as `export_file` gives it; `get` is called from several threads."""
    pool = ThreadPoolExecutor(WIDTH)
    try:
        yield from export_file(root, _Window(pool, get))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Window:
    """Gets blocks for a reader that walks a tree depth first, as `export_file` does."""

    def __init__(self, pool: ThreadPoolExecutor, get: Callable[[Cid], bytes]) -> None:
        self._pool = pool
        self._get = get
        self._coming: deque[Cid] = deque()
        self._asked: deque[tuple[Cid, Future[bytes]]] = deque()

    def __call__(self, cid: Cid) -> bytes:
        if self._asked and self._asked[0][0] == cid:
            block = self._asked.popleft()[1].result()
        else:
            block = self._get(cid)
        if cid.codec is Codec.DAG_PB:
            self._put_first(links(cid, block))
        while self._coming and len(self._asked) < WIDTH:
            following = self._coming.popleft()
            self._asked.append((following, self._pool.submit(self._get, following)))
        return block

    def _put_first(self, children: list[Cid]) -> None:
        """The children of a node come before its siblings, those already asked for included."""
        self._coming.extendleft(reversed([cid for cid, _ in self._asked]))
        for _, future in self._asked:
            future.cancel()
        self._asked.clear()
        self._coming.extendleft(reversed(children))
