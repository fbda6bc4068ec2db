"""Where the hospitals of a simulation train: in this process, in several, or on Ray.

All do the same work and hand its results over in the order of what was asked, so the states of a
study do not depend on where it ran. A bounded number of pieces is under way at once: what waits in
memory does not grow with the number of hospitals.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2  # pieces under way for each worker: one in work, one that waits


class Workers(Protocol):
    """Does pieces of work; a context manager, which ends what it started."""

    def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
        """`work` of each piece, in their order. `work` is a function of a module."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Here:
    """One piece after the other, in this process."""

    def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
        """See Workers."""
        return map(work, pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Processes:
    """A pool of processes on this machine, one thread each."""

    def __init__(self, count: int | None = None) -> None:
        """`count`: as many as the machine has cores, unless it is said."""
        self._count = count or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
        """See Workers. What a piece raises is raised here."""
        pool = self._pool
        if pool is None:
            raise RuntimeError("the processes are not started: use `with`")

        def begin(piece: T) -> Future[R]:
            return pool.submit(work, piece)

        return in_order(begin, Future[R].result, pieces, AHEAD * self._count)

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(self._count, mp_context=get_context("spawn"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def in_order(
    begin: Callable[[T], Any], end: Callable[[Any], R], pieces: Iterable[T], most: int
) -> Iterator[R]:
    """Results in the pieces' order, with at most so many begun and not yet handed over."""
    begun: deque[Any] = deque()
    for piece in pieces:
        begun.append(begin(piece))
        if len(begun) == most:
            yield end(begun.popleft())
    while begun:
        yield end(begun.popleft())
