"""Announcements among the nodes of a private swarm, which has no directory to ask.

Each node keeps a feed: folders `<topic>/<CID>` in its own file system (MFS), which lasts. The
feed's root is what the node's IPNS name stands for: signed by the node, told to the other members
over pubsub, and to a member that comes later when it asks. Listing a topic reads the feeds of this
node and of every connected one; what is new there joins the node's own feed, so that it is known
when its first teller is gone.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from storage.cid import Cid
from storage.errors import MalformedCid, MissingBlock, StorageError, Unreachable
from storage.files import locks_folder
from storage.kubo_control import KuboControl
from storage.kubo_rpc import KuboRpc

MAX_LISTED = 4096  # CIDs that one member can make others read under one topic
ASK_S = 3.0  # for one member's feed: it is one hop away, and small
_ROOT = "/consilium/announced"
_FLUSH_EVERY = 100  # Kubo refuses to hold more than 256 changes back
_LIFETIME = "720h"  # the node signs anew each time that it announces, starts, or is asked
_PUBLISHED = {"allow-offline": "true", "resolve": "false", "ttl": "0s", "lifetime": _LIFETIME}
_TICK_S = 0.1
_NAMES_ONLY = {"resolve-type": "false", "size": "false"}


class Feeds:
    """The feeds as one node sees them."""

    def __init__(self, rpc: KuboRpc, control: KuboControl) -> None:
        self._rpc = rpc
        self._control = control
        self._published = False
        # MFS loses a name that is added while another call flushes: one writer at a time.
        self._writing = FileLock(_lock_of(rpc.url))

    def announce(self, topic: bytes, cids: Iterable[Cid]) -> None:
        """Add to this node's feed and tell all members. Raises Unreachable."""
        missing = set(cids)
        with self._writing:
            while missing:  # a writer on another machine may have come between
                self._add(topic, missing)
                missing -= self._own(topic)
            self.publish()

    def announced(self, topic: bytes) -> list[Cid]:
        """What this node's feed and those of the connected members list. Raises Unreachable."""
        told, _ = self._ask(topic, ASK_S)
        return sorted(told)

    def unheard(self, topic: bytes, wait_s: float) -> list[str]:
        """The connected members that do not tell within `wait_s`; what others do joins the own.

        Among them who has no feed. Raises Unreachable.
        """
        deadline = time.monotonic() + wait_s
        for peer in self._control.peers():  # the first question only makes the node listen
            while not self.heard(peer, wait_s) and time.monotonic() < deadline:
                time.sleep(_TICK_S)
        _, silent = self._ask(topic, wait_s)
        return silent

    def _ask(self, topic: bytes, wait_s: float) -> tuple[set[Cid], list[str]]:
        if not self._published:
            self.publish()
        own = self._own(topic)
        peers = self._control.peers()
        with ThreadPoolExecutor(max_workers=max(1, len(peers))) as pool:
            answers = list(pool.map(lambda peer: self._told(peer, topic, wait_s), peers))
        told = set[Cid]().union(*(answer for answer in answers if answer is not None))
        if new := told - own:
            self.announce(topic, new)
        silent = [peer for peer, answer in zip(peers, answers, strict=True) if answer is None]
        return own | told, silent

    def root(self) -> str:
        """The CID that this node's name must stand for, once it is published. Raises
        Unreachable."""
        return str(self._rpc.call("files/stat", {"arg": _ROOT})["Hash"])

    def heard(self, peer: str, wait_s: float = ASK_S) -> str:
        """The root of a member's feed as this node knows it; empty where it knows none."""
        with suppress(StorageError, KeyError, TypeError):
            name = {"arg": f"/ipns/{peer}", "nocache": "true"}
            found = self._rpc.call("name/resolve", name, timeout_s=wait_s)
            return str(found["Path"]).removeprefix("/ipfs/")
        return ""

    def publish(self) -> None:
        """Tell all members the present root of this node's feed."""
        if not self._published:
            self._rpc.call("files/mkdir", {"arg": _ROOT, "parents": "true"})
        with self._writing:
            root = self._flushed()
            told = ""
            while told != root:  # a writer on another machine may have told an older one after us
                self._rpc.call("name/publish", {"arg": f"/ipfs/{root}", **_PUBLISHED})
                told, root = root, self.root()
        self._published = True

    def _add(self, topic: bytes, cids: Iterable[Cid]) -> None:
        for number, cid in enumerate(cids, start=1):
            folder = {"arg": _path(topic, cid), "parents": "true", "flush": "false"}
            self._rpc.call("files/mkdir", folder)
            if number % _FLUSH_EVERY == 0:
                self._flushed()
        self._flushed()

    def _flushed(self) -> str:
        """The feed's root, with all that was added on the disk."""
        return str(self._rpc.call("files/flush", {"arg": _ROOT})["Cid"])

    def _own(self, topic: bytes) -> set[Cid]:
        try:
            answer = self._rpc.call("files/ls", {"arg": f"{_ROOT}/{topic.hex()}"})
        except MissingBlock:
            return set()
        return _cids(answer.get("Entries") or ())

    def _told(self, peer: str, topic: bytes, wait_s: float) -> set[Cid] | None:
        """What one member's feed lists, nothing where it is malformed; None without an answer."""
        if not (root := self.heard(peer, wait_s)):
            return None
        try:
            listing = {"arg": f"/ipfs/{root}/{topic.hex()}", **_NAMES_ONLY}
            answer = self._rpc.call("ls", listing, timeout_s=wait_s)
            return _cids((answer["Objects"][0]["Links"] or ())[:MAX_LISTED])
        except Unreachable:
            return None
        except (StorageError, AttributeError, KeyError, IndexError, TypeError):
            return set()


def _lock_of(url: str) -> Path:
    """A file of this user on this machine that stands for the node."""
    return locks_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.lock"


def _path(topic: bytes, cid: Cid) -> str:
    return f"{_ROOT}/{topic.hex()}/{cid}"


def _cids(entries: Sequence[dict[str, Any]]) -> set[Cid]:
    found: set[Cid] = set()
    for entry in entries:
        with suppress(MalformedCid):  # a member may list anything: what is no CID hides none
            found.add(Cid.parse(str(entry["Name"])))
    return found
