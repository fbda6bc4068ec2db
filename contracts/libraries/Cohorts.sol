// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "../interfaces/IRounds.sol";

/// @title How a freeze is bound to the hospital that sent it, and what became of it.
/// @dev One word: 254 bits of a digest, and two flags in the place of its lowest bits.
library Cohorts {
    uint256 internal constant SUBMITTED = 1;
    uint256 internal constant BARRED = 2;

    uint256 private constant FLAGS = 3;

    /// @notice keccak256(abi.encode(freeze)). All its fields are words, which stand in calldata as they are hashed; a word with
    /// bits beyond its field's type gives another digest.
    function hash(IRounds.Freeze calldata freeze) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, freeze, 0x140)
            digest := keccak256(at, 0x140)
        }
    }

    /// @notice What is stored of a freeze: its digest together with the account behind its index, so that a claim needs no
    /// look at the study's list of hospitals.
    function bind(bytes32 freeze, address hospital) internal pure returns (bytes32) {
        return digestOf(uint256(keccak256(abi.encode(freeze, hospital))));
    }

    function digestOf(uint256 word) internal pure returns (bytes32) {
        return bytes32(word & ~FLAGS);
    }
}
