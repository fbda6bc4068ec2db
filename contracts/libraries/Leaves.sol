// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";

/// @title Leaves of a cohort, and the tree that they stand in: sorted pairs, as OpenZeppelin's MerkleProof has it.
/// @dev In assembly, for every claim of every patient pays for it. Tests hold it to OpenZeppelin's own.
library Leaves {
    /// @notice keccak256(bytes.concat(keccak256(abi.encode(leaf)))): twice, so that no inner node passes for a leaf.
    function hash(IChallenges.Leaf calldata leaf) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, leaf, 0x60)
            mstore(0x00, keccak256(at, 0x60))
            digest := keccak256(0x00, 0x20)
        }
    }

    /// @notice True where the leaf stands under the root.
    function isUnder(
        IChallenges.Leaf calldata leaf,
        bytes32 root,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        bytes32 node = hash(leaf);
        assembly ("memory-safe") {
            let end := add(proof.offset, shl(5, proof.length))
            for {
                let at := proof.offset
            } lt(at, end) {
                at := add(at, 0x20)
            } {
                let sibling := calldataload(at)
                // The smaller of the two comes first.
                let place := shl(5, gt(node, sibling))
                mstore(place, node)
                mstore(xor(place, 0x20), sibling)
                node := keccak256(0x00, 0x40)
            }
        }
        return node == root;
    }
}
