// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Shares of a pool by weight, in whole units, that sum to the pool.
library Shares {
    /// @notice What `index` gets: the share rounded down, and one unit of what rounding left over for those with the
    /// largest remainders, the lower index first among equals.
    /// @param total the sum of the weights; with 0 nobody gets anything.
    function largestRemainder(
        uint256 pool,
        uint256[] memory weights,
        uint256 total,
        uint256 index
    ) internal pure returns (uint256 share) {
        if (total == 0 || index >= weights.length) return 0;
        share = Math.mulDiv(pool, weights[index], total);
        uint256 mine = mulmod(pool, weights[index], total);
        uint256 left = pool;
        uint256 ahead = 0;
        for (uint256 i = 0; i < weights.length; ++i) {
            left -= Math.mulDiv(pool, weights[i], total);
            uint256 remainder = mulmod(pool, weights[i], total);
            if (remainder > mine || (remainder == mine && i < index)) ++ahead;
        }
        if (ahead < left) ++share;
    }
}
