"""Merkle trees of double-hashed leaves and sorted pairs, as OpenZeppelin's MerkleProof checks them.

The layout is that of OpenZeppelin's StandardMerkleTree: leaf hashes sorted, the tree as one array
whose root is at 0 and whose node i has the children 2i+1 and 2i+2. Hashing leaves twice keeps an
inner node, which is a hash of 64 bytes, from being presented as a leaf.
"""

from __future__ import annotations

import bisect
import collections
import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import sha3
from eth_abi.abi import encode

from chain.challenges import Leaf
from chain.keccak import keccak

Hash = bytes


def hash_leaf(types: Sequence[str], values: Sequence[object]) -> Hash:
    """keccak256(keccak256(abi.encode(values)))."""
    return keccak(keccak(encode(types, values)))


def hash_cohort_leaf(leaf: Leaf) -> Hash:
    """The hash of a leaf of a cohort, as Challenges computes it; all its fields are words."""
    return keccak(keccak(leaf.index.to_bytes(32, "big") + leaf.id + leaf.record))


def hash_share_leaf(study: int, index: int, amount: int) -> Hash:
    """The hash of a hospital's share, as Escrow computes it."""
    return hash_leaf(["uint256", "uint256", "uint256"], [study, index, amount])


def hash_pair(a: Hash, b: Hash) -> Hash:
    """keccak256 of the smaller and the larger."""
    return keccak(a + b if a < b else b + a)


@dataclass(frozen=True, slots=True)
class MultiProof:
    """Several leaves under one root, as OpenZeppelin's MerkleProof takes them.

    `flags` says of each pairing whether its second member is one of what was computed or the next
    of `proof`. `leaves` are in the order of the tree, which callers must keep.
    """

    leaves: tuple[Hash, ...]
    proof: tuple[Hash, ...]
    flags: tuple[bool, ...]


class MerkleTree:
    """A tree over leaf hashes; memory is about 150 bytes a leaf."""

    def __init__(self, leaves: Sequence[Hash]) -> None:
        """Raises ValueError for no leaves, or for two that are equal."""
        ordered = sorted(leaves)
        if not ordered:
            raise ValueError("a Merkle tree needs at least one leaf: give those of a cohort")
        if any(map(operator.eq, ordered, itertools.islice(ordered, 1, None))):
            raise ValueError("two leaves of a Merkle tree are equal: give each once")
        self._ordered = ordered
        self._tree = _hashed(ordered)

    @property
    def root(self) -> Hash:
        """32 bytes."""
        return self._tree[0]

    def proof(self, leaf: Hash) -> list[Hash]:
        """The siblings from the leaf up. Raises KeyError for a hash that is no leaf."""
        place, siblings = self._place(leaf), []
        while place:
            siblings.append(self._tree[_sibling(place)])
            place = (place - 1) // 2
        return siblings

    def multi_proof(self, leaves: Sequence[Hash]) -> MultiProof:
        """One proof for several leaves. Raises KeyError for no leaf, ValueError for one twice."""
        places = sorted((self._place(leaf) for leaf in leaves), reverse=True)
        if len(set(places)) < len(places):
            raise ValueError("a leaf is asked for twice in one proof: give each once")
        waiting, proof, flags = collections.deque(places), [], []
        while waiting and waiting[0]:
            place = waiting.popleft()
            together = bool(waiting) and waiting[0] == _sibling(place)
            flags.append(together)
            if together:
                waiting.popleft()
            else:
                proof.append(self._tree[_sibling(place)])
            waiting.append((place - 1) // 2)
        if not places:
            proof.append(self.root)
        return MultiProof(tuple(self._tree[x] for x in places), tuple(proof), tuple(flags))

    def _place(self, leaf: Hash) -> int:
        found = bisect.bisect_left(self._ordered, leaf)
        if found == len(self._ordered) or self._ordered[found] != leaf:
            raise KeyError(leaf)
        return len(self._tree) - 1 - found


def verify(root: Hash, leaf: Hash, proof: Sequence[Hash]) -> bool:
    """Whether the leaf stands under the root."""
    for sibling in proof:
        leaf = hash_pair(leaf, sibling)
    return leaf == root


def verify_multi(root: Hash, proven: MultiProof) -> bool:
    """Whether all the leaves stand under the root; a malformed proof proves nothing.

    What is computed must end in one hash, with every leaf and every hash of the proof used.
    """
    leaves, proof, flags = proven.leaves, proven.proof, proven.flags
    if len(leaves) + len(proof) != len(flags) + 1:
        return False
    found, siblings = collections.deque(leaves), iter(proof)
    for flag in flags:
        if not found or (flag and len(found) < 2):
            return False
        first = found.popleft()
        second = found.popleft() if flag else next(siblings, None)
        if second is None:
            return False
        found.append(hash_pair(first, second))
    rest = [*found, *siblings]
    return rest == [root]


def _hashed(ordered: list[Hash]) -> list[Hash]:
    """The whole tree. In slices: within one, no node is another's child."""
    tree = [b""] * (len(ordered) - 1) + ordered[::-1]
    hashed, last = sha3.keccak_256, len(ordered) - 2
    while last >= 0:
        first = (last + 1) // 2
        lefts = itertools.islice(tree, 2 * first + 1, 2 * last + 2, 2)
        rights = itertools.islice(tree, 2 * first + 2, 2 * last + 3, 2)
        # Neither a function nor an index for each pair: a third of the time otherwise.
        tree[first : last + 1] = [
            hashed(a + b if a < b else b + a).digest() for a, b in zip(lefts, rights, strict=True)
        ]
        last = first - 1
    return tree


def _sibling(place: int) -> int:
    return place - 1 if place % 2 == 0 else place + 1
