"""The published list of a cohort's leaves: a small record that links to a file of any size.

Its digest is `leafList` in the freeze. Every member of the study can read it: a patient finds where
the data were used, anyone rebuilds the root.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from chain.challenges import Leaf as ChainLeaf
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.types import ConsentId
from federated.canonical import MAX_BYTES
from federated.cohort import MAX_LEAVES, Leaf, decode_leaves, encode_leaves
from federated.errors import CohortError
from storage.cid import Cid
from storage.store import BlockStore, get_record, put_record

_FORMAT = "consilium/leaf-list/1"
_LEAF_SIZE = 69  # two strings of 32 bytes in a list
_SLACK = 1 << 20


def publish_leaves(store: BlockStore, leaves: Sequence[Leaf]) -> bytes:
    """Keep and pin the list; returns the record's digest (32 bytes)."""
    file = store.add_file(io.BytesIO(encode_leaves(leaves)))
    cid = put_record(store, {"count": len(leaves), "format": _FORMAT, "leaves": file})
    store.pin(cid)
    return cid.digest


def read_leaves(store: BlockStore, digest: bytes, *, most: int = MAX_LEAVES) -> tuple[Leaf, ...]:
    """The leaves of a published list. Raises `CohortError` and the store's errors.

    A file of many times the bytes that `most` leaves take is refused before it is read: a few
    blocks can link to each other so often that no memory holds the file.
    """
    record = get_record(store, digest)
    known = isinstance(record, dict) and set(record) == {"count", "format", "leaves"}
    if not known or record["format"] != _FORMAT or not isinstance(record["leaves"], Cid):
        raise CohortError(f"list of leaves {digest.hex()}: the format is not {_FORMAT}")
    limit = min(_SLACK + 2 * _LEAF_SIZE * most, MAX_BYTES)
    data = b"".join(store.cat(record["leaves"], 0, limit + 1))
    if len(data) > limit:
        raise CohortError(f"list of leaves {digest.hex()}: over {limit} bytes; refuse it")
    leaves = decode_leaves(data)
    if len(leaves) != record["count"]:
        raise CohortError(f"list of leaves {digest.hex()}: it does not have as many as it says")
    return leaves


def chain_leaf(leaf: Leaf) -> ChainLeaf:
    """A leaf as the contracts take it."""
    return ChainLeaf(leaf.index, ConsentId(leaf.consent), leaf.record)


def tree_of(leaves: Sequence[Leaf]) -> MerkleTree:
    """The Merkle tree of a cohort."""
    return MerkleTree([hash_cohort_leaf(chain_leaf(leaf)) for leaf in leaves])


def proof_of(tree: MerkleTree, leaf: Leaf) -> list[bytes]:
    """The proof of one leaf of a tree that `tree_of` made."""
    return tree.proof(hash_cohort_leaf(chain_leaf(leaf)))
