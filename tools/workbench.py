"""What the programs of this folder share.

Standard library only, and in the grammar of older Pythons: the set-up runs before anything is
installed, and tells a Python that is too old so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


class ToolError(Exception):
    """A program cannot go on; the message says what to do."""


def say(program: str, text: str) -> None:
    """Show one line of progress on stderr."""
    print(f"{program}: {text}", file=sys.stderr, flush=True)


def finish(program: str, work: Callable[[], None]) -> int:
    """Do a program's work; its exit status, after one line about what stopped it."""
    try:
        work()
    except ToolError as exc:
        say(program, f"error: {exc}")
        return 1
    except KeyboardInterrupt:
        say(program, "interrupted; run the same command again to go on")
        return 130
    return 0


@contextlib.contextmanager
def alone(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a file's lock; where another process holds it, call `waiting` and wait for its end.

    Child processes that inherit open files hold it, too: should this one be killed, nobody starts
    before they have ended.
    """
    with lock.open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def check_disk(folder: Path, needed_gb: int, advice: str) -> None:
    """Raise ToolError with this advice where a folder's disk has too little room."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < needed_gb:
        raise ToolError(
            f"{folder} has {free_gb:.1f} GB free of the {needed_gb} GB needed. {advice}"
        )
