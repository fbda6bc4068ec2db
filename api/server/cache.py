"""What never changes is kept: blocks by their CID, cohorts by their root. All caches are bounded.

Nothing that a node says about now is ever believed later, so a reorganisation needs no care.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chain.merkle import MerkleTree
from chain.round_events import Frozen
from chain.rounds import Rounds
from chain.types import BlockNumber, ConsentId, RoundNumber, StudyId
from federated.cohort import Leaf
from federated.judging import leaves_of
from federated.leaf_list import proof_of, tree_of
from storage.cid import Cid, Codec
from storage.store import BlockStore, TakeLeaf
from storage.unixfs import Readable

K = TypeVar("K")
V = TypeVar("V")
Place = tuple[StudyId, RoundNumber]


class Lru(Generic[K, V]):
    """Values by key up to a total weight; the one unused longest goes first. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value, if it is held."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Hold a value, unless it alone outweighs all."""
        with self._lock:
            if key in self._held or weight > self._most:
                return
            self._held[key] = (value, weight)
            self._weight += weight
            while self._weight > self._most:
                _, (_, lost) = self._held.popitem(last=False)
                self._weight -= lost

    @property
    def weight(self) -> int:
        """Of all that is held."""
        return self._weight


class CachedStore:
    """A `BlockStore` that keeps records (dag-cbor blocks), which are read again and again."""

    def __init__(self, store: BlockStore, most_bytes: int) -> None:
        self._store = store
        self._blocks: Lru[Cid, bytes] = Lru(most_bytes)

    def get_block(self, cid: Cid) -> bytes:
        """See BlockStore."""
        found = self._blocks.get(cid)
        if found is None:
            found = self._store.get_block(cid)
            if cid.codec is Codec.DAG_CBOR:
                self._blocks.put(cid, found, len(found))
        return found

    def each_leaf(self, file: Cid, leaves: Sequence[Cid], take: TakeLeaf) -> None:
        """See BlockStore."""
        self._store.each_leaf(file, leaves, take)

    def put_block(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore."""
        return self._store.put_block(codec, block)

    def put_pinned(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore."""
        return self._store.put_pinned(codec, block)

    def has(self, cid: Cid) -> bool:
        """See BlockStore."""
        return self._store.has(cid)

    def add_file(self, stream: Readable) -> Cid:
        """See BlockStore."""
        return self._store.add_file(stream)

    def cat(self, cid: Cid, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlockStore."""
        return self._store.cat(cid, offset, length)

    def pin(self, *cids: Cid) -> None:
        """See BlockStore."""
        self._store.pin(*cids)

    def unpin(self, cid: Cid) -> None:
        """See BlockStore."""
        self._store.unpin(cid)

    def pins(self) -> list[Cid]:
        """See BlockStore."""
        return self._store.pins()

    def announce(self, topic: bytes, *cids: Cid) -> None:
        """See BlockStore."""
        self._store.announce(topic, *cids)

    def announced(self, topic: bytes) -> list[Cid]:
        """See BlockStore."""
        return self._store.announced(topic)

    def hear(self, topic: bytes) -> None:
        """See BlockStore."""
        self._store.hear(topic)


@dataclass(frozen=True, slots=True)
class KnownCohort:
    """A published list that gives the frozen root; ids strictly increase in it."""

    leaves: tuple[Leaf, ...]
    tree: MerkleTree

    def find(self, consent: ConsentId) -> tuple[Leaf, list[bytes]] | None:
        """An id's leaf and its proof."""
        place = bisect_left(self.leaves, consent, key=lambda leaf: leaf.consent)
        if place == len(self.leaves) or self.leaves[place].consent != consent:
            return None
        leaf = self.leaves[place]
        return leaf, proof_of(self.tree, leaf)


class Cohorts:
    """Cohorts by root and list, verified once."""

    def __init__(self, most_leaves: int) -> None:
        self._known: Lru[tuple[bytes, bytes], KnownCohort] = Lru(most_leaves)

    def of(self, store: BlockStore, event: Frozen) -> KnownCohort | None:
        """The cohort; None where nobody has a list that gives its root. Raises store errors."""
        key = (event.freeze.root, event.freeze.leaf_list)
        if (found := self._known.get(key)) is not None:
            return found
        leaves = leaves_of(store, event)
        if leaves is None or len(leaves) != event.freeze.n:
            return None
        found = KnownCohort(leaves, tree_of(leaves))
        if found.tree.root != event.freeze.root:
            return None
        self._known.put(key, found, len(leaves))
        return found


_SETTLED = 64  # blocks that are read again, for a chain may replace its last ones


class States:
    """Where a finalized state may be: hints, which the reader compares with the round itself.

    As many as the chain has finalized rounds, each of which cost its center gas.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, set[Place]] = {}
        self._read_to = BlockNumber(0)
        self._lock = threading.Lock()

    def find(self, rounds: Rounds, state: bytes, block: BlockNumber) -> list[Place]:
        """Studies and rounds that ended with this state, by some block's word."""
        with self._lock:
            start = BlockNumber(max(0, self._read_to - _SETTLED))
            for event in rounds.finalizations(from_block=start, to_block=block):
                self._places.setdefault(event.state, set()).add((event.study, event.round))
            self._read_to = max(self._read_to, block)
            return sorted(self._places.get(state, ()))
