// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {Cohorts} from "../../contracts/libraries/Cohorts.sol";
import {Leaves} from "../../contracts/libraries/Leaves.sol";

/// @title What is written in assembly agrees with what Solidity and OpenZeppelin say.
contract LeavesTest {
    function testFuzz_ALeafHasTheDigestOfItsFields(IChallenges.Leaf calldata leaf) external pure {
        assert(Leaves.hash(leaf) == _hash(leaf));
    }

    function testFuzz_ALeafIsUnderTheRootThatOpenZeppelinFinds(
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof
    ) external pure {
        bytes32 root = MerkleProof.processProofCalldata(proof, _hash(leaf));
        assert(Leaves.isUnder(leaf, root, proof));
    }

    function testFuzz_ALeafIsUnderNoOtherRoot(
        IChallenges.Leaf calldata leaf,
        bytes32 root,
        bytes32[] calldata proof
    ) external pure {
        bool found = MerkleProof.verifyCalldata(proof, root, _hash(leaf));
        assert(Leaves.isUnder(leaf, root, proof) == found);
    }

    function testFuzz_AFreezeHasTheDigestOfItsFields(IRounds.Freeze calldata freeze) external pure {
        assert(Cohorts.hash(freeze) == keccak256(abi.encode(freeze)));
    }

    function _hash(IChallenges.Leaf calldata leaf) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(leaf))));
    }
}
