"""Our trees beside OpenZeppelin's: its JavaScript library, and its contract on a real node."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from chain import compile as solidity
from chain import toolchain
from chain.challenges import Leaf
from chain.errors import TxReverted
from chain.keccak import keccak
from chain.merkle import MerkleTree, MultiProof, hash_cohort_leaf, verify, verify_multi
from chain.types import Call, ConsentId
from tests.chain.kit import Chain

SOURCE = "tests/chain/solidity/Proofs.sol"
SCRIPT = Path(__file__).with_name("merkle.mjs")

Ask = Callable[[str, Sequence[str], Sequence[Any]], bool]


def word(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def cohort(count: int) -> list[Leaf]:
    return [Leaf(i, ConsentId(word("id", i)), word("record", i)) for i in range(count)]


def shown(hashes: Sequence[bytes]) -> list[str]:
    return ["0x" + item.hex() for item in hashes]


def openzeppelin(leaves: Sequence[Leaf], chosen: Sequence[int]) -> dict[str, Any]:
    hashes = [hash_cohort_leaf(leaf) for leaf in leaves]
    asked = {
        "values": [[leaf.index, *shown([leaf.id, leaf.record])] for leaf in leaves],
        "hashes": shown(hashes),
        "chosen": list(chosen),
    }
    done = subprocess.run(
        [str(toolchain.node()), str(SCRIPT)],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.engine("hardhat")
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 333])
def test_the_javascript_library_makes_the_same_tree_and_proofs(count: int) -> None:
    leaves = cohort(count)
    chosen = sorted(random.Random(count).sample(range(count), k=max(1, count // 3)))
    theirs = openzeppelin(leaves, chosen)
    hashes = [hash_cohort_leaf(leaf) for leaf in leaves]
    assert theirs["standard"]["leaves"] == shown(hashes)
    tree = MerkleTree(hashes)
    multi = tree.multi_proof([hashes[place] for place in chosen])
    for kind in ("standard", "simple"):
        assert theirs[kind]["root"] == shown([tree.root])[0]
        assert theirs[kind]["proofs"] == [shown(tree.proof(hashes[place])) for place in chosen]
        assert theirs[kind]["multi"]["proof"] == shown(multi.proof)
        assert theirs[kind]["multi"]["proofFlags"] == list(multi.flags)


@pytest.fixture(scope="module")
def code() -> bytes:
    output = solidity._run_solc(solidity.read_sources([SOURCE]))
    return bytes.fromhex(output["contracts"][SOURCE]["Proofs"]["evm"]["bytecode"]["object"])


@pytest.fixture
def ask(chain: Chain, code: bytes) -> Ask:
    """The contract's verdict; one that refuses a proof by reverting does not accept it."""
    client = chain.operator.client
    address = client.send(Call("Proofs", None, code)).contract

    def asked(function: str, types: Sequence[str], values: Sequence[Any]) -> bool:
        selector = keccak(f"{function}({','.join(types)})".encode())[:4]
        call = Call(function, address, selector + encode(types, values))
        try:
            answer = client.node.call(call, block=client.block_number())
        except TxReverted:
            return False
        return bool(decode(["bool"], answer)[0])

    return asked


def in_contract(ask: Ask, root: bytes, proven: MultiProof) -> bool:
    types = ["bytes32[]", "bool[]", "bytes32", "bytes32[]"]
    return ask("multiProofVerify", types, [proven.proof, proven.flags, root, proven.leaves])


@pytest.mark.engine("anvil", "solc")
def test_the_contract_accepts_our_proofs_and_refuses_changed_ones(ask: Ask) -> None:
    types = ["bytes32[]", "bytes32", "bytes32"]
    for count in (1, 2, 5, 16):
        hashes = [hash_cohort_leaf(leaf) for leaf in cohort(count)]
        tree = MerkleTree(hashes)
        for leaf in hashes:
            assert ask("verify", types, [tree.proof(leaf), tree.root, leaf])
        assert not ask("verify", types, [tree.proof(hashes[0]), tree.root, word("other")])


@pytest.mark.engine("anvil", "solc")
def test_the_contract_judges_multi_proofs_as_we_do(ask: Ask) -> None:
    source = random.Random(5)
    hashes = [hash_cohort_leaf(leaf) for leaf in cohort(21)]
    tree = MerkleTree(hashes)
    for chosen in (1, 2, 9, 21):
        sound = tree.multi_proof(source.sample(hashes, k=chosen))
        assert verify_multi(tree.root, sound)
        assert in_contract(ask, tree.root, sound)
        for wrong in changed(sound, tree.root):
            assert not verify_multi(tree.root, wrong)
            assert not in_contract(ask, tree.root, wrong)


def changed(sound: MultiProof, root: bytes) -> list[MultiProof]:
    """What an attacker would try."""
    return [
        replace(sound, leaves=(word("foreign"), *sound.leaves[1:])),
        replace(sound, leaves=sound.leaves[1:]),
        replace(sound, proof=(*sound.proof, root)),
        replace(sound, flags=(*sound.flags, True)),
        replace(sound, flags=(*sound.flags, False), proof=(*sound.proof, root)),
        replace(sound, flags=tuple(not flag for flag in sound.flags) or (True,)),
        MultiProof((root, word("foreign")), sound.proof, sound.flags),
        MultiProof((word("foreign"), root), (), (True,)),
    ]


def test_a_multi_proof_of_no_leaf_is_the_root_alone() -> None:
    tree = MerkleTree([word(i) for i in range(5)])
    empty = tree.multi_proof([])
    assert empty == MultiProof((), (tree.root,), ())
    assert verify_multi(tree.root, empty)
    assert not verify_multi(word("other"), empty)


def test_a_multi_proof_knows_every_leaf_once() -> None:
    leaves = [word(i) for i in range(5)]
    tree = MerkleTree(leaves)
    with pytest.raises(ValueError, match="twice"):
        tree.multi_proof([leaves[0], leaves[0]])
    with pytest.raises(KeyError):
        tree.multi_proof([leaves[0], word("foreign")])
    assert not verify(tree.root, word("foreign"), [])
