"""The trees that contracts check."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.challenges import Leaf
from chain.merkle import (
    MerkleTree,
    hash_cohort_leaf,
    hash_leaf,
    hash_pair,
    hash_share_leaf,
    verify,
)
from chain.types import ConsentId
from tests.chain.kit import Chain

# The example in the documentation of OpenZeppelin's merkle-tree package.
ACCOUNTS = [("0x" + "11" * 20, 5 * 10**18), ("0x" + "22" * 20, 25 * 10**17)]
ROOT = "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"
PROOF = "b92c48e9d7abe27fd8dfd6b5dfdbfb1c9a463f80c712b66f3a5180a090cccafc"


def hashes(count: int) -> list[bytes]:
    return [hash_share_leaf(1, index, 5) for index in range(count)]


def test_root_and_proof_are_those_of_standard_merkle_tree() -> None:
    leaves = [hash_leaf(["address", "uint256"], account) for account in ACCOUNTS]
    tree = MerkleTree(leaves)
    assert tree.root.hex() == ROOT
    assert [sibling.hex() for sibling in tree.proof(leaves[0])] == [PROOF]


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 70))
def test_every_leaf_of_every_size_has_a_proof(count: int) -> None:
    leaves = hashes(count)
    tree = MerkleTree(leaves)
    assert all(verify(tree.root, leaf, tree.proof(leaf)) for leaf in leaves)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 40), seed=st.integers())
def test_the_root_does_not_depend_on_the_order_of_leaves(count: int, seed: int) -> None:
    leaves = hashes(count)
    mixed = random.Random(seed).sample(leaves, count)
    assert MerkleTree(mixed).root == MerkleTree(leaves).root


def test_a_proof_serves_no_other_leaf_and_no_other_tree() -> None:
    leaves = hashes(9)
    tree, other = MerkleTree(leaves), MerkleTree(hashes(8))
    proof = tree.proof(leaves[3])
    assert not verify(tree.root, leaves[4], proof)
    assert not verify(other.root, leaves[3], proof)
    assert not verify(tree.root, leaves[3], proof[:-1])
    with pytest.raises(KeyError):
        tree.proof(b"\0" * 32)


def test_an_inner_node_is_no_leaf() -> None:
    """Its preimage has 64 bytes; a leaf is the hash of a hash."""
    leaves = hashes(4)
    tree = MerkleTree(leaves)
    inner = hash_pair(*sorted(leaves)[:2])
    with pytest.raises(KeyError):
        tree.proof(inner)


def test_no_leaf_and_equal_leaves_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        MerkleTree([])
    with pytest.raises(ValueError, match="equal"):
        MerkleTree([b"\1" * 32, b"\1" * 32])


@pytest.mark.engine("anvil")
def test_the_contract_hashes_a_cohorts_leaf_alike(chain: Chain) -> None:
    leaf = Leaf(7, ConsentId(b"\4" * 32), b"\5" * 32)
    block = chain.operator.client.block_number()
    hashed = chain.operator.challenges.hash_leaf(leaf, block_identifier=block)
    assert hashed == hash_cohort_leaf(leaf)
