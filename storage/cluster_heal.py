"""A block that rotted on a member's disk is replaced by another member's copy.

Kubo gives what its disk gives, asks nobody else while it has something, and removes nothing that is
pinned: so the pins that hold the block are lifted, the block removed, fetched and pinned again,
also where that fails: what no pin holds is collected next. If this process dies between, the
cluster finds the root unexpectedly unpinned, and pins it.
"""

import re
from collections.abc import Callable
from contextlib import suppress

from storage.cid import Cid
from storage.cluster_rpc import PINNED, SILENT, ClusterRpc
from storage.errors import CorruptBlock, StorageError, Unanswered, Unreachable
from storage.kubo import KuboStore

_MOST_PINS = 100  # roots that hold one block: a leaf that many files share
_INDIRECT = re.compile(r"indirect through (\S+)")

Fetch = Callable[[Cid], bytes]


def healed(store: KuboStore, cluster: ClusterRpc, cid: Cid, fetch: Fetch) -> bytes:
    """A block that was corrupt at its node when it was read. `fetch` reads and verifies it.

    Raises CorruptBlock; of Unanswered where a member may have it whole and does not answer.
    """
    try:
        return fetch(cid)  # another thread healed it, or memory was at fault
    except CorruptBlock as exc:
        corrupt = exc
    try:
        block = _replaced(store, cluster, cid, fetch)
    except StorageError as exc:
        raise CorruptBlock(
            f"{cid} at the IPFS node at {store.url} is corrupt, and no other member gave it within "
            f"{store.find_s:.0f} s ({type(exc).__name__}): start the members that are missing, or "
            "ask who made it to put it again"
        ) from exc
    if block is None:
        raise corrupt
    return block


def _replaced(store: KuboStore, cluster: ClusterRpc, cid: Cid, fetch: Fetch) -> bytes | None:
    """None, and all as it was, where nobody says that they have it. Raises StorageError."""
    lifted: list[str] = []
    try:
        while (roots := _pins_over(store, cid)) and len(lifted) < _MOST_PINS:
            if not all(_held_elsewhere(cluster, root) for root in roots):
                return None
            for root in roots:
                lifted.append(root)
                store.control.unpin(root)
        store.forget([cid])
        return fetch(cid)
    finally:
        _pin_again(store, cluster, cid, lifted)


def _pins_over(store: KuboStore, cid: Cid) -> list[str]:
    """A root through which the node keeps a block, if there is any. Raises Unreachable."""
    try:
        found = store.rpc.call("pin/ls", {"arg": str(cid), "type": "all"})
    except Unreachable as exc:
        if "not pinned" in str(exc):
            return []
        raise
    kinds = {text: str(item.get("Type")) for text, item in (found.get("Keys") or {}).items()}
    return [match[1] if (match := _INDIRECT.match(kind)) else text for text, kind in kinds.items()]


def _held_elsewhere(cluster: ClusterRpc, root: str) -> bool:
    """Raises Unanswered where nobody says so, and somebody who is to hold a copy says nothing."""
    try:
        own, copies = str(cluster.identity().get("id")), cluster.copies(root)
    except Unreachable as exc:
        raise Unanswered(f"who holds {root} is not known: {exc}") from exc
    others = [copy for copy in copies if copy.peer_id != own]
    if any(copy.state == PINNED for copy in others):
        return True
    if silent := [copy.peer for copy in others if copy.state == SILENT]:
        raise Unanswered(
            f"{', '.join(silent)} did not answer the cluster peer at {cluster.url} whether they "
            f"hold {root}: start their peers and nodes, then read it again"
        )
    return False


def _pin_again(store: KuboStore, cluster: ClusterRpc, cid: Cid, roots: list[str]) -> None:
    """At the node, if the block is there; else by the cluster, which waits until a member gives it.

    What the cluster does not hear it finds by itself, later. What it was told meanwhile to keep no
    longer would stay at this node alone, though its tombstone says that it is erased.
    """
    with suppress(StorageError):
        if roots and store.has(cid):
            store.control.pin(roots, store.find_s)
            for root in roots:
                if not cluster.copies(root):
                    store.control.unpin(root)
            return
    for root in roots:
        with suppress(StorageError):
            cluster.recover(root)
