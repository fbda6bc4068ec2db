// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title A wallet that answers ERC-1271 so as to harm its caller, for tests.
contract HostileWallet is IERC1271 {
    /// @dev How it answers: with the right word and far more, never, by reverting at length, or with too little.
    enum Mode {
        Flood,
        Burn,
        Revert,
        Short
    }

    Mode public immutable mode;

    constructor(Mode mode_) {
        mode = mode_;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        Mode chosen = mode;
        bytes4 magic = IERC1271.isValidSignature.selector;
        assembly {
            if eq(chosen, 1) {
                for {} 1 {} {}
            }
            // About as much as 200,000 gas can return.
            let size := 0x40000
            mstore(0x00, magic)
            if eq(chosen, 2) {
                revert(0x00, size)
            }
            if eq(chosen, 3) {
                return(0x00, 0x04)
            }
            return(0x00, size)
        }
    }
}
