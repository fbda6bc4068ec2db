"""Work on a stream's pieces by several threads, its results in the stream's order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], pieces: Iterable[T], width: int) -> Iterator[R]:
    """What `work` gives for each piece, in order; `width` at once while the next one is read.

    At most `width` + 1 pieces are under way, so memory is theirs. A single piece starts no thread.
    Raises what the first piece that fails raises, after those under way have ended.
    """
    source = iter(pieces)
    first = deque(islice(source, 2))
    alone = width < 2 or len(first) < 2
    rest = chain(_drained(first), source)
    if alone:
        yield from map(work, rest)
        return
    with ThreadPoolExecutor(width) as pool:
        running: deque[Future[R]] = deque()
        for piece in rest:
            running.append(pool.submit(work, piece))
            if len(running) > width:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _drained(pieces: deque[T]) -> Iterator[T]:
    while pieces:
        yield pieces.popleft()
