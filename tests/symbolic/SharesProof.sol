// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Shares} from "../../contracts/libraries/Shares.sol";
import {Cheats} from "./Cheats.sol";

/// @title Shares of a pool sum to it.
contract SharesProof {
    Cheats private constant VM = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    function check_TheSharesOfTwoSumToThePool(
        uint112 pool,
        uint32[2] calldata given
    ) external pure {
        uint256[] memory weights = new uint256[](2);
        for (uint256 i = 0; i < 2; ++i) weights[i] = given[i];
        _sums(pool, weights);
    }

    /// @dev Solvers do not multiply 256 bits by 256. Of products they are told three things: that pool · weight fits a
    /// word, that a part of the pool is no more than the pool, and that rounding leaves over fewer units than there are
    /// shares, for what it leaves is (Σ remainders) / total, and each remainder is less than total.
    function _sums(uint256 pool, uint256[] memory weights) private pure {
        (uint256 total, uint256 floors) = (0, 0);
        for (uint256 i = 0; i < weights.length; ++i) total += weights[i];
        VM.assume(total != 0);
        for (uint256 i = 0; i < weights.length; ++i) {
            unchecked {
                VM.assume(mulmod(pool, weights[i], type(uint256).max) == pool * weights[i]);
            }
            uint256 floor = Math.mulDiv(pool, weights[i], total);
            VM.assume(floor <= pool);
            floors += floor;
        }
        VM.assume(floors <= pool && pool - floors < weights.length);
        uint256 sum = 0;
        for (uint256 i = 0; i < weights.length; ++i)
            sum += Shares.largestRemainder(pool, weights, total, i);
        assert(sum == pool);
    }
}
