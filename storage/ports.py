"""Ports for daemons that bind them a moment after they were chosen.

What the system gives to a program that names no port it gives to others, too, until somebody
listens there. So these are out of another range, and locked against others who ask here.
"""

import errno
import json
import random
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

from filelock import FileLock, Timeout

from storage.errors import BadConfiguration, NodeFailed
from storage.files import locks_folder

_RANGE = range(16384, 32768)  # Linux gives those above by itself, unless it was told otherwise
_TRIES = 200
_TICK_S = 0.1


class Ports:
    """Ports of one owner, kept from everybody else who asks here until they are given back."""

    def __init__(self) -> None:
        self._kept = ExitStack()

    def take(self, host: str) -> int:
        """A port that nobody listens on at this address. Raises NodeFailed.

        One that nobody was given here before, where there is such: its owner may have written it
        down, to come back to it.
        """
        drawn = random.sample(_RANGE, _TRIES)
        for port in sorted(drawn, key=lambda port: _lock_of(host, port).exists()):
            if not self._refused(host, port):
                return port
        raise NodeFailed(
            f"no port is free on {host}: end programs that listen, or name an address of this "
            "machine"
        )

    def claim(self, host: str, port: int, wait_s: float) -> None:
        """This port and no other. Raises NodeFailed, which says who has it after that time.

        Daemons of a process that was killed outlive it by moments.
        """
        deadline = time.monotonic() + wait_s
        while why := self._refused(host, port):
            if time.monotonic() >= deadline:
                raise NodeFailed(f"port {port} at {host} cannot be had: {why}")
            time.sleep(_TICK_S)

    def give_back(self) -> None:
        """Let others have them: what is bound stays bound. Idempotent."""
        self._kept.close()

    def _refused(self, host: str, port: int) -> str:
        """Why it cannot be had; empty once it is kept."""
        lock = FileLock(_lock_of(host, port), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return "another node of this account on this machine has it"
        if why := _occupied(host, port):
            lock.release()
            return why
        self._kept.callback(lock.release)
        return ""


def read_ports(path: Path) -> dict[str, list[int]]:
    """Recorded ports by member's name, 0 for any; none where there is no file.

    People edit it. Raises BadConfiguration.
    """
    try:
        found = json.loads(path.read_bytes())
        if not all(_is_port(port) for ports in found.values() for port in ports):
            raise ValueError
    except FileNotFoundError:
        return {}
    except (AttributeError, OSError, TypeError, ValueError) as exc:
        raise BadConfiguration(
            f"{path} is no record of ports: it holds a list of them for each member's name, "
            "numbers from 0 (any that is free) to 65535; correct it, or remove it to have others "
            "chosen"
        ) from exc
    return {str(name): list(ports) for name, ports in found.items()}


def _is_port(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 16


def _occupied(host: str, port: int) -> str:
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return "another program listens there"
            return f"the system refuses it ({exc.strerror})"
    return ""


def _lock_of(host: str, port: int) -> Path:
    """Stands for the port at that address in the network in which the calling thread is."""
    try:
        network = Path("/proc/thread-self/ns/net").stat().st_ino
    except OSError:
        network = 0  # not Linux: there is one
    return locks_folder() / f"port-{network}-{host}-{port}.lock"
