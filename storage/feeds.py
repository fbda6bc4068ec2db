"""Announcements among the nodes of a private swarm, which has no directory to ask.

Each node keeps a feed: folders `<topic>/<CID>` in its own file system (MFS), which lasts. The
feed's root is what the node's IPNS name stands for: signed by the node, told to the other members
over pubsub, and to a member that comes later when it asks. Listing a topic reads the feeds of this
node and of every connected one; what is new there joins `<topic>/heard` of the node's own feed, up
to a share for each member, so that it is known when its first teller is gone.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from storage.cid import Cid
from storage.errors import MissingBlock, TooSlow
from storage.feed_reading import HEARD, Told, cids, read_feed, relayed, root_of, to_relay
from storage.files import locks_folder
from storage.kubo_control import KuboControl
from storage.kubo_rpc import KuboRpc

ASK_S = 3.0  # for one member's feed: it is one hop away, and small
_LOCK_S = 300.0  # who announces thousands of names on a slow disk takes minutes
_AT_ONCE = 64  # members that are asked at the same time, a thread each
_ROOT = "/consilium/announced"
_FLUSH_EVERY = 100  # Kubo refuses to hold more than 256 changes back
_LIFETIME = "720h"  # the node signs anew each time that it announces, starts, or is asked
_PUBLISHED = {"allow-offline": "true", "resolve": "false", "ttl": "0s", "lifetime": _LIFETIME}


class Feeds:
    """The feeds as one node sees them."""

    def __init__(self, rpc: KuboRpc, control: KuboControl, *, lock_s: float = _LOCK_S) -> None:
        """`lock_s` is how long another process may announce through this node meanwhile."""
        self._rpc = rpc
        self._control = control
        self._lock_s = lock_s
        self._published = False
        # MFS loses a name that is added while another call flushes: one writer at a time.
        self._writing = FileLock(_lock_of(rpc.url))

    def announce(self, topic: bytes, cids: Iterable[Cid]) -> None:
        """Add to this node's feed and tell all members. Raises Unreachable."""
        missing = {str(cid) for cid in cids}
        with self._alone(self._lock_s):
            while missing:  # a writer on another machine may have come between
                self._add(topic.hex(), missing)
                missing -= self._names(topic.hex())
            self.publish()

    def announced(self, topic: bytes) -> list[Cid]:
        """What this node's feed and those of the connected members list. Raises Unreachable."""
        told, _ = self._ask(topic, ASK_S)
        return sorted(told)

    def hear(self, topic: bytes, wait_s: float) -> dict[str, Told]:
        """What each connected member tells within `wait_s`, its own; what is new is kept.

        Raises Unreachable.
        """
        _, told = self._ask(topic, wait_s, patient=True)
        return told

    def _ask(
        self, topic: bytes, wait_s: float, *, patient: bool = False
    ) -> tuple[set[Cid], dict[str, Told]]:
        if not self._published:
            with suppress(TooSlow), self._alone(ASK_S):  # who announces, tells what is there
                self.publish()
        peers = self._control.peers()
        read = partial(read_feed, self._rpc, topic=topic, wait_s=wait_s, patient=patient)
        with ThreadPoolExecutor(max_workers=max(1, min(len(peers), _AT_ONCE))) as pool:
            told = dict(zip(peers, pool.map(read, peers), strict=True))
        kept = self._keep(topic, told)
        return kept.union(*(feed.all for feed in told.values())), told

    def _keep(self, topic: bytes, told: Mapping[str, Told]) -> set[Cid]:
        """What this node's feed lists, with its share of what others told."""
        own = set(cids(self._names(topic.hex())))
        folder = f"{topic.hex()}/{HEARD}"
        kept = self._names(folder)
        if to_relay(told, own, kept):
            # What is not kept now is told again when the topic is next listed.
            with suppress(TooSlow), self._alone(ASK_S):
                kept = self._names(folder)
                self._add(folder, to_relay(told, own, kept))
                self.publish()
        return own.union(relayed(kept).values())

    def root(self) -> str:
        """The CID that this node's name must stand for, once it is published. Raises
        Unreachable."""
        return str(self._rpc.call("files/stat", {"arg": _ROOT})["Hash"])

    def heard(self, peer: str, wait_s: float = ASK_S) -> str:
        """The root of a member's feed as this node knows it; empty where it knows none."""
        return root_of(self._rpc, peer, wait_s)

    def publish(self) -> None:
        """Tell all members the present root of this node's feed. Raises Unreachable."""
        if not self._published:
            self._rpc.call("files/mkdir", {"arg": _ROOT, "parents": "true"})
        with self._alone(self._lock_s):
            root = self._flushed()
            told = ""
            while told != root:  # a writer on another machine may have told an older one after us
                self._rpc.call("name/publish", {"arg": f"/ipfs/{root}", **_PUBLISHED})
                told, root = root, self.root()
        self._published = True

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """As the one writer of this machine. Raises TooSlow where another one does not end."""
        try:
            held = self._writing.acquire(timeout=wait_s)
        except Timeout as exc:
            raise TooSlow(
                f"another process has announced through the IPFS node at {self._rpc.url} for "
                f"{wait_s:.0f} s: look whether it is halted (Ctrl-Z), have it go on or end it, "
                "then try again"
            ) from exc
        with held:
            yield

    def _add(self, folder: str, names: Iterable[str]) -> None:
        for number, name in enumerate(names, start=1):
            made = {"arg": f"{_ROOT}/{folder}/{name}", "parents": "true", "flush": "false"}
            self._rpc.call("files/mkdir", made)
            if number % _FLUSH_EVERY == 0:
                self._flushed()
        self._flushed()

    def _flushed(self) -> str:
        """The feed's root, with all that was added on the disk."""
        return str(self._rpc.call("files/flush", {"arg": _ROOT})["Cid"])

    def _names(self, folder: str) -> set[str]:
        """What this node's feed lists in a folder."""
        try:
            answer = self._rpc.call("files/ls", {"arg": f"{_ROOT}/{folder}"})
        except MissingBlock:
            return set()
        return {str(entry["Name"]) for entry in answer.get("Entries") or ()}


def _lock_of(url: str) -> Path:
    """A file of this user on this machine that stands for the node."""
    return locks_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.lock"
