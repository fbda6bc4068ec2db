"""Ports for daemons that bind them a moment after they were chosen.

What the system gives to a program that names no port it gives to others, too, until somebody
listens there. So these are out of another range, and locked against others who ask here.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from filelock import FileLock, Timeout

from storage.errors import NodeFailed
from storage.files import locks_folder

_RANGE = range(16384, 32768)  # Linux gives those above by itself, unless it was told otherwise
_TRIES = 200


class Ports:
    """Ports of one owner, kept from everybody else who asks here until they are given back."""

    def __init__(self) -> None:
        self._kept = ExitStack()

    def take(self, host: str, wanted: int = 0) -> int:
        """A port that nobody listens on at this address; the wanted one if it is such a one.

        Raises NodeFailed.
        """
        for port in _tried(wanted):
            lock = FileLock(_lock_of(port), timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout:
                continue
            if _is_free(host, port):
                self._kept.callback(lock.release)
                return port
            lock.release()
        raise NodeFailed(
            f"no port is free on {host}: end programs that listen, or name an address of this "
            "machine"
        )

    def give_back(self) -> None:
        """Let others have them: what is bound stays bound. Idempotent."""
        self._kept.close()


def _tried(wanted: int) -> Iterator[int]:
    if wanted:
        yield wanted
    yield from random.sample(_RANGE, _TRIES)


def _is_free(host: str, port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _lock_of(port: int) -> Path:
    """Stands for the port in the network in which the calling thread is."""
    try:
        network = Path("/proc/thread-self/ns/net").stat().st_ino
    except OSError:
        network = 0  # not Linux: there is one
    return locks_folder() / f"port-{network}-{port}.lock"
