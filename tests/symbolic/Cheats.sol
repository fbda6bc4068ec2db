// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev What the symbolic machine lets a proof do, as other machines for tests do.
interface Cheats {
    /// @dev Cases in which this does not hold are not looked at.
    function assume(bool condition) external pure;
    function roll(uint256 number) external;
    function warp(uint256 timestamp) external;
    function prank(address sender) external;
}

/// @dev What it alone can do.
interface Symbols {
    /// @dev From here on the account's storage may hold anything.
    function enableSymbolicStorage(address account) external;
}
