// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title One word as a set of hospitals: bit i stands for the hospital with index i.
library Bits {
    function bit(uint256 index) internal pure returns (uint256) {
        return 1 << index;
    }

    function has(uint256 mask, uint256 index) internal pure returns (bool) {
        return (mask >> index) & 1 != 0;
    }

    /// @notice How many hospitals the set holds; takes as many steps as there are.
    function count(uint256 mask) internal pure returns (uint256 members) {
        for (; mask != 0; mask &= mask - 1) ++members;
    }

    /// @notice Indices of the set, in order.
    function indices(uint256 mask) internal pure returns (uint256[] memory list) {
        list = new uint256[](count(mask));
        for (uint256 i = 0; i < list.length; ++i) {
            uint256 lowest = mask & (~mask + 1);
            list[i] = Math.log2(lowest);
            mask ^= lowest;
        }
    }
}
