"""Work in pieces on all cores of one process: NumPy and hashing let other threads run."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def on_all_cores(work: Callable[[Iterator[T]], None], pieces: Iterable[T]) -> None:
    """Run `work` on every core, each over those pieces that the others have not taken.

    A worker keeps its buffers from one piece to the next. Raises what the first that fails raises.
    """
    found = list(pieces)
    waiting = iter(found)  # a list's iterator hands each item to one thread
    if (count := min(cores(), len(found))) < 2:
        work(waiting)
        return
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(work, waiting) for _ in range(count)]
    for one in running:
        one.result()
