// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token without worth, which anyone mints, for development chains.
contract DevelopmentToken is ERC20 {
    constructor() ERC20("Consilium Development Token", "DEV") {}

    /// @notice Gives an account new tokens.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
