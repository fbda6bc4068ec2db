"""Networks of a test's own: each member in a namespace, joined by a switch that can part them.

A thread moves between namespaces; the processes and threads that it starts stay in its own. What
is made goes when the last of them ends. Linux, and root or `tools/own_network.py` before it.
"""

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """Members on one switch, each with the address 10.77.0.<2, 3, …>."""

    def __init__(self, names: Sequence[str]) -> None:
        self._switch = _namespace()
        self._spaces = {name: _namespace() for name in names}
        self.hosts = {name: f"10.77.0.{number}" for number, name in enumerate(names, 2)}
        with _inside(self._switch):
            _ip("link", "add", "switch", "type", "bridge")
            _ip("link", "set", "switch", "up")
        for name in names:
            self._plug_in(name)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """The calling thread is on that member's machine."""
        with _inside(self._spaces[name]):
            yield

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """These are cut off from all others, and from each other: what they send gets lost."""
        try:
            for name in names:
                self._switched("link", "set", f"to-{name}", "nomaster")
            yield
        finally:
            for name in names:
                self._switched("link", "set", f"to-{name}", "master", "switch")

    def close(self) -> None:
        """Give up the namespaces; what runs there keeps its own."""
        for space in (self._switch, *self._spaces.values()):
            os.close(space)

    def _plug_in(self, name: str) -> None:
        space = f"/proc/{os.getpid()}/fd/{self._spaces[name]}"
        port = f"to-{name}"
        cable = ("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        self._switched(*cable)
        self._switched("link", "set", port, "master", "switch")
        self._switched("link", "set", port, "up")
        with self.of(name):
            _ip("link", "set", "lo", "up")
            _ip("address", "add", f"{self.hosts[name]}/24", "dev", "eth0")
            _ip("link", "set", "eth0", "up")

    def _switched(self, *arguments: str) -> None:
        with _inside(self._switch):
            _ip(*arguments)


def _namespace() -> int:
    """A file descriptor of a new one. Skips the test where none may be made."""
    found: list[int] = []

    def make() -> None:
        if _libc.unshare(_NEWNET) == 0:
            found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    if not found:
        pytest.skip("a network of its own needs root, or tools/own_network.py: make test-swarm")
    return found[0]


@contextmanager
def _inside(space: int) -> Iterator[None]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(space)
        yield
    finally:
        _enter(before)
        os.close(before)


def _enter(space: int) -> None:
    if _libc.setns(space, _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no way into the network namespace")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
