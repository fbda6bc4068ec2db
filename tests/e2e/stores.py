"""Where the parties of a test keep their blocks: in one folder, or each in a Kubo of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from storage.cid import Cid
from storage.embedded import EmbeddedStore
from storage.kubo import KuboStore
from storage.kubo_members import Answers, Members
from storage.private_swarm import PrivateSwarm
from storage.store import BlockStore

NODES = ("north", "harbor", "valley", "center", "auditor")
BACKENDS = ["embedded", pytest.param("kubo", marks=pytest.mark.engine("kubo"))]
ON_BOTH = pytest.mark.parametrize("backend", BACKENDS, indirect=True)
"""For a module: each of its tests runs over a folder and over a private swarm."""
_FEED = "/consilium/announced"
_ANSWER_S = 15.0  # who answers costs no wait
_TRIP_S = 0.125  # twenty of them are waited for a block that those who answer may have


class Stores(Protocol):
    """The stores of one world, and a hand that reaches into their disks."""

    def open(self, party: str) -> BlockStore:
        """The store as a party sees it."""

    def copies(self, digest: bytes) -> list[Path]:
        """Every file that holds the block with this digest now."""

    def saved(self, folder: Path) -> Stores:
        """What `renew` goes on from; `folder` is where the world was saved."""

    def renew(self, folder: Path) -> Stores:
        """The stores as they were saved, for the copy of the world in `folder`."""


@dataclass(frozen=True)
class OneFolder:
    """All parties share the folder `store` of their world."""

    folder: Path

    def open(self, party: str) -> BlockStore:
        return EmbeddedStore(self.folder / "store")

    def copies(self, digest: bytes) -> list[Path]:
        path = self.folder / "store" / "blocks" / digest.hex()[:2] / digest.hex()
        return [path] if path.is_file() else []

    def saved(self, folder: Path) -> Stores:
        return OneFolder(folder)

    def renew(self, folder: Path) -> Stores:
        EmbeddedStore.create(folder / "store")
        return OneFolder(folder)


class Unhurried(Members):
    """Members on a busy machine: they may be late with an answer, and with a block after it."""

    def ask(self, wait_s: float) -> Answers:
        found = super().ask(max(wait_s, _ANSWER_S))
        return replace(found, slowest_s=max(found.slowest_s, _TRIP_S))


class InStep(KuboStore):
    """A party's node, which lists a topic when all nodes have heard what the others announced.

    In life hours lie between the steps of two parties; in a test it is less than a message takes.
    """

    def __init__(self, swarm: PrivateSwarm, name: str) -> None:
        super().__init__(swarm.nodes[name].api_url, find_s=1.5)  # what is missing never comes
        self._members = Unhurried(self.rpc, self.control)
        self._unhurried = KuboStore(self.url, find_s=_ANSWER_S)
        self._swarm = swarm

    def close(self) -> None:
        self._unhurried.close()
        super().close()

    def hear(self, topic: bytes) -> None:
        self._unhurried.hear(topic)

    def announced(self, topic: bytes) -> list[Cid]:
        self._swarm.await_heard()
        told, _ = self._feeds._ask(topic, _ANSWER_S)
        return sorted(told)


@dataclass(frozen=True)
class Swarm:
    """Each hospital, the center and the auditor have a node; all others use the center's.

    One swarm serves all worlds of a process, one after the other: blocks stay, for no other world
    asks for them, and each world starts with the announcements that were saved with it.
    """

    swarm: PrivateSwarm
    feeds: Mapping[str, str] = field(default_factory=dict)

    def open(self, party: str) -> BlockStore:
        return InStep(self.swarm, party if party in NODES else "center")

    def copies(self, digest: bytes) -> list[Path]:
        name = base64.b32encode(b"\x12\x20" + digest).decode().rstrip("=")
        shard = Path("blocks", name[-3:-1], f"{name}.data")
        files = [node.repo / shard for node in self.swarm.nodes.values()]
        return [path for path in files if path.is_file()]

    def saved(self, folder: Path) -> Stores:
        with self._nodes() as nodes:
            return Swarm(self.swarm, {name: store.feed_root() for name, store in nodes.items()})

    def renew(self, folder: Path) -> Stores:
        with self._nodes() as nodes:
            for name, store in nodes.items():
                store.rpc.call("files/rm", {"arg": _FEED, "recursive": "true", "force": "true"})
                if root := self.feeds.get(name):
                    both: object = [f"/ipfs/{root}", _FEED]
                    store.rpc.call("files/cp", {"arg": both})  # type: ignore[dict-item]
                store.publish_feed()
        return self

    @contextmanager
    def _nodes(self) -> Iterator[dict[str, KuboStore]]:
        nodes = {name: self.swarm.store(name) for name in self.swarm.nodes}
        try:
            yield nodes
        finally:
            for store in nodes.values():
                store.close()


def spoil(
    stores: Stores, digest: bytes, change: Callable[[bytes], bytes | None]
) -> Callable[[], None]:
    """Rewrite every copy of a block behind its store's back, or remove it where `change` gives
    None. Returns what puts all back."""
    before = {path: path.read_bytes() for path in stores.copies(digest)}
    assert before, "nobody has the block"
    for path, block in before.items():
        changed = change(block)
        path.chmod(0o600)  # flatfs writes its files read-only
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)

    def put_back() -> None:
        for path, block in before.items():
            if path.exists():
                path.chmod(0o600)
            path.write_bytes(block)

    return put_back
