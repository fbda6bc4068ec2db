"""Backends as the conformance suite sees them: a store, and a hand that reaches into its disk."""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from storage import BlockStore, Cid, EmbeddedStore
from storage.cluster_swarm import ClusterSwarm
from storage.errors import Unanswered, Unreachable
from storage.kubo import KuboStore
from storage.kubo_node import KuboNode
from storage.ports import Ports
from storage.private_swarm import PrivateSwarm

T = TypeVar("T")
SLOW_S = 600.0
"""For what takes moments on an idle machine: only a hang is to end."""
_PORTS = Ports()
LONG = pytest.mark.skipif(
    os.environ.get("CONSILIUM_SWARM") != "1", reason="minutes: `make test-swarm` runs it"
)


@dataclass(frozen=True)
class Backend:
    """A store, where it says that it is, the file in which it keeps a block, and a way to make it
    forget an announcement, which no member could."""

    name: str
    store: BlockStore
    where: str
    block_file: Callable[[Cid], Path]
    silence: Callable[[bytes, Cid], None]
    copies_of: Callable[[Cid], list[Path]]
    """Every file of the block, at all members who may give it."""


def embedded(path: Path) -> Backend:
    store = EmbeddedStore.create(path)

    def block_file(cid: Cid) -> Path:
        name = cid.digest.hex()
        return path / "blocks" / name[:2] / name

    def silence(topic: bytes, cid: Cid) -> None:
        (path / "topics" / topic.hex() / str(cid)).unlink()

    def copies_of(cid: Cid) -> list[Path]:
        return [block_file(cid)]

    return Backend("embedded", store, str(path), block_file, silence, copies_of)


def kubo_file(node: KuboNode, cid: Cid) -> Path:
    """Where a node keeps a block."""
    name = base64.b32encode(b"\x12\x20" + cid.digest).decode().rstrip("=")
    return node.repo / "blocks" / name[-3:-1] / f"{name}.data"


@contextmanager
def kubo(node: KuboNode, find_s: float = 2.0) -> Iterator[Backend]:
    """A node as a store; `find_s` is short, for in a test nothing missing ever comes."""
    with node.store(find_s=find_s) as store:
        yield _of_kubo("kubo", store, node, [node])


@contextmanager
def cluster(swarm: ClusterSwarm, name: str, find_s: float = 2.0) -> Iterator[Backend]:
    """A member of a cluster of three, who waits for all three copies."""
    with swarm.store(name, find_s=find_s, copies=3) as store:
        yield _of_kubo("cluster", store, swarm.nodes[name], list(swarm.nodes.values()))


def _of_kubo(name: str, store: KuboStore, node: KuboNode, members: list[KuboNode]) -> Backend:
    def silence(topic: bytes, cid: Cid) -> None:
        listed = {"arg": f"/consilium/announced/{topic.hex()}/{cid}", "recursive": "true"}
        store.rpc.call("files/rm", listed)
        store.publish_feed()

    def copies_of(cid: Cid) -> list[Path]:
        return [path for member in members if (path := kubo_file(member, cid)).exists()]

    return Backend(name, store, node.api_url, lambda cid: kubo_file(node, cid), silence, copies_of)


def free_port() -> int:
    """A port of this process until it ends, for who listens there a moment later."""
    return _PORTS.take("127.0.0.1")


def once_all_answer(store: KuboStore, ask: Callable[[], T]) -> T:
    """What asking gives or raises; with more patience where a member was too slow for an answer."""
    for find_s in (store.find_s, 10.0):
        store.find_s = find_s
        with suppress(Unanswered, Unreachable):
            return ask()
    store.find_s = 120.0
    return ask()


def eventually(holds: Callable[[], bool], timeout_s: float = SLOW_S) -> bool:
    """Whether it becomes true: members hear of each other's announcements in moments."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def paused(swarm: PrivateSwarm, name: str) -> Iterator[str]:
    """A member's node stands still, and its connections stand; its peer id."""
    node = swarm.nodes[name]
    peer = node.peer_id
    os.kill(node.pid, signal.SIGSTOP)
    try:
        yield peer
    finally:
        os.kill(node.pid, signal.SIGCONT)
