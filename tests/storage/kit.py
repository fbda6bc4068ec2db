"""Backends as the conformance suite sees them: a store, and a hand that reaches into its disk."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage import BlockStore, Cid, EmbeddedStore
from storage.kubo_node import KuboNode


@dataclass(frozen=True)
class Backend:
    """A store, where it says that it is, the file in which it keeps a block, and a way to make it
    forget an announcement, which no member could."""

    name: str
    store: BlockStore
    where: str
    block_file: Callable[[Cid], Path]
    silence: Callable[[bytes, Cid], None]


def embedded(path: Path) -> Backend:
    store = EmbeddedStore.create(path)

    def block_file(cid: Cid) -> Path:
        name = cid.digest.hex()
        return path / "blocks" / name[:2] / name

    def silence(topic: bytes, cid: Cid) -> None:
        (path / "topics" / topic.hex() / str(cid)).unlink()

    return Backend("embedded", store, str(path), block_file, silence)


@contextmanager
def kubo(node: KuboNode, find_s: float = 2.0) -> Iterator[Backend]:
    """A node as a store; `find_s` is short, for in a test nothing missing ever comes."""

    def block_file(cid: Cid) -> Path:
        name = base64.b32encode(b"\x12\x20" + cid.digest).decode().rstrip("=")
        return node.repo / "blocks" / name[-3:-1] / f"{name}.data"

    with node.store(find_s=find_s) as store:

        def silence(topic: bytes, cid: Cid) -> None:
            listed = {"arg": f"/consilium/announced/{topic.hex()}/{cid}", "recursive": "true"}
            store.rpc.call("files/rm", listed)
            store.publish_feed()

        yield Backend("kubo", store, node.api_url, block_file, silence)


def eventually(holds: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    """Whether it becomes true: members hear of each other's announcements in moments."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
