"""Reading what is announced under a topic, by whomever: several blocks at once, and not for ever.

Anyone may announce what nobody has, and each such name costs its reader `find_s` and a ping.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from storage.cid import Cid
from storage.errors import Unanswered

if TYPE_CHECKING:
    from storage.store import BlockStore

SEARCH_S = 900.0  # the 4,096 names of one member that nobody has are looked for in less
_AT_ONCE = 64  # who waits for what nobody has does nothing


Found = tuple[Cid, Callable[[], bytes]]


@contextmanager
def each_announced(
    store: BlockStore, topic: bytes, within_s: float = SEARCH_S
) -> Iterator[Iterator[Found]]:
    """Every CID announced under a topic, what the store itself has first, and what reads it.

    The function gives the verified block, or raises what `get_block` does: Unanswered where
    `within_s` was over before. Who leaves waits for what is being looked for just then.
    """
    deadline = time.monotonic() + within_s
    cids = sorted(store.announced(topic), key=lambda cid: not store.has(cid))
    pool = ThreadPoolExecutor(max(1, min(len(cids), _AT_ONCE)))
    try:
        blocks = [(cid, pool.submit(store.get_block, cid)) for cid in cids]
        yield ((cid, partial(_in_time, cid, block, deadline)) for cid, block in blocks)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_time(cid: Cid, block: Future[bytes], deadline: float) -> bytes:
    wait([block], max(0.0, deadline - time.monotonic()))
    if not block.done():
        raise Unanswered(
            f"{cid} was not looked for to the end, for too much is announced beside it: see who "
            "announces what nobody has, have it stopped, then try again"
        )
    return block.result()
