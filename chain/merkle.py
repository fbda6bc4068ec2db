"""Merkle trees of double-hashed leaves and sorted pairs, as OpenZeppelin's MerkleProof checks them.

The layout is that of OpenZeppelin's StandardMerkleTree: leaf hashes sorted, the tree as one array
whose root is at 0 and whose node i has the children 2i+1 and 2i+2. Hashing leaves twice keeps an
inner node, which is a hash of 64 bytes, from being presented as a leaf.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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


class MerkleTree:
    """A tree over leaf hashes; memory is 64 bytes or so a leaf."""

    def __init__(self, leaves: Sequence[Hash]) -> None:
        """Raises ValueError for no leaves, or for two that are equal."""
        ordered = sorted(leaves)
        if not ordered:
            raise ValueError("a Merkle tree needs at least one leaf")
        if any(a == b for a, b in itertools.pairwise(ordered)):
            raise ValueError("two leaves of a Merkle tree are equal")
        count = len(ordered)
        tree = [b""] * (count - 1) + ordered[::-1]
        for node in range(count - 2, -1, -1):
            tree[node] = hash_pair(tree[2 * node + 1], tree[2 * node + 2])
        self._tree = tree
        self._place = {leaf: place for place, leaf in enumerate(tree[count - 1 :], count - 1)}

    @property
    def root(self) -> Hash:
        """32 bytes."""
        return self._tree[0]

    def proof(self, leaf: Hash) -> list[Hash]:
        """The siblings from the leaf up. Raises KeyError for a hash that is no leaf."""
        place, siblings = self._place[leaf], []
        while place:
            siblings.append(self._tree[place - 1 if place % 2 == 0 else place + 1])
            place = (place - 1) // 2
        return siblings


def verify(root: Hash, leaf: Hash, proof: Sequence[Hash]) -> bool:
    """Whether the leaf stands under the root."""
    for sibling in proof:
        leaf = hash_pair(leaf, sibling)
    return leaf == root
