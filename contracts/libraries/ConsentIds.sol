// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The id of a consent.
library ConsentIds {
    function hash(address key, uint256 agreement, uint64 nonce) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, agreement, nonce));
    }
}
