// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Shares} from "../../contracts/libraries/Shares.sol";

/// @title Shares of a pool sum to it, and nobody's is off by one unit or more.
contract SharesTest {
    function testFuzz_TheSharesSumToThePool(uint128 pool, uint32[] calldata given) external pure {
        (uint256[] memory weights, uint256 total) = _weights(given);
        uint256 sum = 0;
        for (uint256 i = 0; i < weights.length; ++i)
            sum += Shares.largestRemainder(pool, weights, total, i);
        assert(sum == (total == 0 ? 0 : pool));
    }

    function testFuzz_AShareIsWithinOneUnitOfItsPart(
        uint128 pool,
        uint32[] calldata given,
        uint256 index
    ) external pure {
        (uint256[] memory weights, uint256 total) = _weights(given);
        uint256 share = Shares.largestRemainder(pool, weights, total, index);
        if (total == 0 || index >= weights.length) {
            assert(share == 0);
            return;
        }
        uint256 exact = uint256(pool) * weights[index];
        assert(share * total < exact + total);
        assert((share + 1) * total > exact);
    }

    function _weights(
        uint32[] calldata given
    ) private pure returns (uint256[] memory weights, uint256 total) {
        weights = new uint256[](given.length > 16 ? 16 : given.length);
        for (uint256 i = 0; i < weights.length; ++i) {
            weights[i] = given[i];
            total += given[i];
        }
    }
}
